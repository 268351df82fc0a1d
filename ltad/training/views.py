"""Which turns leave a class what it is: its own images say so.

Whether a part may be turned or mirrored cannot be known beforehand (a connector upside down is a defect), so the
normals decide: a turned image must be about as near to other images of its class as they are to each other.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from operator import itemgetter

import torch
from torch import Tensor

from ltad.data import Sample
from ltad.foundation.features import Encoder, Features, Views
from ltad.model.memory import nearest_distance
from ltad.model.patches import channel_statistics
from ltad.progress import Progress, Stage

TURNS = range(1, 8)  # quarter turns, then those of the mirrored image; 0 would be the image as it is
PROBED = 12  # images of a class that are asked about its turns
PROBE_STRIDE = 16  # pixels: patches of about this stride are compared


def turned(image: Tensor, turn: int) -> Tensor:
    """Turn an image (3, H, W) by 90 degrees ``turn`` times, and mirror it if ``turn`` is 4 or more."""
    quarter = torch.rot90(image, turn % 4, (1, 2))
    return quarter.flip(2) if turn >= 4 else quarter


def symmetries(
    samples: Sequence[Sample],
    features: Features,
    members: Tensor,
    encoder: Encoder,
    tolerance: float,
    progress: Progress,
) -> list[int]:
    """Find the turns that leave a class (members: indices of its images, two at least) what it is.

    Two halves of its images each say how far the patches of the other half are from their nearest ones. A turn is
    accepted if that distance grows by a factor of ``tolerance`` at most.
    """
    probed = members[:: max(1, len(members) // PROBED)][:PROBED]
    pairs = [(int(member), turn) for member in probed for turn in TURNS]
    classes = features.class_ids[probed].repeat_interleave(len(TURNS))
    stage = Stage(f"turns of {samples[int(members[0])].class_name}")
    images = _turned_images(samples, pairs, encoder.whole)
    copies = encoder.whole.features(images, classes, stage, progress, keep=False)
    layer = encoder.foundation.layer_near(PROBE_STRIDE)
    _, std = channel_statistics(features.maps[layer][probed], torch.zeros_like(probed))
    as_they_are = features.maps[layer][probed].float()
    by_turn = copies.maps[layer].float().unflatten(0, (len(probed), len(TURNS))).unbind(1)
    upright, *others = ((maps / std.float()[:, None, None]).flatten(2).mT for maps in (as_they_are, *by_turn))
    usual = _strangeness(upright, upright)
    return [turn for turn, maps in zip(TURNS, others, strict=True) if _strangeness(upright, maps) <= tolerance * usual]


def _strangeness(upright: Tensor, asked: Tensor) -> float:
    """Distances of the patches (n, N, C) of either half of the images to the nearest upright ones of the other."""
    half = len(upright) // 2
    halves = (upright[:half], asked[half:]), (upright[half:], asked[:half])
    return sum(nearest_distance(b.flatten(0, 1), a.flatten(0, 1)).sum().item() for a, b in halves)


def _turned_images(samples: Sequence[Sample], pairs: Sequence[tuple[int, int]], encoder: Encoder) -> Iterator[Views]:
    """Turn images, given as (index, turn); one that comes several times in a row is read once."""
    for index, group in groupby(pairs, key=itemgetter(0)):
        views = encoder.views([samples[index].read()])
        yield from (views.map(partial(turned, turn=turn)) for _, turn in group)
