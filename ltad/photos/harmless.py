"""Harmless change: what a camera or a program does to a photograph without doing anything to the part.

A camera is knocked by a pixel, a lamp ages, a lens is cleaned, a program saves with another codec. Copies of normal
photographs that were changed so are normal, too.
"""

import dataclasses
from io import BytesIO

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from ltad.config import HARMLESS_OFF, HarmlessConfig

FRAME = 256  # the shorter side, in pixels, that strengths in pixels are of
BORDER = 1 / 8  # of the side, mirrored beyond the frame, so that a moved camera sees something there
CHANCE = 0.5  # our choice: of each change
FINEST_JPEG = 95  # quality of the file that loses least


def changed(picture: Image.Image, strengths: HarmlessConfig, generator: np.random.Generator) -> Image.Image:
    """A copy of an RGB picture, changed in some of the ways that have a strength, each by a random part of it.

    In the order of a camera: it moves, focuses, light falls in, the sensor adds noise, and the file is saved. Each of
    them happens by ``CHANCE``: noise that is always followed by a lossy file is never seen as it is. What one change
    draws does not depend on the others' strengths.
    """
    happens = generator.random(len(HARMLESS_OFF)) < CHANCE
    missing = {kind: off for (kind, off), here in zip(HARMLESS_OFF.items(), happens, strict=True) if not here}
    s = dataclasses.replace(strengths, **missing)
    right, down, turn, zoom, bright, contrast = generator.uniform(-1, 1, 6)
    tint, (blur, noise, loss) = generator.uniform(-1, 1, 3), generator.uniform(0, 1, 3)
    grain = generator.standard_normal((picture.height, picture.width, 3), dtype=np.float32)
    pixel = min(picture.size) / FRAME
    if s.shift or s.turn or s.zoom:
        picture = _moved(
            picture, right * s.shift * pixel, down * s.shift * pixel, turn * s.turn, 1 + zoom * s.zoom / 100
        )
    values = np.asarray(picture, dtype=np.float32)
    if s.blur:
        sigma = blur * s.blur * pixel
        values = gaussian_filter(values, (sigma, sigma, 0))
    mean = values.mean()
    values = mean + (values - mean) * (1 + contrast * s.contrast / 100)
    values = values * ((1 + bright * s.brightness / 100) * (1 + tint * s.colour / 100)).astype(np.float32)
    values = values + noise * s.noise * grain
    picture = as_picture(values)
    quality = round(FINEST_JPEG - loss * max(0.0, FINEST_JPEG - s.jpeg))
    return saved(picture, "JPEG", quality) if s.jpeg < 100 else picture


def _moved(picture: Image.Image, right: float, down: float, degrees: float, scale: float) -> Image.Image:
    """The picture moved, turned and scaled about its middle, resampled once."""
    border = round(BORDER * min(picture.size))
    x, y, angle = picture.width / 2, picture.height / 2, np.deg2rad(degrees)
    cos, sin = np.cos(angle) / scale, np.sin(angle) / scale
    from_left = (cos, sin, border + x - cos * (x + right) - sin * (y + down))
    from_top = (-sin, cos, border + y + sin * (x + right) - cos * (y + down))
    where = (*from_left, *from_top)
    return with_border(picture, border).transform(picture.size, Image.Transform.AFFINE, where, Image.Resampling.BICUBIC)


def with_border(picture: Image.Image, border: int) -> Image.Image:
    """The picture with so many pixels of its mirror image on all sides."""
    sides = (border, border), (border, border), (0, 0)
    return Image.fromarray(np.pad(np.asarray(picture), sides, mode="symmetric"))


def saved(picture: Image.Image, form: str, quality: int) -> Image.Image:
    """The picture as it comes back from a file of a lossy form, such as JPEG."""
    file = BytesIO()
    picture.save(file, form, quality=quality)
    with Image.open(file) as opened:
        return opened.convert("RGB")


def as_picture(values: np.ndarray) -> Image.Image:
    """Values (H, W, 3) from 0 to 255, or somewhat beyond, as a picture."""
    return Image.fromarray((values.clip(0, 255) + 0.5).astype(np.uint8))
