"""A data set through the predictor, to a table: what is published is made by the code that a visitor runs."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ltad.data import Dataset, Sample
from ltad.errors import DatasetError
from ltad.evaluation import metrics
from ltad.files import write_text
from ltad.inspection.predictor import Predictor
from ltad.photos.frame import map_to_image, resize_mask
from ltad.progress import Progress, Stage
from ltad.words import percent

BATCH = 16  # images
EVALUATE = Stage("evaluate")
FIGURES = ("image_auroc", "image_ap", "image_f1_max", "pixel_auroc", "pixel_ap", "aupro_30", "aupro_05")
GROUPS = ("all", "head", "tail")


def evaluate(dataset: Dataset, predictor: Predictor, *, auto: bool = False, progress: Progress) -> dict[str, Any]:
    """Measure a checkpoint on a data set's test images, per class and as means over all, head and tail classes.

    auto: predict the class of every image instead of being told. Figures are in [0, 1], intervals are 95 % bootstrap
    intervals over images; pixels are those of the foundation model's input. What is undefined (no mask, one label
    only) is None, and left out of the means. Classes that the checkpoint does not know are named and left out.
    Raises DatasetError when no class is left.
    """
    card = predictor.card
    samples = [sample for sample in dataset.test if sample.class_name in card.class_names]
    left_out = sorted({sample.class_name for sample in dataset.test} - set(card.class_names))
    if not samples:
        raise DatasetError(
            f"{card.name} knows none of the classes of {dataset.name} ({', '.join(left_out) or 'no test images'}); "
            f"it knows {', '.join(card.class_names)}."
        )
    rows: dict[str, dict[str, Any]] = {}
    draws: dict[str, dict[str, np.ndarray]] = {}
    done = 0
    for card_class in card.classes:
        own = [sample for sample in samples if sample.class_name == card_class.name]
        if not own:
            continue
        scored = _Scored(own, predictor, auto)
        for _ in scored.run():
            done += 1
            progress(EVALUATE, min(done * BATCH, len(samples)), len(samples))
        figures, draws[card_class.name] = scored.figures(), scored.draws(card.config.seed)
        rows[card_class.name] = {"n_train": card_class.n_train, "group": card_class.group, **figures}
        rows[card_class.name] |= _intervals(draws[card_class.name])
    progress(EVALUATE, len(samples), len(samples))
    return {
        "checkpoint": card.name,
        "data": dataset.name,
        "foundation": predictor.foundation.fingerprint.name,
        "class_name": "auto" if auto else "given",
        "left_out": left_out,
        "classes": rows,
        "mean": {group: _mean(rows, draws, group) for group in GROUPS},
    }


class _Scored:
    """One class's test images and what the predictor says of them."""

    def __init__(self, samples: Sequence[Sample], predictor: Predictor, auto: bool) -> None:
        self.samples = samples
        self.predictor = predictor
        self.class_id = predictor.card.class_id(samples[0].class_name)
        self.auto = auto
        self.labels = np.array([sample.label for sample in samples])
        self.scores = np.empty(len(samples))
        self.matched = np.empty(len(samples), dtype=bool)
        self.maps: list[np.ndarray] = []
        self.masks: list[np.ndarray] = []
        self.has_masks = all(sample.read_mask for sample in samples if sample.label)

    def run(self) -> Iterator[None]:
        """Score the images, a batch a step."""
        size = self.predictor.foundation.fingerprint.image_size
        for start in range(0, len(self.samples), BATCH):
            batch = self.samples[start : start + BATCH]
            tensors = self.predictor.encoder.tensors([sample.read() for sample in batch])
            given = None if self.auto else torch.full((len(batch),), self.class_id, device=tensors.device)
            scored = self.predictor.predict_tensors(tensors, given)
            self.scores[start : start + len(batch)] = scored.image_scores.numpy()
            self.matched[start : start + len(batch)] = (scored.similarities.argmax(1) == self.class_id).numpy()
            for sample, anomaly_map in zip(batch, scored.anomaly_maps.numpy(), strict=True):
                self.maps.append(map_to_image(anomaly_map, size, size))
                self.masks.append(_mask(sample, size))
            yield

    @property
    def has_image_figures(self) -> bool:
        """Both normal and anomalous images are there."""
        return len(set(self.labels)) == 2

    @property
    def has_pixel_figures(self) -> bool:
        """Every anomalous image has a mask, and some pixel is anomalous."""
        return self.has_masks and any(mask.any() for mask in self.masks)

    def figures(self) -> dict[str, Any]:
        """Every figure of the class; None where it is undefined."""
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
        row["class_accuracy"] = float(self.matched.mean())
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


def _mask(sample: Sample, size: int) -> np.ndarray:
    """The ground truth at the input's size; empty for a normal image."""
    if sample.label and sample.read_mask:
        return resize_mask(sample.read_mask(), size)
    return np.zeros((size, size), dtype=bool)


def _intervals(draws: dict[str, np.ndarray]) -> dict[str, Any]:
    keys = ("image_auroc", "pixel_auroc")
    return {f"{key}_interval": metrics.interval(draws[key]) if key in draws else None for key in keys}


def _mean(rows: dict[str, dict[str, Any]], draws: dict[str, dict[str, np.ndarray]], group: str) -> dict[str, Any]:
    """Means over the classes of a group in which a figure is defined, and the intervals of those means."""
    members = [name for name, row in rows.items() if group in ("all", row["group"])]
    mean: dict[str, Any] = {"n_classes": len(members)}
    for key in (*FIGURES, "class_accuracy"):
        values = [rows[name][key] for name in members if rows[name][key] is not None]
        mean[key] = float(np.mean(values)) if values else None
    pooled = {
        key: np.mean([draws[name][key] for name in members if key in draws[name]], axis=0)
        for key in ("image_auroc", "pixel_auroc")
        if any(key in draws[name] for name in members)
    }
    return mean | _intervals(pooled)


def write_metrics(table: dict[str, Any], path: Path) -> None:
    """Write the table as JSON."""
    write_text(path, json.dumps(table, indent=1))


def format_table(table: dict[str, Any]) -> str:
    """The table for people: per cent, "n/a" where a figure is undefined."""
    names = ("image AUROC", "interval", "AP", "F1-max", "pixel AUROC", "AP", "PRO@.3", "PRO@.05", "class")
    lines = [f"{'':24} {'train':>6} {'group':>5} " + " ".join(f"{name:>11}" for name in names)]
    for name, row in table["classes"].items():
        lines.append(f"{name:24} {row['n_train']:6} {row['group']:>5} {_figures(row)}")
    for group, mean in table["mean"].items():
        lines.append(f"{f'mean over {group}':24} {'':6} {mean['n_classes']:>5} {_figures(mean)}")
    if table["left_out"]:
        lines.append(f"left out, unknown to {table['checkpoint']}: {', '.join(table['left_out'])}")
    return "\n".join(lines)


def _figures(row: dict[str, Any]) -> str:
    interval = row["image_auroc_interval"]
    cells = [percent(row[key]) for key in (*FIGURES, "class_accuracy")]
    cells.insert(1, f"{percent(interval[0])}–{percent(interval[1])}" if interval else "n/a")
    return " ".join(f"{cell:>11}" for cell in cells)


def in_words(means: dict[str, dict[str, Any]] | None) -> str:
    """The image AUROC over all, head and tail classes on one line, in per cent."""
    return (
        ", ".join(f"{group} {percent(mean['image_auroc'])}" for group, mean in (means or {}).items()) or "not measured"
    )
