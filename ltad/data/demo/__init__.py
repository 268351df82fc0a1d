"""The demo factory: photographs of twelve products with exact defect masks, rendered from a seed.

A product is built as physical fields (height, colour, gloss), a defect changes those fields, and only then a lamp
lights them and a camera takes the picture. A mask is where the fields differ.
"""

from ltad.data.demo.dataset import demo_dataset, large_dataset, write
from ltad.data.demo.large import FLAWS, render_large
from ltad.data.demo.scene import CLASSES, DEFECTS, Rendering, render

__all__ = [
    "CLASSES",
    "DEFECTS",
    "FLAWS",
    "Rendering",
    "demo_dataset",
    "large_dataset",
    "render",
    "render_large",
    "write",
]
