"""From a score to a verdict: where a score stands among normal images that the model had not seen.

Conformal: the p-value (1 + #{normals >= s}) / (n + 1) of a new normal image is at most a with probability a, whatever
the scores' distribution, if new normals are like the old ones. So n normals cannot promise a rate under 1 / (n + 1).
"""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal, Self

Verdict = Literal["ok", "borderline", "defect"]
Figures = Mapping[str, Sequence[float]]  # of images, by class
KNOWN = 0.5  # of the usual similarity
DIGITS = 5  # of a score, wherever it is kept, told or compared, so that all who judge it compare the same number
BORDERLINE = 2.0  # our choice: up to this many times the false-alarm rate a p-value is borderline


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """A score against its normals, at a false-alarm rate: the one place where a verdict is made.

    threshold: the score above which the verdict is defect. normals: how many scores stand behind it.
    borrowed: True where the class has too few of its own and all classes' normals were taken.
    promised_rate: the share of normal images that the threshold may flag, never under 1 / (normals + 1).
    """

    score: float
    verdict: Verdict
    p_value: float
    threshold: float
    normals: int
    borrowed: bool
    promised_rate: float

    @property
    def ratio(self) -> float:
        """The score as a multiple of the threshold: over 1 = defect."""
        return float(self.in_thresholds(self.score))

    def in_thresholds(self, scores: Any) -> Any:
        """A score, or a map, as multiples of the threshold: over 1 = defect."""
        return scores / max(self.threshold, 1e-6)


@dataclass(frozen=True)
class Calibration:
    """Scores of held-out normal images per class, ascending, and how well those images matched their class's name."""

    scores: Mapping[str, tuple[float, ...]]
    similarities: Mapping[str, tuple[float, ...]]

    def with_figures(self, scores: Figures, similarities: Figures) -> Self:
        """The calibration with held-out figures of some classes, in any order, beside those that it has."""
        return type(self)(_joined(self.scores, scores), _joined(self.similarities, similarities))

    def normals(self, class_name: str, rate: float) -> tuple[tuple[float, ...], bool]:
        """The scores to compare with at a false-alarm rate, and whether they were borrowed from all classes."""
        own = self.scores[class_name]
        if smallest_rate(len(own)) <= rate:
            return own, False
        return self.everything(), True

    def everything(self) -> tuple[float, ...]:
        """The scores of all classes' normals, ascending."""
        return tuple(sorted(score for scores in self.scores.values() for score in scores))

    def is_known(self, class_name: str, similarity: float) -> bool:
        """Whether an image fits a class's name at least half as well as that class's normal images usually do.

        Our choice: at half the median, 99 % of test images of both shipped checkpoints are known, defective ones
        included, and 13 % and 27 % of the images of the other checkpoint's products pass for one of its own. A class of
        one image takes the median of all.
        """
        own = self.similarities[class_name]
        usual = median(own or [s for similarities in self.similarities.values() for s in similarities])
        return similarity >= usual - (1 - KNOWN) * abs(usual)

    def judge(self, score: float, class_name: str, rate: float) -> Judgement:
        """Give the verdict on an image of a class at a false-alarm rate in (0, 1)."""
        if not 0 < rate < 1:
            raise ValueError(f"false_alarm_rate must be in (0, 1), got {rate}")
        score = round(score, DIGITS)
        normals, borrowed = self.normals(class_name, rate)
        p = p_value(score, normals)
        promised = max(rate, smallest_rate(len(normals)))
        limit = threshold(normals, promised)
        verdict: Verdict = "defect" if score > limit else "borderline" if p <= BORDERLINE * promised else "ok"
        return Judgement(
            score=score,
            verdict=verdict,
            p_value=p,
            threshold=limit,
            normals=len(normals),
            borrowed=borrowed,
            promised_rate=promised,
        )


def _joined(table: Figures, more: Figures) -> dict[str, tuple[float, ...]]:
    """The figures of every class that one of the tables has, ascending."""
    names = dict.fromkeys((*table, *more))
    return {n: tuple(sorted(round(v, DIGITS) for v in (*table.get(n, ()), *more.get(n, ())))) for n in names}


def p_value(score: float, normals: tuple[float, ...]) -> float:
    """(1 + #{normals >= score}) / (n + 1), for ascending normals; small = unusual."""
    return (1 + len(normals) - bisect_left(normals, score)) / (len(normals) + 1)


def smallest_rate(normals: int) -> float:
    """The smallest false-alarm rate that so many normal images can promise."""
    return 1 / (normals + 1)


def threshold(normals: tuple[float, ...], rate: float) -> float:
    """The score that a normal image exceeds with probability ``rate`` at most; needs rate >= 1 / (n + 1).

    A score has a p-value of at most ``rate`` exactly if it is greater than the threshold.
    """
    if not normals or rate < smallest_rate(len(normals)):
        raise ValueError(f"{len(normals)} normal images cannot promise a false-alarm rate of {rate}")
    above = math.floor(rate * (len(normals) + 1) + 1e-9) - 1  # normals that may stand above it
    return normals[len(normals) - 1 - min(above, len(normals) - 1)]
