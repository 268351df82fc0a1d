"""Test images and what the predictor says of them, and the figures of its scores at all thresholds."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from PIL import Image

from ltad.data import Fault, Sample
from ltad.data.look import unmarked, unreadable
from ltad.errors import DatasetError, ImageError
from ltad.evaluation import metrics
from ltad.inspection.predictor import Predictor, ScoredBatch
from ltad.machine import CPU
from ltad.photos.frame import map_to_image, measured_size, resize_mask

BATCH = 16  # images
FIGURES = ("image_auroc", "image_ap", "image_f1_max", "pixel_auroc", "pixel_ap", "aupro_30", "aupro_05")
AUROCS = ("image_auroc", "pixel_auroc")  # those with intervals


@dataclass(frozen=True)
class Told:
    """Who is told how many more images are done, and of every file that cannot be used."""

    done: Callable[[int], None]
    broken: Callable[[Fault], None]


class Decision(NamedTuple):
    """What a checkpoint makes of an image at its own false-alarm rate.

    flagged: the verdict is a defect. refused: the image does not pass for one of the class that it is judged as, or is
    unusual everywhere.
    """

    flagged: bool
    refused: bool


def score(
    samples: Sequence[Sample], predictor: Predictor, class_id: int | None, told: Told
) -> Iterator[tuple[Sequence[Sample], Sequence[tuple[int, int]], ScoredBatch]]:
    """Score images as the class of that id, or each as the nearest one where it is None, a batch a step.

    Gives the samples, their pictures' sizes (width, height), and their scores.

    An image that cannot be read is told of, and is in no batch.
    """
    for start in range(0, len(samples), BATCH):
        asked = samples[start : start + BATCH]
        pictures = dict(_read(asked, told))
        if pictures:
            views = predictor.encoder.views([*pictures.values()])
            given = None if class_id is None else torch.full((len(pictures),), class_id, device=CPU)
            sizes = [picture.size for picture in pictures.values()]
            yield [asked[i] for i in pictures], sizes, predictor.predict_views(views, given)
        told.done(len(asked))


def _read(samples: Sequence[Sample], told: Told) -> Iterator[tuple[int, Image.Image]]:
    """The pictures of the samples that can be read, by their number."""
    for number, sample in enumerate(samples):
        try:
            yield number, sample.read()
        except ImageError as error:
            told.broken(unreadable(sample, error))


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
    """The n test images of one class that can be read, and what the predictor says of them.

    labels, scores: (n,). recognised: (n,), whether the class's name is the nearest one. decisions: n, or none, see
    ``decide``. has_truth: (n,), whether it is known of each pixel what it shows: of a normal image, and of an anomalous
    one with a mask. masks, maps: of these images, at their ``measured_size``; none where no anomalous image has
    a mask.
    """

    class_name: str
    labels: np.ndarray
    scores: np.ndarray
    recognised: np.ndarray
    decisions: Sequence[Decision]
    has_truth: np.ndarray
    masks: Sequence[np.ndarray]
    maps: Sequence[np.ndarray]

    @classmethod
    def of(cls, samples: Sequence[Sample], predictor: Predictor, *, auto: bool, told: Told) -> Self:
        """Score one class's images as that class, or with auto each as the nearest one."""
        class_name = samples[0].class_name
        class_id = predictor.card.class_id(class_name)
        has_masks = any(sample.read_mask for sample in samples if sample.label)
        labels: list[int] = []
        scores: list[float] = []
        recognised: list[bool] = []
        decisions: list[Decision] = []
        has_truth: list[bool] = []
        masks: list[np.ndarray] = []
        maps: list[np.ndarray] = []
        for batch, sizes, scored in score(samples, predictor, None if auto else class_id, told):
            labels += [sample.label for sample in batch]
            scores += scored.image_scores.tolist()
            recognised += (scored.similarities.argmax(1) == class_id).tolist()
            decisions += decide(scored, predictor)
            for sample, size, anomaly_map in zip(batch, sizes, scored.anomaly_maps, strict=True):
                mask = _mask(sample, measured_size(size), told)
                has_truth.append(mask is not None)
                if has_masks and mask is not None:
                    masks.append(mask)
                    maps.append(map_to_image(anomaly_map.numpy(), *mask.shape[::-1]))
        known = np.array(has_truth, dtype=bool)
        return cls(class_name, np.array(labels), np.array(scores), np.array(recognised), decisions, known, masks, maps)

    @property
    def has_image_figures(self) -> bool:
        """Both normal and anomalous images are there."""
        return len(set(self.labels)) == 2

    @property
    def has_pixel_figures(self) -> bool:
        """Some pixel is known to be anomalous."""
        return any(mask.any() for mask in self.masks)

    def figures(self) -> dict[str, Any]:
        """Every figure of the scores and maps; None where it is undefined.

        n_unmarked: the anomalous images that no pixel figure is of, as they have no mask.
        """
        row: dict[str, Any] = {"n_normal": int((self.labels == 0).sum()), "n_anomalous": int(self.labels.sum())}
        row["n_unmarked"] = int((self.labels.astype(bool) & ~self.has_truth).sum())
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
            strata = self.labels[self.has_truth]
            values["pixel_auroc"] = metrics.bootstrap_pixel_auroc(self.masks, self.maps, strata=strata, seed=seed)
        return values

    def flags(self, label: int) -> np.ndarray:
        """Which of the images of a label are flagged; empty where nothing was decided."""
        decided = zip(self.labels, self.decisions, strict=False)
        return np.array([each.flagged for own, each in decided if own == label], dtype=bool)


def _mask(sample: Sample, size: tuple[int, int], told: Told) -> np.ndarray | None:
    """The ground truth at a size (width, height), empty for a normal image; None where it is not known."""
    if not sample.label:
        return np.zeros(size[::-1], dtype=bool)
    if sample.read_mask is None:
        return None
    try:
        return resize_mask(sample.read_mask(), *size)
    except (DatasetError, ImageError) as error:
        told.broken(unmarked(sample, error))
        return None
