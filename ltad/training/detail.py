"""How finely photographs are worth looking at: as finely as they are, as far as there is time."""

import statistics
import time
from collections.abc import Sequence
from typing import NamedTuple

import torch

from ltad.data import Sample
from ltad.foundation.base import FoundationModel
from ltad.foundation.features import Encoder, Views
from ltad.photos.frame import fine_size

BUDGET = 500  # ms; our choice: what looking finely at one photograph may take
TIMES = (4, 2)
ENOUGH = 0.9  # our choice: of the pixels along a side that a look shows, a photograph must have so many
PROBED = 8  # photographs whose sizes are asked
ROUNDS = 3
STEP = 16  # pixels, about what a fine view's sides are multiples of


class Look(NamedTuple):
    """How finely photographs are looked at: of this many pixels (width, height), at so many, in about so many ms."""

    times: int
    size: tuple[int, int]
    seen: tuple[int, int]
    milliseconds: float

    def __str__(self) -> str:
        if self.times == 1:
            return f"detail 1: photographs of {_by(self.size)} pixels are seen whole only"
        return (
            f"detail {self.times}: photographs of {_by(self.size)} pixels are seen at {_by(self.seen)}, too, in about "
            f"{self.milliseconds:.0f} ms each (at most {BUDGET})"
        )


def affordable(samples: Sequence[Sample], foundation: FoundationModel) -> Look:
    """The finest look that shows hardly more pixels than most photographs have, and takes no more than ``BUDGET``."""
    some = samples[:: max(1, len(samples) // PROBED)][:PROBED]
    sizes = [sample.read().size for sample in some]
    size = sorted(sizes, key=min)[len(sizes) // 2]
    side = foundation.fingerprint.image_size
    one = _milliseconds(Encoder(foundation))
    for times in TIMES:
        seen = fine_size(size, times * side, STEP)
        takes = one * seen[0] * seen[1] / side**2
        if min(size) >= ENOUGH * times * side and takes <= BUDGET:
            return Look(times, size, seen, takes)
    return Look(1, size, (side, side), one)


def _milliseconds(encoder: Encoder) -> float:
    """What the tower takes for one image."""
    side = encoder.foundation.fingerprint.image_size
    view, taken = Views(torch.zeros(1, 3, side, side)), []
    for _ in range(1 + ROUNDS):
        start = time.perf_counter()
        encoder.encode(view)
        taken.append(1000 * (time.perf_counter() - start))
    return statistics.median(taken[1:])


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]} × {size[1]}"
