"""The demo factory in large: the same scenes with four times the pixels a side, and flaws of a few of those.

The flaws have a size of their own, in the photograph's pixels, whatever the product: what a camera of many pixels is
bought for. Seen at a quarter of the side they are less than a pixel wide.
"""

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import distance_transform_edt, gaussian_filter

from ltad.data.demo.camera import develop
from ltad.data.demo.catalog import PRODUCTS
from ltad.data.demo.geometry import FINE
from ltad.data.demo.lighting import shade
from ltad.data.demo.scene import Rendering, seeds_of

SIDE = 1024  # pixels of the photograph
SHARPNESS = 0.8  # pixels, of the lens
MARGIN = 24  # pixels between a flaw and the product's edge
BRIGHTER = 0.5  # how often a flaw shines instead of being dark
STRENGTH = (0.45, 0.9)  # of the light that a flaw takes, or adds

Draw = Callable[[ImageDraw.ImageDraw, tuple[float, float], np.random.Generator], None]


def _scratch(draw: ImageDraw.ImageDraw, middle: tuple[float, float], rng: np.random.Generator) -> None:
    """A straight line, three pixels wide."""
    length, heading = rng.uniform(30, 110), rng.uniform(0, np.pi)
    half = 0.5 * length * np.array([np.cos(heading), np.sin(heading)])
    draw.line([*(np.array(middle) - half), *(np.array(middle) + half)], fill=255, width=3)


def _pinhole(draw: ImageDraw.ImageDraw, middle: tuple[float, float], _: np.random.Generator) -> None:
    """A dot of six pixels."""
    x, y = middle
    draw.ellipse([x - 3, y - 3, x + 2, y + 2], fill=255)


def _fibre(draw: ImageDraw.ImageDraw, middle: tuple[float, float], rng: np.random.Generator) -> None:
    """A curl, two pixels wide."""
    turns = np.cumsum(rng.normal(0, 0.25, 30)) + rng.uniform(0, 2 * np.pi)
    path = np.cumsum(3 * np.stack([np.cos(turns), np.sin(turns)], 1), 0)
    path += np.array(middle) - path[len(path) // 2]
    draw.line([tuple(point) for point in path], fill=255, width=2, joint="curve")


FLAWS: dict[str, Draw] = {"scratch": _scratch, "pinhole": _pinhole, "fibre": _fibre}


def render_large(class_name: str, seed: int | Sequence[int], flaw: str | None = None) -> Rendering:
    """Photograph one part with ``SIDE`` pixels a side; the same arguments always give the same bits on one machine.

    The same seed with and without a flaw shares pose, material, light and sensor noise.

    Args:
        seed: as of ``render``; the scene is the one that is rendered for it.
        flaw: one of ``FLAWS``, or None for a normal part.

    Raises:
        ValueError: if the class or the flaw does not exist; names those that do.
    """
    if flaw is not None and flaw not in FLAWS:
        raise ValueError(f"flaw must be one of {', '.join(FLAWS)}, got {flaw!r}")
    scene, lamps, camera, harm = seeds_of(class_name, seed)
    product = PRODUCTS[class_name]
    surface = product.build(np.random.default_rng(scene), None)
    light = _enlarged(shade(surface, product.rig, np.random.default_rng(lamps)))
    mask = np.zeros((SIDE, SIDE), bool)
    if flaw is not None:
        mask = _drawn(FLAWS[flaw], surface.region, np.random.default_rng(harm))
        light = _flawed(light, mask, np.random.default_rng(harm.spawn(1)[0]))
    light = gaussian_filter(light, (0, SHARPNESS, SHARPNESS))
    return Rendering(develop(light, product.rig.exposure, np.random.default_rng(camera)), mask)


def _enlarged(light: np.ndarray) -> np.ndarray:
    """Light (3, FINE, FINE) at the photograph's pixels."""
    return np.stack(
        [np.asarray(Image.fromarray(part).resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for part in light]
    )


def _drawn(draw: Draw, region: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Where a flaw lies: (SIDE, SIDE) bool, on the product, away from its edge if it is broad enough."""
    step = SIDE // FINE
    depth = distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1] * step
    rows, columns = np.nonzero(depth >= min(MARGIN, 0.9 * float(depth.max())))
    chosen = rng.integers(len(rows))
    canvas = Image.new("L", (SIDE, SIDE))
    draw(ImageDraw.Draw(canvas), (columns[chosen] * step + 0.5 * step, rows[chosen] * step + 0.5 * step), rng)
    return (np.asarray(canvas) > 0) & region.repeat(step, 0).repeat(step, 1)


def _flawed(light: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Light with a flaw that takes of it, or shines."""
    strength = rng.uniform(*STRENGTH)
    factor = 1 + 2 * strength if rng.random() < BRIGHTER else 1 - strength
    return np.where(mask, np.maximum(light, 0.08) * factor, light).astype(np.float32)
