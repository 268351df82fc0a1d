"""What is seen where classes of many images play classes of few.

A class of four images cannot say what its next good parts will score. Classes of hundreds can be cut down to four,
learned like any class of four, and judged on the images that were taken from them: several classes, several times.
What their good parts score, in the unit of what the four are said to score themselves, is what a class of four may
expect.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

MEAN_COUNTS = 8.0  # our choice: what such classes score counts as much as what a class's own eight images do
SPREAD_COUNTS = 4.0  # our choice: the same of the spread
POINTS = 25  # scores that are kept of each class


class Scale(NamedTuple):
    """Where the scores of a class's normal images lie: their mean and spread."""

    mean: float
    spread: float

    def of(self, scores: Sequence[float] | np.ndarray) -> np.ndarray:
        """Scores in this scale."""
        return (np.asarray(scores) - self.mean) / self.spread

    def back(self, scaled: Sequence[float] | np.ndarray) -> np.ndarray:
        """The scores that are so much in this scale."""
        return self.mean + self.spread * np.asarray(scaled)


def usual_scale(held_out: Sequence[np.ndarray]) -> Scale:
    """The scale of classes of so few, on the average, from their held-out scores; of none: scores as they are."""
    there = [scores for scores in held_out if len(scores) > 1]
    if not there:
        return Scale(0.0, 1.0)
    return Scale(float(np.mean([s.mean() for s in there])), max(1e-6, float(np.mean([s.std(ddof=1) for s in there]))))


def own_scale(held_out: Sequence[float] | np.ndarray, images: int, usual: Scale) -> Scale:
    """A class's own scale, from its held-out scores, leaning on what is usual for classes of so few images."""
    scores = np.asarray(held_out)
    if len(scores) < 2:
        return usual
    trust = images / (images + MEAN_COUNTS)
    variance = (images * scores.var(ddof=1) + SPREAD_COUNTS * usual.spread**2) / (images + SPREAD_COUNTS)
    return Scale(trust * float(scores.mean()) + (1 - trust) * usual.mean, float(np.sqrt(variance)))


class Performance(NamedTuple):
    """What was seen when a class played: its held-out scores, and those of images that it had not, as they are and
    changed harmlessly, where such change is normal.
    """

    class_name: str
    held_out: np.ndarray
    others: np.ndarray
    changed: np.ndarray


@dataclass(frozen=True)
class Rehearsal:
    """Classes of many that played a class of so few images.

    usual: the scale of their held-out scores. scores: by class, of good images that it had not, in its own scale,
    ascending. changed: of the same after harmless change; of no class where nothing is harmless.
    """

    usual: Scale
    scores: Mapping[str, tuple[float, ...]]
    changed: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, played: Sequence[Performance], images: int) -> "Rehearsal":
        """From what was seen where classes played so many images."""
        usual = usual_scale([each.held_out for each in played])
        tables: tuple[dict[str, list[np.ndarray]], ...] = ({}, {})
        for each in played:
            scale = own_scale(each.held_out, images, usual)
            for table, scores in zip(tables, (each.others, each.changed), strict=True):
                if len(scores):
                    table.setdefault(each.class_name, []).append(scale.of(scores))
        kept = ({name: points(np.concatenate(parts), POINTS) for name, parts in table.items()} for table in tables)
        return cls(usual, *kept)

    def rounded(self, digits: int) -> "Rehearsal":
        """As it is kept."""
        tables = (
            {name: tuple(round(score, digits) for score in theirs) for name, theirs in table.items()}
            for table in (self.scores, self.changed)
        )
        return Rehearsal(Scale(*(round(value, digits) for value in self.usual)), *tables)

    def moved(self, scores: Sequence[float], held_out: Sequence[float], played: int) -> list[float]:
        """Scores of a class's held-out images, as they are or changed, moved to where those of new images will lie.

        held_out: those as they are, which say what the class is like. played: how many images each class had that
        played. Held-out images are judged by half of their class, so that they score higher, and differ more, than new
        images will: they are moved as those of the classes that played would be, and with twice the images half as far.
        """
        scale, by_class = own_scale(held_out, len(held_out), self.usual), [np.asarray(s) for s in self.scores.values()]
        seen = Scale(float(np.mean([s.mean() for s in by_class])), float(np.mean([s.std() for s in by_class])))
        share, scaled = min(1.0, played / max(1, len(held_out))), scale.of(scores)
        return scale.back((1 - share) * scaled + share * seen.back(scaled)).tolist()

    def others(self, held_out: Sequence[float], count: int, *, changed: bool = False) -> list[float]:
        """So many scores that good images of a class may have, given its held-out ones, as other classes say.

        Each of the classes that played counts the same. changed: after harmless change; none where nothing is harmless.
        """
        seen = self.changed if changed else self.scores
        if not (count and seen):
            return []
        scale = own_scale(held_out, len(held_out), self.usual)
        return scale.back(points(np.concatenate([np.asarray(s) for s in seen.values()]), count)).tolist()


def points(values: Sequence[float] | np.ndarray, count: int) -> tuple[float, ...]:
    """So many values that stand for all of them: quantiles in even steps, ascending."""
    return tuple(np.quantile(np.asarray(values), (np.arange(count) + 0.5) / count).tolist())
