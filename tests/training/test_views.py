"""Which turns a class's own images allow."""

from collections.abc import Callable
from copy import copy
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

from ltad.data import GOOD, Sample
from ltad.foundation import FoundationModel
from ltad.foundation.features import Encoder
from ltad.progress import quiet
from ltad.training.images import encode_samples
from ltad.training.views import TURNS, symmetries, turned

SIZE = 128


@pytest.fixture(scope="module")
def encoder(foundation: FoundationModel) -> Encoder:
    """One that stores nothing of copies, as it should, on a tower that remembers them for the next test."""
    tower = copy(foundation)
    tower.encode_image = Encoder(foundation, {}).encode
    return Encoder(tower)


def picture(draw: Callable[[np.ndarray, np.ndarray], np.ndarray], seed: int) -> Image.Image:
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


def samples_of(*kinds: Callable[[np.ndarray, np.ndarray], np.ndarray], count: int) -> tuple[Sample, ...]:
    return tuple(
        Sample(name=f"{draw.__name__}/{i}", class_name=draw.__name__, defect=GOOD, read=partial(picture, draw, i))
        for draw in kinds
        for i in range(count)
    )


@pytest.mark.parametrize(
    ("draw", "expected"), [(stripes, [2, 4, 6]), (corner, []), (checks, list(TURNS))], ids=lambda v: str(v)[:20]
)
def test_the_images_themselves_say_which_turns_are_normal(
    draw: Callable[[np.ndarray, np.ndarray], np.ndarray], expected: list[int], encoder: Encoder
) -> None:
    samples = samples_of(draw, count=4)
    features = encode_samples(samples, (draw.__name__,), encoder, quiet)
    assert symmetries(samples, features, torch.arange(4), encoder, 1.08, quiet) == expected


def test_the_seven_turns_are_different_and_keep_every_pixel() -> None:
    image = torch.arange(27.0).reshape(3, 3, 3)
    others = [turned(image, turn) for turn in TURNS]
    assert len({tuple(t.flatten().tolist()) for t in (image, *others)}) == 8
    assert all(torch.equal(t.flatten(1).sort().values, image.flatten(1).sort().values) for t in others)
