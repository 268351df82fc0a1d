"""Test images and what the predictor says of them, and the figures of its scores at all thresholds."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import torch

from ltad.data import Sample
from ltad.evaluation import metrics
from ltad.inspection.predictor import Predictor, ScoredBatch
from ltad.photos.frame import map_to_image, resize_mask

BATCH = 16  # images
FIGURES = ("image_auroc", "image_ap", "image_f1_max", "pixel_auroc", "pixel_ap", "aupro_30", "aupro_05")
AUROCS = ("image_auroc", "pixel_auroc")  # those with intervals

Told = Callable[[int], None]  # how many more images are done


class Decision(NamedTuple):
    """What a checkpoint makes of an image at its own false-alarm rate.

    flagged: the verdict is a defect. refused: the image does not pass for one of the class that it is judged as, or is
    unusual everywhere.
    """

    flagged: bool
    refused: bool


def score(
    samples: Sequence[Sample], predictor: Predictor, class_id: int | None
) -> Iterator[tuple[Sequence[Sample], ScoredBatch]]:
    """Score images as the class of that id, or each as the nearest one where it is None, a batch a step."""
    for start in range(0, len(samples), BATCH):
        batch = samples[start : start + BATCH]
        tensors = predictor.encoder.tensors([sample.read() for sample in batch])
        given = None if class_id is None else torch.full((len(batch),), class_id, device=tensors.device)
        yield batch, predictor.predict_tensors(tensors, given)


def decide(scored: ScoredBatch, predictor: Predictor) -> list[Decision]:
    """Decide on each image of a batch, as the class that it was scored as.

    Whoever makes verdicts has a card that is calibrated for its own scores, a benchmark's rival as well; empty where
    the card is calibrated for nothing.
    """
    card = predictor.card
    if not card.calibration.classes:
        return []
    rate = card.config.calibration.false_alarm_rate
    decisions, everywhere = [], scored.everywhere(card.config)
    for i, class_id in enumerate(scored.class_ids.tolist()):
        name = card.class_names[class_id]
        verdict = card.calibration.judge(float(scored.image_scores[i]), name, rate).verdict
        known = card.calibration.is_known(name, float(scored.familiarity[i]))
        decisions.append(Decision(verdict == "defect", not known or everywhere[i]))
    return decisions


@dataclass(frozen=True)
class ScoredClass:
    """The n test images of one class, and what the predictor says of them.

    labels, scores: (n,). recognised: (n,), whether the class's name is the nearest one. decisions: n, or none, see
    ``decide``. masks, maps: n of each at the size of the foundation model's input; none where an anomalous image has
    no mask.
    """

    class_name: str
    labels: np.ndarray
    scores: np.ndarray
    recognised: np.ndarray
    decisions: Sequence[Decision]
    masks: Sequence[np.ndarray]
    maps: Sequence[np.ndarray]

    @classmethod
    def of(cls, samples: Sequence[Sample], predictor: Predictor, *, auto: bool, told: Told) -> Self:
        """Score one class's images as that class, or with auto each as the nearest one."""
        class_name = samples[0].class_name
        class_id = predictor.card.class_id(class_name)
        size = predictor.foundation.fingerprint.image_size
        has_masks = all(sample.read_mask for sample in samples if sample.label)
        scores: list[float] = []
        recognised: list[bool] = []
        decisions: list[Decision] = []
        masks: list[np.ndarray] = []
        maps: list[np.ndarray] = []
        for batch, scored in score(samples, predictor, None if auto else class_id):
            scores += scored.image_scores.tolist()
            recognised += (scored.similarities.argmax(1) == class_id).tolist()
            decisions += decide(scored, predictor)
            if has_masks:
                masks += [_mask(sample, size) for sample in batch]
                maps += [map_to_image(each, size, size) for each in scored.anomaly_maps.numpy()]
            told(len(batch))
        labels = np.array([sample.label for sample in samples])
        return cls(class_name, labels, np.array(scores), np.array(recognised), decisions, masks, maps)

    @property
    def has_image_figures(self) -> bool:
        """Both normal and anomalous images are there."""
        return len(set(self.labels)) == 2

    @property
    def has_pixel_figures(self) -> bool:
        """Every anomalous image has a mask, and some pixel is anomalous."""
        return any(mask.any() for mask in self.masks)

    def figures(self) -> dict[str, Any]:
        """Every figure of the scores and maps; None where it is undefined."""
        row: dict[str, Any] = {"n_normal": int((self.labels == 0).sum()), "n_anomalous": int(self.labels.sum())}
        row |= dict.fromkeys(FIGURES)
        if self.has_image_figures:
            row["image_auroc"] = metrics.image_auroc(self.labels, self.scores)
            row["image_ap"] = metrics.average_precision(self.labels, self.scores)
            row["image_f1_max"] = metrics.f1_max(self.labels, self.scores)
        if self.has_pixel_figures:
            row["pixel_auroc"] = metrics.pixel_auroc(self.masks, self.maps)
            row["pixel_ap"] = metrics.pixel_average_precision(self.masks, self.maps)
            row["aupro_30"] = metrics.aupro(self.masks, self.maps, 0.3)
            row["aupro_05"] = metrics.aupro(self.masks, self.maps, 0.05)
        row["class_accuracy"] = float(self.recognised.mean())
        return row

    def draws(self, seed: int) -> dict[str, np.ndarray]:
        """Bootstrap values of the AUROCs that are defined."""
        values = {}
        if self.has_image_figures:
            values["image_auroc"] = metrics.bootstrap(
                metrics.image_auroc, self.labels, self.scores, strata=self.labels, seed=seed
            )
        if self.has_pixel_figures:
            values["pixel_auroc"] = metrics.bootstrap_pixel_auroc(self.masks, self.maps, strata=self.labels, seed=seed)
        return values

    def flags(self, label: int) -> np.ndarray:
        """Which of the images of a label are flagged; empty where nothing was decided."""
        decided = zip(self.labels, self.decisions, strict=False)
        return np.array([each.flagged for own, each in decided if own == label], dtype=bool)


def _mask(sample: Sample, size: int) -> np.ndarray:
    """The ground truth at the input's size; empty for a normal image."""
    if sample.label and sample.read_mask:
        return resize_mask(sample.read_mask(), size)
    return np.zeros((size, size), dtype=bool)
