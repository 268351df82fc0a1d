"""Photographs as another camera or program would have left them: of the same part, and as good as before.

They are for testing only, and so of other kinds than the harmless copies that a training may make: no checkpoint was
shown them. Each kind takes a picture and a generator and gives a picture: (H, W, 3) floats, 0 black and 1 white.
Lengths are in pixels of a frame of ``FRAME`` and grow with the picture. How strong a kind may be is our choice: hardly
to be seen beside the original.
"""

import functools
import math
import zlib
from dataclasses import replace

import numpy as np
from PIL import Image

from ltad.data import Sample
from ltad.photos.harmless import FRAME, as_picture, saved, with_border

CORNER = 2.0  # pixels of FRAME that a corner moves by in each direction
SMALLEST = 0.8  # of its side, to which a picture shrinks
GAMMA = 0.08  # of the exponent's logarithm
GRADIENT = 0.05  # of the light, half a frame from the middle
TINT = 0.015  # of the logarithm of a channel's gain
FULL_WELL = (3_000, 20_000)  # electrons at white
WEBP_QUALITY = (75, 95)
SEED = 0  # of all pictures, whatever the checkpoint

Generator = np.random.Generator


def harmlessly_changed(sample: Sample) -> Sample:
    """The sample, read in another state, which its name alone decides; it is at its own size, and has no mask."""
    return replace(sample, read=functools.partial(_read, sample), read_mask=None, read_levels=None)


def change_harmlessly(picture: Image.Image, generator: Generator) -> Image.Image:
    """Change an RGB picture in every way at once, in the order of ``KINDS``."""
    pixels = _pixels(picture)
    for change in KINDS:
        pixels = change(pixels, generator)
    return _image(pixels)


def perspective(pixels: np.ndarray, generator: Generator) -> np.ndarray:
    """Move each corner by itself; the picture goes on beyond its border as its mirror image."""
    height, width = pixels.shape[:2]
    reach = np.array([width, height]) * CORNER / FRAME
    border = math.ceil(reach.max()) + 1
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], dtype=np.float64)
    moved = corners + border + generator.uniform(-reach, reach, (4, 2))
    bordered = with_border(_image(pixels), border)
    way = Image.Transform.PERSPECTIVE
    return _pixels(bordered.transform((width, height), way, _homography(corners, moved), Image.Resampling.BILINEAR))


def resampling(pixels: np.ndarray, generator: Generator) -> np.ndarray:
    """Make it smaller, and as large as before."""
    height, width = pixels.shape[:2]
    share = generator.uniform(SMALLEST, 1)
    smaller = _image(pixels).resize((int(width * share), int(height * share)), Image.Resampling.LANCZOS)
    return _pixels(smaller.resize((width, height), Image.Resampling.BICUBIC))


def gamma(pixels: np.ndarray, generator: Generator) -> np.ndarray:
    """Make the middle tones lighter or darker; black and white stay."""
    return pixels ** math.exp(generator.uniform(-GAMMA, GAMMA))


def light_gradient(pixels: np.ndarray, generator: Generator) -> np.ndarray:
    """Light it more from a random side, and as much less from the other; the middle stays."""
    height, width = pixels.shape[:2]
    y, x = np.linspace(-1, 1, height, dtype=np.float32), np.linspace(-1, 1, width, dtype=np.float32)
    direction, strength = generator.uniform(0, 2 * math.pi), generator.uniform(0, GRADIENT)
    light = 1 + strength * (math.cos(direction) * x[None, :] + math.sin(direction) * y[:, None])
    return pixels * light[..., None]


def tint(pixels: np.ndarray, generator: Generator) -> np.ndarray:
    """Give each channel a gain of its own."""
    return pixels * np.exp(generator.uniform(-TINT, TINT, 3)).astype(np.float32)


def shot_noise(pixels: np.ndarray, generator: Generator) -> np.ndarray:
    """Count the light in electrons: noise that grows with the root of the light."""
    full_well = math.exp(generator.uniform(*np.log(FULL_WELL)))
    noise = generator.standard_normal(pixels.shape, dtype=np.float32)
    return pixels + noise * np.sqrt(pixels.clip(0, 1) / full_well)


def webp(pixels: np.ndarray, generator: Generator) -> np.ndarray:
    """Save it as a lossy file, and open that."""
    lowest, highest = WEBP_QUALITY
    return _pixels(saved(_image(pixels), "WEBP", int(generator.integers(lowest, highest + 1))))


KINDS = (perspective, resampling, gamma, light_gradient, tint, shot_noise, webp)


def _read(sample: Sample) -> Image.Image:
    generator = np.random.default_rng([SEED, zlib.crc32(sample.name.encode())])
    return change_harmlessly(sample.read(), generator)


def _homography(corners: np.ndarray, moved: np.ndarray) -> list[float]:
    """The eight numbers a to h of (ax + by + c, dx + ey + f) / (gx + hy + 1), which takes four corners elsewhere."""
    rows = []
    for (x, y), (u, v) in zip(corners, moved, strict=True):
        rows += [(x, y, 1, 0, 0, 0, -u * x, -u * y), (0, 0, 0, x, y, 1, -v * x, -v * y)]
    return np.linalg.solve(np.array(rows), moved.ravel()).tolist()


def _pixels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture, dtype=np.float32) / 255


def _image(pixels: np.ndarray) -> Image.Image:
    return as_picture(pixels * 255)
