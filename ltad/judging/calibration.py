"""From a score to a verdict: where a score stands among the scores of normal images that the model had not seen.

Conformal: the p-value (1 + #{normals >= s}) / (n + 1) of a new normal image is at most a with probability a, whatever
the scores' distribution, if new normals are like the old ones. So n normals cannot promise a rate under 1 / (n + 1).
Every class has one list of such scores for all rates, so that a threshold never rises with the rate. A class of few
images fills its list up with what is seen where classes of many play classes of few.
"""

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from statistics import fmean
from typing import Any, Literal, NamedTuple, Self

from ltad.judging.rehearsal import Rehearsal, points

FAMILIAR_BY = ("images", "name")  # what an image is recognised by: similarity to where images lie, or to the name
Verdict = Literal["ok", "borderline", "defect"]
DIGITS = 5  # of a score, wherever it is kept, told or compared, so that all who judge it compare the same number
BORDERLINE = 2.0  # our choice: up to this many times the false-alarm rate a p-value is borderline
ENOUGH = 60  # our choice: images that speak for their class alone; the list of fewer is filled up to as many
SEVERAL = 3  # our choice: classes that must have played as few images, where so many played at all
CHANGED = 1.5  # our choice: how many times the rate may pass a threshold after harmless change; benchmarks.caution
FEW = 3  # images: with so few nothing is promised, but what was seen in rehearsal is told
FAMILIARITY_COUNTS = 2.0  # our choice: what is usual in other classes counts as much as a class's own two images


@dataclass(frozen=True)
class HeldOut:
    """What a class's normal images are like to models that had not seen them, in any order; a lone image: nothing.

    scores: of the images as they are; changed: after harmless change, where that is normal. familiarity: how similar
    they are to where the class's other images lie.
    """

    scores: tuple[float, ...] = ()
    changed: tuple[float, ...] = ()
    familiarity: tuple[float, ...] = ()

    def joined(self, other: "HeldOut") -> "HeldOut":
        """Both together."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return HeldOut(*((*mine, *its) for mine, its in pairs))

    def rounded(self) -> "HeldOut":
        """As it is kept."""
        return HeldOut(*(tuple(sorted(round(v, DIGITS) for v in values)) for values in vars(self).values()))


class Backing(NamedTuple):
    """What stands behind a threshold.

    own: held-out images of the class itself. images: how many its list stands for; where its own are fewer, the rest
    are those of classes that played as many images (played), or, where None, of all classes.
    """

    own: int
    images: int
    played: int | None

    @property
    def is_provisional(self) -> bool:
        """Whether so few images can promise nothing."""
        return self.own <= FEW


@dataclass(frozen=True)
class Normals:
    """What the scores of a class are compared with.

    scores: ascending. images, own, played: see ``Backing``. Where classes played, those of the class itself are moved
    as theirs were, see ``Rehearsal.moved``. Where harmless change raises the scores of a class very much, they are
    raised as well.
    """

    scores: tuple[float, ...]
    images: int
    own: int
    played: int | None = None

    @property
    def smallest_rate(self) -> float:
        """The smallest false-alarm rate that so many normal images can promise."""
        return 1 / (self.images + 1)

    def threshold(self, rate: float) -> float:
        """The score that a normal image exceeds with probability ``rate`` at most.

        A score has a p-value of at most ``rate`` exactly if it is greater than the threshold. It never rises with the
        rate; under the smallest rate it stays where it is.
        """
        above = math.floor(max(rate, self.smallest_rate) * (len(self.scores) + 1) + 1e-9) - 1
        return self.scores[len(self.scores) - 1 - min(max(above, 0), len(self.scores) - 1)]

    def p_value(self, score: float) -> float:
        """(1 + #{normals >= score}) / (n + 1); small = unusual."""
        return (1 + len(self.scores) - bisect_left(self.scores, score)) / (len(self.scores) + 1)


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """A score against its normals, at a false-alarm rate: the one place where a verdict is made.

    threshold: the score above which the verdict is defect. promised_rate: the share of normal images that the threshold
    may flag, never under what the normals can promise. provisional: True where the class has so few images that nothing
    is promised; seen_rates are then the share of good images that was flagged in rehearsal, on the average over classes
    and at worst, if there was one.
    """

    score: float
    verdict: Verdict
    p_value: float
    threshold: float
    normals: Normals
    promised_rate: float
    provisional: bool
    seen_rates: tuple[float, float] | None

    @property
    def ratio(self) -> float:
        """The score as a multiple of the threshold: over 1 = defect."""
        return float(self.in_thresholds(self.score))

    def in_thresholds(self, scores: Any) -> Any:
        """A score, or a map, as multiples of the threshold: over 1 = defect."""
        return scores / max(self.threshold, 1e-6)


@dataclass(frozen=True)
class Calibration:
    """What normal images that no model had seen are like, by class, and what was seen in rehearsal, by size.

    reach: how much less familiar than its class usually is an image of it may be, in the unit of ``FAMILIAR_BY``.
    tolerated: how many times the rate may pass a threshold after harmless change.
    """

    classes: Mapping[str, HeldOut]
    rehearsals: Mapping[int, Rehearsal] = field(default_factory=dict)
    reach: float = 2.0
    familiar_by: str = FAMILIAR_BY[0]
    tolerated: float = CHANGED

    def with_held_out(self, more: Mapping[str, HeldOut]) -> Self:
        """The calibration with held-out figures of some classes beside those that it has."""
        names = dict.fromkeys((*self.classes, *more))
        nothing = HeldOut()
        joined = {n: self.classes.get(n, nothing).joined(more.get(n, nothing)).rounded() for n in names}
        rehearsals = {size: each.rounded(DIGITS) for size, each in self.rehearsals.items()}
        return replace(self, classes=joined, rehearsals=rehearsals)

    def normals(self, class_name: str) -> Normals:
        """What the scores of a class are compared with, at every rate."""
        return self._normals[class_name]

    @cached_property
    def _normals(self) -> dict[str, Normals]:
        return {name: self._filled(held_out) for name, held_out in self.classes.items()}

    def backing(self, class_name: str) -> Backing:
        """What stands behind the threshold of a class."""
        normals = self.normals(class_name)
        return Backing(normals.own, normals.images, normals.played)

    def expected(self, own: int) -> Backing:
        """What will stand behind the threshold of a new class with so many held-out images."""
        played, there = self._played(own), sum(len(each.scores) for each in self.classes.values())
        return Backing(own, max(own, ENOUGH if played else min(ENOUGH, own + there)), played)

    def _filled(self, held_out: HeldOut) -> Normals:
        own, changed, images = list(held_out.scores), list(held_out.changed), len(held_out.scores)
        played = self._played(images)
        if played:
            rehearsal, missing = self.rehearsals[played], max(0, ENOUGH - images)
            scores = rehearsal.moved(own, own, played) + rehearsal.others(own, missing)
            changed = rehearsal.moved(changed, own, played) + rehearsal.others(own, missing, changed=True)
        else:
            everywhere = [score for each in self.classes.values() for score in each.scores]
            missing = min(ENOUGH, len(everywhere)) - images
            scores = [*own, *(points(everywhere, missing) if missing > 0 else ())]
        rounded = sorted(round(float(score), DIGITS) for score in _raised(sorted(scores), changed, self.tolerated))
        return Normals(tuple(rounded), len(rounded), images, played)

    def _played(self, images: int) -> int | None:
        """The size among those that were played which stands for classes of so many images: the next smaller one."""
        several = min(SEVERAL, max((len(each.scores) for each in self.rehearsals.values()), default=0))
        sizes = [size for size, each in self.rehearsals.items() if len(each.scores) >= several]
        return max((size for size in sizes if size <= max(1, images)), default=None)

    def seen_rates(self, images: int, rate: float) -> tuple[float, float] | None:
        """How many good images of classes that played so few were flagged at a rate: on the average, and at worst.

        The threshold for each is made from the others, as if it had not played. None where fewer than two played.
        """
        played = self._played(images)
        if played is None or len(self.rehearsals[played].scores) < 2:
            return None
        by_class = self.rehearsals[played].scores
        shares = []
        for name, scores in by_class.items():
            others = sorted(s for other, theirs in by_class.items() if other != name for s in theirs)
            limit = Normals(tuple(others), len(others), 0).threshold(rate)
            shares.append(sum(score > limit for score in scores) / len(scores))
        return fmean(shares), max(shares)

    def usual_familiarity(self, class_name: str) -> float:
        """How familiar images of a class usually are; one of few images leans on the other classes."""
        return self._usual_familiarity[class_name]

    @cached_property
    def _usual_familiarity(self) -> dict[str, float]:
        means = {name: fmean(each.familiarity) for name, each in self.classes.items() if each.familiarity}
        if not means:
            return dict.fromkeys(self.classes, -1.0)
        everywhere = fmean(means.values())
        usual = {}
        for name, each in self.classes.items():
            trust = len(each.scores) / (len(each.scores) + FAMILIARITY_COUNTS)
            usual[name] = trust * means.get(name, 0.0) + (1 - trust) * everywhere
        return usual

    def is_known(self, class_name: str, familiarity: float) -> bool:
        """Whether an image is familiar enough to be one of a class."""
        return familiarity >= self.usual_familiarity(class_name) - self.reach

    def judge(self, score: float, class_name: str, rate: float) -> Judgement:
        """Give the verdict on an image of a class at a false-alarm rate in (0, 1)."""
        if not 0 < rate < 1:
            raise ValueError(f"false_alarm_rate must be in (0, 1), got {rate}")
        score = round(score, DIGITS)
        normals = self.normals(class_name)
        p, limit = normals.p_value(score), normals.threshold(rate)
        promised = max(rate, normals.smallest_rate)
        verdict: Verdict = "defect" if score > limit else "borderline" if p <= BORDERLINE * promised else "ok"
        provisional = self.backing(class_name).is_provisional
        return Judgement(
            score=score,
            verdict=verdict,
            p_value=p,
            threshold=limit,
            normals=normals,
            promised_rate=promised,
            provisional=provisional,
            seen_rates=self.seen_rates(normals.own, rate) if provisional else None,
        )


def _raised(scores: list[float], changed: list[float], tolerated: float) -> list[float]:
    """Scores (ascending) as high as changed images want it: of these, so many times as many may lie above at most.

    Changed images that are too few to promise that at the smallest rate raise nothing. Most scores stay; but of a class
    whose patches are nervous, such as brushed metal, nearly all good parts would be defects after a change that nobody
    sees.
    """
    after = Normals(tuple(sorted(changed)), len(changed), len(changed))
    rates = [min(1.0, tolerated * above / (len(scores) + 1)) for above in range(len(scores), 0, -1)]
    if not (scores and changed) or rates[-1] < after.smallest_rate:
        return scores
    return [max(score, after.threshold(rate)) for score, rate in zip(scores, rates, strict=True)]
