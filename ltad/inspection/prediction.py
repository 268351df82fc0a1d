"""``Prediction``: what is known of one photograph, and how it is told to programs.

The scores are the model's; the verdict and the places that stand out follow from them at a false-alarm rate.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np

from ltad.checkpoint.card import CheckpointCard
from ltad.judging.calibration import DIGITS, Judgement
from ltad.judging.regions import Region, find_regions, is_everywhere
from ltad.photos.decode import Photo
from ltad.photos.frame import map_to_image
from ltad.words import counted, percent

ALL = "all"  # parts together
MOST_MATCHES = 5  # classes that a report names
UNKNOWN = "unknown"


@dataclass(frozen=True)
class ClassMatch:
    """How well an image fits a learned name: cosine similarity in [-1, 1]."""

    name: str
    similarity: float


class ClassVerdict(NamedTuple):
    """What a photograph would be as one of the classes."""

    match: ClassMatch
    judgement: Judgement


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What is known of one photograph.

    card: of the checkpoint that scored it. photo: the photograph, or a small picture in its place, see ``small``;
    size: (width, height) of the photograph itself. class_name: the class that it was judged as; given: whether
    that was asked for, not recognised. matches: every class, the most similar first. known: False where the name of
    the class it was judged as does not fit the image. patch_maps: (h, w) each, in standard deviations
    above normal, the scores of the patches under "all", and those of reconstruction and of semantics alone under their
    names; whole_map: (h, w), what "all" would be of the whole frame alone. image_score, part_scores: of the image, in
    the same unit. seconds: per step.
    """

    card: CheckpointCard
    photo: Photo
    size: tuple[int, int]
    class_name: str
    given: bool
    matches: tuple[ClassMatch, ...]
    known: bool
    patch_maps: dict[str, np.ndarray]
    whole_map: np.ndarray
    image_score: float
    part_scores: dict[str, float]
    judgement: Judgement
    seconds: dict[str, float]

    @property
    def checkpoint(self) -> str:
        """The name of the checkpoint."""
        return self.card.name

    @property
    def foundation(self) -> str:
        """The name of its foundation model."""
        return self.card.foundation.name

    @property
    def similarity(self) -> float:
        """Cosine similarity of the image to the name of the class it was judged as."""
        return next(m.similarity for m in self.matches if m.name == self.class_name)

    @property
    def margin(self) -> float:
        """How much better that name fits than the best other one; negative where another fits better."""
        others = [m.similarity for m in self.matches if m.name != self.class_name]
        return self.similarity - max(others) if others else 0.0

    @property
    def verdict(self) -> str:
        """What everybody is told first: the judgement's, or "unknown" where class or light do not fit."""
        return self.judgement.verdict if self.known and not self.everywhere else UNKNOWN

    @property
    def named(self) -> str | None:
        """The class as it may be told: given, or recognised; None where it was to be recognised and was not."""
        return self.class_name if self.given or self.verdict != UNKNOWN else None

    @property
    def nearest(self) -> str:
        """The class whose name is the most similar to the image, however little that is."""
        return self.matches[0].name

    @cached_property
    def anomaly_map(self) -> np.ndarray:
        """The map (H, W) float32 in the photograph's pixels, in standard deviations above normal."""
        return map_to_image(self.patch_maps[ALL], *self.size)

    @cached_property
    def everywhere(self) -> bool:
        """Whether a known product is unusual all over, so that no place of it stands out."""
        return self.known and is_everywhere(self.whole_map, self.card.config)

    @cached_property
    def regions(self) -> tuple[Region, ...]:
        """The places over the judgement's threshold, the highest peak first; none where all of it is unusual."""
        if self.everywhere:
            return ()
        return find_regions(self.patch_maps[ALL], self.judgement.threshold, self.size)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to the photograph to read it, and what a person should know before trusting the verdict."""
        return self.photo.notes + self._doubts()

    def _doubts(self) -> tuple[str, ...]:
        doubts = []
        name, nearest = self.class_name, self.nearest
        if not self.known and nearest != name:
            doubts.append(
                f"the image does not look like “{name}”, which was given; the nearest learned class is “{nearest}”"
            )
        elif not self.known:
            doubts.append(
                "unknown product: the image fits none of the learned classes well, so the verdict, made as "
                f"“{name}”, means little"
            )
        if self.everywhere:
            doubts.append(
                "the photograph is unusual everywhere at once: its light, sharpness or position is unlike the training "
                "pictures, it shows another product, or the defect covers most of it"
            )
        if self.judgement.provisional:
            doubts.append(f"provisional: “{name}” was learned from {self._few()}, {self._seen()}")
        return tuple(doubts)

    def _few(self) -> str:
        return counted(self.card.classes[self.card.class_id(self.class_name)].n_train, "image")

    def _seen(self) -> str:
        """What is known of false alarms where a class has so few images."""
        seen = self.judgement.seen_rates
        if seen is None:
            return "and how many of its good parts exceed the threshold was not measured"
        mean, worst = (percent(share, 0) for share in seen)
        return (
            f"and where other classes were cut down to as few, {mean} % of their good parts exceeded the threshold, "
            f"in the worst class {worst} %"
        )

    def at(self, rate: float) -> Self:
        """The same scores, judged at another false-alarm rate in (0, 1)."""
        return replace(self, judgement=self.card.calibration.judge(self.image_score, self.class_name, rate))

    def small(self, side: int) -> Self:
        """The same with a picture of no more than ``side`` pixels a side in the photograph's place, to keep many."""
        picture = self.photo.image.copy()
        picture.thumbnail((side, side))
        return replace(self, photo=replace(self.photo, image=picture))

    def report(self) -> dict[str, Any]:
        """The prediction as plain JSON values, of which every page, file and program shows its part."""
        judgement = self.judgement
        return {
            "verdict": self.verdict,
            "provisional": judgement.provisional,
            "image_score": judgement.score,
            "threshold": round(judgement.threshold, DIGITS),
            "p_value": round(judgement.p_value, DIGITS),
            "normals": judgement.normals.own,
            "class": {
                "name": self.named,
                "similarity": round(self.similarity, DIGITS),
                "margin": round(self.margin, DIGITS),
                "known": self.known,
            },
            "top_classes": [
                {"name": m.name, "similarity": round(m.similarity, DIGITS)} for m in self.matches[:MOST_MATCHES]
            ],
            "scores": {part: round(score, DIGITS) for part, score in self.part_scores.items()},
            "regions": [
                {"box": list(region.box), "area": region.area, "peak": round(region.peak, DIGITS)}
                for region in self.regions
            ],
            "checkpoint": self.checkpoint,
            "foundation": self.foundation,
            "image_size": list(self.size),
            "notes": list(self.notes),
            "seconds": {step: round(seconds, 4) for step, seconds in self.seconds.items()},
        }
