"""Which turns a class's own images allow."""

import pytest
import torch

from ltad.foundation import FoundationModel
from ltad.foundation.features import Encoder
from ltad.progress import quiet
from ltad.training.images import encode_samples
from ltad.training.views import TURNS, symmetries, turned
from tests.training.patterns import Draw, checks, corner, forgetful, samples_of, stripes


@pytest.fixture(scope="module")
def encoder(foundation: FoundationModel) -> Encoder:
    return forgetful(foundation)


@pytest.mark.parametrize(
    ("draw", "expected"), [(stripes, [2, 4, 6]), (corner, []), (checks, list(TURNS))], ids=lambda v: str(v)[:20]
)
def test_the_images_themselves_say_which_turns_are_normal(draw: Draw, expected: list[int], encoder: Encoder) -> None:
    samples = samples_of(draw, count=4)
    features = encode_samples(samples, (draw.__name__,), encoder, quiet)
    assert symmetries(samples, features, torch.arange(4), encoder, 1.08, quiet) == expected


def test_the_seven_turns_are_different_and_keep_every_pixel() -> None:
    image = torch.arange(27.0).reshape(3, 3, 3)
    others = [turned(image, turn) for turn in TURNS]
    assert len({tuple(t.flatten().tolist()) for t in (image, *others)}) == 8
    assert all(torch.equal(t.flatten(1).sort().values, image.flatten(1).sort().values) for t in others)
