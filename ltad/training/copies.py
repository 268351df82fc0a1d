"""Copies of normal images that are normal, too: turned as their class may be, and changed as cameras change pictures.

Our addition to the paper. For the tail: seven screws that lie anyhow become a hundred. For every class: what a camera
or a program does to a photograph without doing anything to the part belongs to what is normal.
"""

import math
import zlib
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ltad.config import LTADConfig
from ltad.data import Sample
from ltad.foundation.features import Encoder, Features, Views
from ltad.photos.harmless import changed
from ltad.progress import Progress, Stage
from ltad.training.views import symmetries, turned

MOST = 14  # our choice: copies of one image; more of the same few images teach little
FINELY = 3  # our choice: copies of one image that are looked at finely; of those there are many patches each
LEAST = 1  # our choice: changed copies of one image; a second one costs exemplars what it is worth


class Copy(NamedTuple):
    """A copy to make: of which image, the how manyth of it, and how it is turned. The first one (0) is not turned."""

    source: int
    rank: int
    turn: int


class Copies(NamedTuple):
    """Features of the copies, which training image each was made of (copies,), the how manyth it is, and its turn."""

    features: Features
    sources: Tensor
    ranks: Tensor
    turns: Tensor


def copies_wanted(images: int, config: LTADConfig) -> int:
    """How many copies each image of a class of so many has at most: enough to be as many as wanted."""
    missing = math.ceil((config.views.wanted - images) / images)
    return min(MOST, max(LEAST if config.harmless.is_any else 0, missing))


def ranks_wanted(images: int, config: LTADConfig) -> int:
    """The rank under which a copy is one of those that are wanted; those that are only turned are counted from 1."""
    return copies_wanted(images, config) + (not config.harmless.is_any)


def make_copies(
    samples: Sequence[Sample],
    features: Features,
    encoder: Encoder,
    config: LTADConfig,
    more: dict[int, int],
    progress: Progress,
) -> Copies | None:
    """Make the copies of every image that its class wants; None where there are none.

    features: of the samples, in their order. more: images (by index) of which so many copies are wanted, if that is
    more.
    """
    chosen: list[Copy] = []
    for class_id in features.class_ids.unique().tolist():
        members = (features.class_ids == class_id).nonzero()[:, 0].tolist()
        usual = copies_wanted(len(members), config)
        wanted = {member: max(usual, more.get(member, 0)) for member in members}
        if not any(wanted.values()):
            continue
        turns: list[int] = []
        unturned = int(config.harmless.is_any)
        if len(members) > 1 and max(wanted.values()) > unturned and config.views.wanted:
            known = torch.tensor(members)
            turns = symmetries(samples, features, known, encoder, config.views.tolerance, progress)
        for member in members:
            chosen += _copies_of(member, wanted[member], turns, config)
    if not chosen:
        return None
    sources = torch.tensor([copy.source for copy in chosen])
    made = encoder.features(
        _views(samples, chosen, encoder, config), features.class_ids[sources], Stage("copies"), progress, keep=False
    )
    ranks, turned_by = (torch.tensor([getattr(copy, key) for copy in chosen]) for key in ("rank", "turn"))
    return Copies(made, sources, ranks, turned_by)


def _copies_of(image: int, count: int, turns: list[int], config: LTADConfig) -> list[Copy]:
    """The copies of one image: turned in all ways that there are, in random order, then all over again.

    Without harmless change a turn comes but once.
    """
    generator = np.random.default_rng((config.seed, image))
    order = [turns[i] for i in generator.permutation(len(turns))]
    if not config.harmless.is_any:
        return [Copy(image, rank, turn) for rank, turn in enumerate(order[:count], start=1)]
    every = [0, *order]
    return [Copy(image, rank, every[rank % len(every)]) for rank in range(count)]


def _views(samples: Sequence[Sample], copies: Sequence[Copy], encoder: Encoder, config: LTADConfig) -> Iterator[Views]:
    """Make the copies, as the tower takes them; an image is read once for all of its copies in a row.

    What is seen whole is changed at the tower's size, and what is seen finely at that of its view, by the same draw.
    """
    side = encoder.foundation.fingerprint.image_size
    for source, group in groupby(copies, key=lambda copy: copy.source):
        sample, picture = samples[source], samples[source].read()
        whole = picture.resize((side, side), Image.Resampling.BILINEAR)
        fine = [picture.resize(encoder.fine_size(picture.size), Image.Resampling.BILINEAR)] if encoder.detail else []
        strengths = config.harmless.of_class(sample.class_name)
        for copy in group:
            shown = [whole, *(fine if copy.rank < FINELY else ())]
            if config.harmless.is_any:
                seed = (config.seed, copy.rank, zlib.crc32(sample.name.encode()))
                shown = [changed(each, strengths, np.random.default_rng(seed)) for each in shown]
            yield encoder.views(shown[:1], shown[1:]).map(partial(turned, turn=copy.turn))
