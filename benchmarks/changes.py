"""Harmless changes, each alone and at a stated strength, of photographs at their own size.

Those that a training may learn from are drawn up to a strength, all at once (``ltad.photos.harmless``); those that an
evaluation makes are of other kinds (``ltad.evaluation.harmless``), and come last here, all together.
"""

import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from ltad.data import Sample
from ltad.evaluation.harmless import harmlessly_changed
from ltad.photos.harmless import FRAME, as_picture, saved, with_border

AS_IT_IS, TOGETHER = "as they are", "all mildly together"
NOISE = 2.0  # grey levels of 255, standard deviation
SHIFT = 2.0  # pixels of FRAME, in one of four directions
TURN = 1.0  # degrees, either way
BLUR = 0.5  # pixels of FRAME, standard deviation
BRIGHTNESS = 0.05  # brighter or darker
BORDER = 1 / 16  # of the longer side, beyond which no change looks


def versions(sample: Sample) -> list[Image.Image]:
    """A photograph in the order of ``VERSIONS``, all at its own size."""
    picture = sample.read()
    changed = [
        change(picture, np.random.default_rng([zlib.crc32(kind.encode()), zlib.crc32(sample.name.encode())]))
        for kind, change in CHANGES.items()
    ]
    return [picture, *changed, harmlessly_changed(replace(sample, read=lambda: picture)).read()]


def jpeg(quality: int, picture: Image.Image, _: np.random.Generator) -> Image.Image:
    """Save it as a JPEG of that quality, and open that."""
    return saved(picture, "JPEG", quality)


def noise(picture: Image.Image, generator: np.random.Generator) -> Image.Image:
    """Add noise to every channel of every pixel."""
    values = np.asarray(picture, dtype=np.float32)
    return as_picture(values + NOISE * generator.standard_normal(values.shape, dtype=np.float32))


def shift(picture: Image.Image, generator: np.random.Generator) -> Image.Image:
    """Move it by whole pixels to the right, to the left, down or up."""
    x, y = ((1, 0), (-1, 0), (0, 1), (0, -1))[generator.integers(4)]
    right, down = x * SHIFT * picture.width / FRAME, y * SHIFT * picture.height / FRAME
    return _seen_from(picture, round(right), round(down), 0)


def turn(picture: Image.Image, generator: np.random.Generator) -> Image.Image:
    """Turn it about its middle."""
    return _seen_from(picture, 0, 0, _sign(generator) * TURN)


def blur(picture: Image.Image, _: np.random.Generator) -> Image.Image:
    """Take it a little out of focus."""
    sigma = (BLUR * picture.height / FRAME, BLUR * picture.width / FRAME, 0)
    return as_picture(gaussian_filter(np.asarray(picture, dtype=np.float32), sigma))


def brightness(picture: Image.Image, generator: np.random.Generator) -> Image.Image:
    """Light it more, or less."""
    return as_picture(np.asarray(picture, dtype=np.float32) * (1 + _sign(generator) * BRIGHTNESS))


CHANGES: Mapping[str, Callable[[Image.Image, np.random.Generator], Image.Image]] = {
    "JPEG, quality 85": partial(jpeg, 85),
    "JPEG, quality 70": partial(jpeg, 70),
    "noise, 2 grey levels": noise,
    "shift, 2 pixels of 256": shift,
    "turn, 1 degree": turn,
    "blur, 0.5 pixels of 256": blur,
    "5 % brighter or darker": brightness,
}
VERSIONS = (AS_IT_IS, *CHANGES, TOGETHER)


def _sign(generator: np.random.Generator) -> int:
    return int(generator.choice((-1, 1)))


def _seen_from(picture: Image.Image, right: int, down: int, degrees: float) -> Image.Image:
    """The picture moved by whole pixels, or turned about its middle; beyond its border lies its mirror image."""
    border = math.ceil(BORDER * max(picture.size))
    wide = with_border(picture, border)
    if degrees:
        wide = wide.rotate(degrees, Image.Resampling.BICUBIC)
    left, top = border - right, border - down
    return wide.crop((left, top, left + picture.width, top + picture.height))
