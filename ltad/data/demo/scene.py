"""One photograph from one seed: build, damage, light, develop."""

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from ltad.data.demo.camera import photograph
from ltad.data.demo.catalog import PRODUCTS, Product
from ltad.data.demo.geometry import SIZE
from ltad.data.demo.lighting import shade
from ltad.data.demo.strokes import Flaw
from ltad.data.demo.surface import Surface, changed

CLASSES: tuple[str, ...] = tuple(PRODUCTS)
DEFECTS: dict[str, tuple[str, ...]] = {name: tuple(product.damage) for name, product in PRODUCTS.items()}

SEVERITY_SHAPE = (1.8, 1.1)  # of a beta distribution: broad, from barely visible to obvious
ATTEMPTS = 8
SMALLEST_DEFECT = 6  # pixels that a mask must have


class Surfaces(NamedTuple):
    """A part as it should be, as it is, and the (SIZE, SIZE) bool mask of where they differ."""

    normal: Surface
    actual: Surface
    mask: np.ndarray


class Rendering(NamedTuple):
    """A photograph and its ground truth.

    image: RGB, SIZE x SIZE. mask: (SIZE, SIZE) bool, True where the defect is; all False for a normal part.
    """

    image: Image.Image
    mask: np.ndarray


def _damaged(product: Product, scene: np.random.SeedSequence, normal: Surface, flaw: Flaw) -> Surface:
    """Build the same part with a flaw."""
    damage = product.damage[flaw.kind]
    if damage is None:
        return product.build(np.random.default_rng(scene), flaw)
    surface = normal.copy()
    damage(surface, flaw)
    return surface


def _surfaces(
    class_name: str, defect: str | None, scene: np.random.SeedSequence, harm: np.random.SeedSequence
) -> Surfaces:
    """Build the part as it should be and as it is, and mark the difference."""
    product = PRODUCTS[class_name]
    normal = product.build(np.random.default_rng(scene), None)
    if defect is None:
        return Surfaces(normal, normal, np.zeros((SIZE, SIZE), bool))
    # A defect can fall where nothing shows it (below a component, outside the frame): then another one is made.
    for attempt in harm.spawn(ATTEMPTS):
        rng = np.random.default_rng(attempt)
        flaw = Flaw(defect, float(rng.beta(*SEVERITY_SHAPE)), rng)
        actual = _damaged(product, scene, normal, flaw)
        mask = changed(normal, actual)
        if mask.sum() >= SMALLEST_DEFECT:
            return Surfaces(normal, actual, mask)
    raise RuntimeError(f"no visible {defect} of {class_name} in {ATTEMPTS} attempts")


def seeds_of(class_name: str, seed: int | Sequence[int]) -> list[np.random.SeedSequence]:
    """The randomness of scene, lamps, camera and damage of a photograph; ValueError names the classes that exist."""
    if class_name not in PRODUCTS:
        raise ValueError(f"class_name must be one of {', '.join(CLASSES)}, got {class_name!r}")
    numbers = list(seed) if isinstance(seed, Sequence) else [seed]
    # The length keeps [1] and [1, 0] apart, which a seed sequence pads to the same words.
    entropy = [zlib.crc32(class_name.encode()), len(numbers), *numbers]
    return np.random.SeedSequence(entropy).spawn(4)


def render(class_name: str, seed: int | Sequence[int], defect: str | None = None) -> Rendering:
    """Photograph one part; the same arguments always give the same bits, on one machine, in any order.

    The same seed with and without a defect shares pose, material, light and sensor noise.

    Args:
        seed: one or several integers ≥ 0.
        defect: one of ``DEFECTS[class_name]``, or None for a normal part.

    Raises:
        ValueError: if the class or the defect does not exist; names those that do.
    """
    scene, lamps, camera, harm = seeds_of(class_name, seed)
    if defect is not None and defect not in DEFECTS[class_name]:
        raise ValueError(f"defect of {class_name} must be one of {', '.join(DEFECTS[class_name])}, got {defect!r}")
    normal, actual, mask = _surfaces(class_name, defect, scene, harm)
    rig = PRODUCTS[class_name].rig
    light = shade(actual, rig, np.random.default_rng(lamps))
    image = photograph(light, normal.height, rig.exposure, np.random.default_rng(camera))
    return Rendering(image, mask)
