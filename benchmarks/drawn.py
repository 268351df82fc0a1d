"""Defects drawn onto normal photographs, with their masks: what a choice may be made by where no test may be asked.

Three kinds, each of any size between a pinhole and a fifth of the frame: a scratch (a crooked line, lighter or darker),
a blot (a soft spot of another colour) and a piece (of the same photograph, turned and put elsewhere).
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

MARGIN = 0.1  # of the frame's side, where nothing begins
SCRATCH = (0.05, 0.5), (0.004, 0.02)  # length and width, of the frame's side
BLOT = 0.01, 0.08  # radius
PIECE = 0.04, 0.2  # side
CONTRAST = 25, 90  # grey levels

Mask = Image.Image
Draw = Callable[[Image.Image, np.random.Generator], tuple[Image.Image, Mask]]


def draw_defect(picture: Image.Image, generator: np.random.Generator) -> tuple[Image.Image, np.ndarray]:
    """Draw one defect onto an RGB picture: the picture with it, and how far each pixel is its (h, w), 0 to 1."""
    kinds: list[Draw] = [_scratch, _blot, _piece]
    other, mask = kinds[generator.integers(len(kinds))](picture, generator)
    return Image.composite(other, picture, mask), np.asarray(mask, dtype=np.float32) / 255


def _scratch(picture: Image.Image, generator: np.random.Generator) -> tuple[Image.Image, Mask]:
    side, (lengths, widths) = min(picture.size), SCRATCH
    length, width = (side * _between(generator, low, high) for low, high in (lengths, widths))
    steps = 4
    turns = generator.uniform(0, 2 * np.pi) + generator.normal(0, 0.4, steps).cumsum()
    way = np.stack([np.cos(turns), np.sin(turns)], 1) * length / steps
    points = [_somewhere(picture, generator), *way]
    mask = Image.new("L", picture.size)
    path = [(float(x), float(y)) for x, y in np.cumsum(points, 0)]
    ImageDraw.Draw(mask).line(path, fill=255, width=max(1, round(width)), joint="curve")
    return _recoloured(picture, generator, grey=True), mask.filter(ImageFilter.GaussianBlur(0.5))


def _blot(picture: Image.Image, generator: np.random.Generator) -> tuple[Image.Image, Mask]:
    radius, mask = min(picture.size) * _between(generator, *BLOT), Image.new("L", picture.size)
    x, y = _somewhere(picture, generator)
    for _ in range(4):
        (dx, dy), (a, b) = generator.normal(0, radius / 2, 2), radius * generator.uniform(0.5, 1, 2)
        ImageDraw.Draw(mask).ellipse([x + dx - a, y + dy - b, x + dx + a, y + dy + b], fill=255)
    return _recoloured(picture, generator, grey=False), mask.filter(ImageFilter.GaussianBlur(max(0.5, radius / 5)))


def _piece(picture: Image.Image, generator: np.random.Generator) -> tuple[Image.Image, Mask]:
    half = min(picture.size) * _between(generator, *PIECE) / 2
    (x, y), angle = _somewhere(picture, generator), generator.uniform(0, 2 * np.pi)
    corners = angle + np.pi / 4 + np.pi / 2 * np.arange(4)
    mask = Image.new("L", picture.size)
    outline = [(float(x + half * np.cos(c) * 2**0.5), float(y + half * np.sin(c) * 2**0.5)) for c in corners]
    ImageDraw.Draw(mask).polygon(outline, fill=255)
    turned = picture.transpose(Image.Transpose(int(generator.integers(5))))
    shift = generator.integers(picture.width), generator.integers(picture.height)
    return ImageChops.offset(turned.resize(picture.size), *map(int, shift)), mask


def _between(generator: np.random.Generator, low: float, high: float) -> float:
    """A size, each octave as likely as the next."""
    return float(np.exp(generator.uniform(np.log(low), np.log(high))))


def _somewhere(picture: Image.Image, generator: np.random.Generator) -> np.ndarray:
    return generator.uniform(MARGIN, 1 - MARGIN, 2) * picture.size


def _recoloured(picture: Image.Image, generator: np.random.Generator, *, grey: bool) -> Image.Image:
    """The whole picture lighter or darker, in all colours alike or in each by itself."""
    shift = generator.uniform(*CONTRAST, 1 if grey else 3) * generator.choice([-1, 1], 1 if grey else 3)
    return Image.fromarray((np.asarray(picture, dtype=np.float32) + shift).clip(0, 255).astype(np.uint8))
