"""What there is to click: the demo factory's parts from ``assets/``, and real solar cells from an installed package."""

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import gradio as gr

from ltad.photos.pile import Photograph

ASSETS = Path(__file__).parents[2] / "assets" / "examples"
# Cells of the ELPV data set that are not among industrial-natural's training images.
SOLAR_CELLS = {
    "solar_mono": {
        "good": ("cell0465", "cell0971", "cell1256"),
        "defective": ("cell0368", "cell0459", "cell0529", "cell0915", "cell1073"),
    },
    "solar_poly": {
        "good": ("cell0690", "cell2113", "cell2597"),
        "defective": ("cell0177", "cell0579", "cell0608", "cell0620", "cell1622", "cell2547"),
    },
}


class Example(NamedTuple):
    """A photograph to click on, and what is known of it.

    large: its defect is of a few pixels among a million. lesson: what a checkpoint teaches on it, in words, if that.
    """

    photograph: Photograph
    class_name: str
    defect: str
    large: bool = False
    lesson: str = ""

    @property
    def path(self) -> Path:
        """Its file."""
        return self.photograph.path


def all_examples() -> list[Example]:
    """Every example, real ones first and large ones last, by class, clean ones first."""
    return list(_by_path().values())


def example_at(path: Path) -> Example | None:
    """The example that a file is; None for every other photograph, what a visitor drops among them, even a copy."""
    return _by_path().get(path.resolve())


def serve_in_place() -> None:
    """Let browsers have the examples from where they are, not from copies that are made for every visitor."""
    gr.set_static_paths([example.path for example in all_examples()])


@lru_cache
def _by_path() -> dict[Path, Example]:
    real, rendered = (sorted(some, key=_order) for some in (_solar_cells(), _factory()))
    return {example.path.resolve(): example for example in (*real, *rendered)}


def _order(example: Example) -> tuple[bool, str, bool, str]:
    return example.large, example.class_name, example.defect != "good", example.path.name


def _factory() -> list[Example]:
    """Files named CLASS-DEFECT.jpg, or CLASS-DEFECT-large.jpg."""
    examples = []
    for path in ASSETS.glob("*.jpg"):
        class_name, defect, *large = path.stem.split("-")
        examples.append(Example(Photograph(path.name, path), class_name, defect, large=bool(large)))
    return examples


def _solar_cells() -> list[Example]:
    """Empty where elpv-dataset is not installed: the app works without it."""
    spec = importlib.util.find_spec("elpv_dataset")
    if spec is None or spec.origin is None:
        return []
    images = Path(spec.origin).parent / "data" / "images"
    return [
        Example(Photograph(f"{cell}.png", images / f"{cell}.png"), class_name, defect)
        for class_name, kinds in SOLAR_CELLS.items()
        for defect, cells in kinds.items()
        for cell in cells
    ]
