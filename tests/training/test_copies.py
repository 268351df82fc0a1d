"""Copies of normal images: how many there are, of what, and that they are normal."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from PIL import Image

from ltad.config import HarmlessConfig, LTADConfig
from ltad.data import Sample
from ltad.foundation import FoundationModel
from ltad.foundation.features import Encoder
from ltad.presets import default
from ltad.progress import quiet
from ltad.training.copies import MOST, Copies, copies_wanted, make_copies
from ltad.training.images import encode_samples
from tests.toys import TinyFoundation
from tests.training.patterns import checks, corner, forgetful, samples_of, stripes

ONLY_TURNED = replace(default(), harmless=HarmlessConfig.none())


@pytest.fixture(scope="module")
def encoder(foundation: FoundationModel) -> Encoder:
    return forgetful(foundation)


def copies_of(
    samples: tuple[Sample, ...], encoder: Encoder, config: LTADConfig, more: dict[int, int] | None = None
) -> Copies | None:
    names = tuple(sorted({s.class_name for s in samples}))
    features = encode_samples(samples, names, encoder, quiet)
    return make_copies(samples, features, encoder, config, more or {}, quiet)


def test_a_class_is_brought_to_the_number_wanted_and_every_image_changed_once() -> None:
    config = default().override("views.wanted=100")
    assert [copies_wanted(n, config) for n in (1, 2, 10, 40, 60, 100, 900)] == [MOST, MOST, 9, 2, 1, 1, 1]
    still = replace(config, harmless=HarmlessConfig.none())
    assert [copies_wanted(n, still) for n in (1, 10, 60, 100, 900)] == [MOST, 9, 1, 0, 0]


def test_without_harmless_change_an_image_is_turned_as_its_class_may_be_and_but_once(encoder: Encoder) -> None:
    samples = (*samples_of(checks, count=3), *samples_of(corner, count=3), *samples_of(stripes, count=2))
    made = copies_of(samples, encoder, ONLY_TURNED)
    assert made is not None
    assert made.sources.bincount(minlength=8).tolist() == [7] * 3 + [0] * 3 + [3] * 2
    assert made.ranks.tolist() == [*range(1, 8)] * 3 + [1, 2, 3] * 2  # 0 is for one that stands for its image
    assert made.turns.view(-1).sort().values.unique().tolist() == [*range(1, 8)]
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
    samples, config = samples_of(corner, count=4), default().override("views.wanted=12", "views.tolerance=100")
    made = copies_of(samples, encoder, config, {2: 5})
    assert made is not None
    assert made.sources.bincount().tolist() == [2, 2, 5, 2]
    assert made.ranks.tolist() == [0, 1, 0, 1, 0, 1, 2, 3, 4, 0, 1]
    assert (made.turns[made.ranks == 0] == 0).all() and (made.turns[made.sources == 2] > 0).any()
    upright = encode_samples(samples, ("corner",), encoder, quiet).maps[0].float().flatten(1)
    first = made.features.maps[0].float().flatten(1)[made.ranks == 0]
    assert (upright - first).norm(dim=1).max() < 0.5 * torch.pdist(torch.cat([upright[:1], upright.flip(1)[:1]])).min()
    assert not torch.equal(upright, first)
    again = copies_of(samples, encoder, config, {2: 5})
    assert again is not None and all(map(torch.equal, made.features.maps, again.features.maps))
    other = copies_of(samples, encoder, replace(config, seed=1), {2: 5})
    assert other is not None and not torch.equal(made.features.maps[0], other.features.maps[0])
