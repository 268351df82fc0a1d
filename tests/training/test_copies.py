"""Copies of normal images: how many there are, of what, and that they are normal."""

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

from ltad.config import HarmlessConfig, LTADConfig
from ltad.data import GOOD, Sample
from ltad.foundation import FoundationModel
from ltad.foundation.features import Encoder
from ltad.presets import default
from ltad.progress import quiet
from ltad.training.copies import MOST, Copies, copies_wanted, make_copies
from ltad.training.images import encode_samples
from tests.toys import TinyFoundation

SIZE = 128
ONLY_TURNED = replace(default(), harmless=HarmlessConfig.none())


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


def copies_of(
    samples: tuple[Sample, ...], encoder: Encoder, config: LTADConfig, more: dict[int, int] | None = None
) -> Copies | None:
    names = tuple(sorted({s.class_name for s in samples}))
    features = encode_samples(samples, names, encoder, quiet)
    return make_copies(samples, features, encoder, config, more or {}, quiet)


def test_a_class_is_brought_to_the_number_wanted_and_every_image_changed_twice() -> None:
    config = default().override("views.wanted=100")
    assert [copies_wanted(n, config) for n in (1, 2, 10, 40, 60, 100, 900)] == [MOST, MOST, 9, 2, 2, 2, 2]
    still = replace(config, harmless=HarmlessConfig.none())
    assert [copies_wanted(n, still) for n in (1, 10, 60, 100, 900)] == [MOST, 9, 1, 0, 0]


def test_without_harmless_change_an_image_is_turned_as_its_class_may_be_and_but_once(encoder: Encoder) -> None:
    samples = (*samples_of(checks, count=3), *samples_of(corner, count=3), *samples_of(stripes, count=2))
    made = copies_of(samples, encoder, ONLY_TURNED)
    assert made is not None
    assert made.sources.bincount(minlength=8).tolist() == [7] * 3 + [0] * 3 + [3] * 2
    assert made.ranks.tolist() == [*range(1, 8)] * 3 + [1, 2, 3] * 2  # 0 is for one that stands for its image
    names = sorted({s.class_name for s in samples})
    assert [names[i] for i in made.features.class_ids.tolist()] == [samples[i].class_name for i in made.sources]
    few = copies_of(samples[:3], encoder, ONLY_TURNED.override("views.wanted=9"))
    assert few is not None and few.sources.tolist() == [0, 0, 1, 1, 2, 2]


def test_no_copies_where_none_are_wanted_or_a_class_cannot_be_asked(encoder: Encoder) -> None:
    assert copies_of(samples_of(checks, count=3), encoder, ONLY_TURNED.override("views.wanted=0")) is None
    assert copies_of(samples_of(checks, count=3), encoder, ONLY_TURNED.override("views.wanted=3")) is None
    assert copies_of(samples_of(checks, count=1), encoder, ONLY_TURNED.override("views.wanted=9")) is None


def test_a_copy_is_the_features_of_the_turned_image(encoder: Encoder) -> None:
    samples = samples_of(stripes, count=1) + samples_of(stripes, count=2)[1:]
    made = copies_of(samples, encoder, ONLY_TURNED)
    assert made is not None
    read = [
        replace(s, read=partial(lambda image, turn: image.transpose(turn), s.read(), turn))
        for s in samples
        for turn in (Image.Transpose.ROTATE_180, Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_TOP_BOTTOM)
    ]
    expected = encode_samples(read, ("stripes",), encoder, quiet).maps[1].float().flatten(1)
    found = made.features.maps[1].float().flatten(1)
    for image in range(2):  # its turns come in random order
        apart = torch.cdist(found[3 * image : 3 * image + 3], expected[3 * image : 3 * image + 3])
        assert sorted(apart.argmin(1).tolist()) == [0, 1, 2]
        assert apart.amin(1).max() < 0.02 * expected.norm(dim=1).mean()


def test_the_first_copy_is_changed_and_not_turned_and_others_are_wanted_for_some() -> None:
    encoder = Encoder(TinyFoundation())
    samples, config = samples_of(corner, count=4), default().override("views.wanted=8", "views.tolerance=100")
    made = copies_of(samples, encoder, config, {2: 5})
    assert made is not None
    assert made.sources.bincount().tolist() == [2, 2, 5, 2]
    assert made.ranks.tolist() == [0, 1, 0, 1, 0, 1, 2, 3, 4, 0, 1]
    upright = encode_samples(samples, ("corner",), encoder, quiet).maps[0].float().flatten(1)
    first = made.features.maps[0].float().flatten(1)[made.ranks == 0]
    assert (upright - first).norm(dim=1).max() < 0.5 * torch.pdist(torch.cat([upright[:1], upright.flip(1)[:1]])).min()
    assert not torch.equal(upright, first)
    again = copies_of(samples, encoder, config, {2: 5})
    assert again is not None and all(map(torch.equal, made.features.maps, again.features.maps))
    other = copies_of(samples, encoder, replace(config, seed=1), {2: 5})
    assert other is not None and not torch.equal(made.features.maps[0], other.features.maps[0])
