"""Values of more than 8 bits as pictures: which of them is black, and which is white.

A camera of 12 bits writes files of 16, and says so or not. What is white is decided by the format's own words, else by
a rule that no single hot pixel can move; pictures that belong together are shown by the same levels.
"""

from collections.abc import Iterable, Iterator
from functools import reduce
from typing import NamedTuple

import numpy as np

WHITES = tuple(2**bits - 1 for bits in (8, 10, 12, 14, 16))  # of cameras
WHITEST = WHITES[-1]
OUTLIERS = 0.001  # our choice: the share of values that may lie beyond the levels, such as hot pixels
ROWS = 256  # that are computed with at a time: in double precision all of them would take eight times their bytes


class Levels(NamedTuple):
    """The values that are shown as black and as white; what lies beyond them is shown as they are."""

    low: float
    high: float

    def joined(self, other: "Levels") -> "Levels":
        """Those that hold both."""
        return Levels(min(self.low, other.low), max(self.high, other.high))

    def show(self, values: np.ndarray) -> np.ndarray:
        """Values from 0 to 255, as bytes; NaN is black."""
        if values.dtype.kind == "u" and values.dtype.itemsize == 2:
            return self._scaled(np.arange(WHITEST + 1))[values]
        return np.concatenate([self._scaled(rows) for rows in _blocks(values)])

    def _scaled(self, values: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):  # some NaN are signals
            scaled = values.astype(np.float64)
        np.nan_to_num(scaled, copy=False, nan=self.low, posinf=self.high, neginf=self.low)
        scaled -= self.low
        scaled *= 255 / ((self.high - self.low) or 1)
        return scaled.clip(0, 255, out=scaled).round(out=scaled).astype(np.uint8)


def joined(levels: Iterable[Levels | None]) -> Levels | None:
    """The levels that hold all of those of several pictures; None where none has any."""
    known = [each for each in levels if each is not None]
    return reduce(Levels.joined, known) if known else None


def levels_of(values: np.ndarray, stated: int | None = None) -> Levels | None:
    """The levels of one picture's values; None where none of them is a finite number.

    Whole numbers from 0 to 65535 are black at 0, and white at what the file states, unless more than ``OUTLIERS`` lie
    above; else at the first of 8, 10, 12, 14 and 16 bits that holds all but these. Floating-point values within [0, 1]
    have these levels. All others have the least and the greatest value, which may lie beyond all but ``OUTLIERS`` of
    the values by half of their range at most.
    """
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    if not finite.size:
        return None
    low, high = finite.min().item(), finite.max().item()
    if values.dtype.kind != "f" and low >= 0 and high <= WHITEST:
        top = _top(values)
        return Levels(0, stated if stated and top <= stated else next(white for white in WHITES if top <= white))
    if values.dtype.kind == "f" and low >= 0 and high <= 1:
        return Levels(0, 1)
    usual = np.quantile(finite, (OUTLIERS, 1 - OUTLIERS), method="nearest")  # between two floats it may overflow
    usual_low, usual_high = usual.astype(np.float64).tolist()
    beyond = (usual_high - usual_low) / 2
    return Levels(max(low, usual_low - beyond), min(high, usual_high + beyond))


def _top(values: np.ndarray) -> int:
    """The value that all but ``OUTLIERS`` of the whole numbers (from 0 to 65535) do not exceed."""
    counts = sum(np.bincount(rows.ravel(), minlength=WHITEST + 1) for rows in _blocks(values))
    return int(np.searchsorted(np.cumsum(counts), (1 - OUTLIERS) * values.size))


def _blocks(values: np.ndarray) -> Iterator[np.ndarray]:
    return (values[start : start + ROWS] for start in range(0, len(values), ROWS))
