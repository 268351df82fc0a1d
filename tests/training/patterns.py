"""Products that are patterns, which may be turned in some ways and not in others."""

from collections.abc import Callable
from copy import copy
from functools import partial

import numpy as np
from PIL import Image

from ltad.data import GOOD, Sample
from ltad.foundation import FoundationModel
from ltad.foundation.features import Encoder, Views

SIZE = 128
Draw = Callable[[np.ndarray, np.ndarray], np.ndarray]


def picture(draw: Draw, seed: int) -> Image.Image:
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE, :SIZE]
    grey = 90 + 120 * draw(x, y) + generator.normal(0, 8, (SIZE, SIZE))
    return Image.fromarray(np.repeat(grey.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2))


def stripes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Upright stripes: the same upside down and mirrored, but not on their side."""
    return np.cos((x - (SIZE - 1) / 2) / 4) > 0


def corner(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A dotted letter L: the same in no other position."""
    return (((x < 40) & (y % 12 < 6)) | (y > 100)) & (x < 100)


def checks(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A chessboard: the same from all sides."""
    return (x // 8 + y // 8) % 2


def samples_of(*kinds: Draw, count: int) -> tuple[Sample, ...]:
    return tuple(
        Sample(name=f"{draw.__name__}/{i}", class_name=draw.__name__, defect=GOOD, read=partial(picture, draw, i))
        for draw in kinds
        for i in range(count)
    )


def forgetful(foundation: FoundationModel) -> Encoder:
    """An encoder that stores nothing of copies, as it should, on a tower that remembers them for the next test."""
    tower = copy(foundation)
    kept = Encoder(foundation, {})
    tower.encode_image = lambda images: kept.encode(Views(images))
    return Encoder(tower)
