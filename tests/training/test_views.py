"""Which turns a class's own images allow, and the copies that are made of them."""

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

from ltad.config import ViewsConfig
from ltad.data import GOOD, Sample
from ltad.foundation import FoundationModel
from ltad.foundation.features import Encoder
from ltad.progress import quiet
from ltad.training.images import encode_samples
from ltad.training.views import TURNS, Views, make_views, symmetries, turned

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


def views_of(samples: tuple[Sample, ...], encoder: Encoder, wanted: int) -> Views | None:
    names = tuple(sorted({s.class_name for s in samples}))
    features = encode_samples(samples, names, encoder, quiet)
    return make_views(samples, features, encoder, ViewsConfig(wanted=wanted), 0, quiet)


def test_classes_of_few_images_get_copies_up_to_the_number_wanted(encoder: Encoder) -> None:
    samples = (*samples_of(checks, count=3), *samples_of(corner, count=3), *samples_of(stripes, count=2))
    views = views_of(samples, encoder, wanted=7)
    assert views is not None
    made = views.features.class_ids.bincount(minlength=3).tolist()
    assert made == [4, 0, 5]  # of 21, none and 6 that are possible
    names = sorted({s.class_name for s in samples})
    sources = [names.index(samples[i].class_name) for i in views.sources.tolist()]
    assert sources == views.features.class_ids.tolist()


def test_no_copies_where_none_are_wanted_or_a_class_cannot_be_asked(encoder: Encoder) -> None:
    assert views_of(samples_of(checks, count=3), encoder, wanted=0) is None
    assert views_of(samples_of(checks, count=3), encoder, wanted=3) is None
    assert views_of(samples_of(checks, count=1), encoder, wanted=9) is None


def test_a_copy_is_the_features_of_the_turned_image(encoder: Encoder) -> None:
    samples = samples_of(stripes, count=2)
    views = views_of(samples, encoder, wanted=400)
    assert views is not None
    read = [
        replace(s, read=partial(lambda image, turn: image.transpose(turn), s.read(), turn))
        for s in samples
        for turn in (Image.Transpose.ROTATE_180, Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_TOP_BOTTOM)
    ]
    expected = encode_samples(read, ("stripes",), encoder, quiet)
    for layer, other in zip(views.features.maps, expected.maps, strict=True):
        torch.testing.assert_close(layer, other, atol=2e-2, rtol=2e-2)


def test_the_seven_turns_are_different_and_keep_every_pixel() -> None:
    image = torch.arange(27.0).reshape(3, 3, 3)
    others = [turned(image, turn) for turn in TURNS]
    assert len({tuple(t.flatten().tolist()) for t in (image, *others)}) == 8
    assert all(torch.equal(t.flatten(1).sort().values, image.flatten(1).sort().values) for t in others)
