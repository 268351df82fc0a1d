"""What an adaptation changed: the taught class before and after, and what became of the others.

Ours. Everything here only measures: nothing of it is learned from, and no threshold is chosen by it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from ltad.data import Dataset, Sample
from ltad.data.demo import demo_dataset
from ltad.data.sources import DEMO, JOINED
from ltad.evaluation import metrics
from ltad.evaluation.table import evaluate
from ltad.foundation import ImageFeatures
from ltad.foundation.features import ENCODE_BATCH, Encoder, Store
from ltad.inspection.predictor import Predictor
from ltad.model.losses import reconstruction_loss
from ltad.model.ltad import LTAD
from ltad.photos.frame import map_to_image, measured_size, resize_mask
from ltad.progress import Progress, Stage, part
from ltad.words import counted, percent, spoken

MEASURE = Stage("measure")
DRAWN = 32  # images per class on which both models are compared
DEMO_TEST = {"test_good": 10, "test_defective_per_type": 2}  # images of each class, rendered wherever the checkpoint is


def before_and_after(
    parent: Predictor,
    adapted: Predictor,
    class_name: str,
    good: Sequence[Sample],
    defective: Sequence[Sample],
    progress: Progress,
) -> dict[str, Any]:
    """Compare an adapted checkpoint with its parent, as plain JSON values.

    ``before`` and ``after`` have the class's image scores as multiples of the threshold, good and defective apart,
    the image AUROC between the two, the pixel AUROC within the masked defective photographs, and the share that was
    recognised as the class. None stands for what is undefined. The parent judges a class that it does not have as
    the nearest one that it has. After, the good photographs have the scores of models that had not seen them.
    ``others`` has a row for every other class, see ``_others``.
    """
    is_new = class_name not in parent.card.class_names
    seen = _Seen.of([*good, *defective], parent.encoder, progress)
    before = _judged(parent, None if is_new else class_name, class_name, seen)
    after = _judged(adapted, class_name, class_name, seen)
    held_out = Counter(adapted.card.calibration.classes[class_name].scores)
    if not is_new:
        held_out -= Counter(parent.card.calibration.classes[class_name].scores)
    rate = adapted.card.config.calibration.false_alarm_rate
    after["good"] = [
        round(adapted.card.calibration.judge(score, class_name, rate).ratio, 4) for score in sorted(held_out.elements())
    ]
    return {
        "class": class_name,
        "is_new": is_new,
        "before": before | _separation(before),
        "after": after | _separation(after),
        "others": _others(parent, adapted, class_name, progress),
    }


class _Seen(NamedTuple):
    """The class's photographs as the image tower sees them, in batches, their labels, and the masks that there are."""

    batches: list[ImageFeatures]
    labels: list[int]
    masks: dict[int, np.ndarray]

    @classmethod
    def of(cls, samples: Sequence[Sample], encoder: Encoder, progress: Progress) -> Self:
        """Encode what was not encoded before."""
        batches = []
        for start in range(0, len(samples), ENCODE_BATCH):
            chunk = samples[start : start + ENCODE_BATCH]
            batches.append(encoder.encode(encoder.views([sample.read() for sample in chunk])))
            progress(MEASURE, start + len(chunk), len(samples))
        masks = {i: _measured(s.read_mask()) for i, s in enumerate(samples) if s.label and s.read_mask}
        return cls(batches, [sample.label for sample in samples], masks)


def _measured(mask: np.ndarray) -> np.ndarray:
    """A mask at the size at which it is measured."""
    height, width = mask.shape
    return resize_mask(mask, *measured_size((width, height)))


def _judged(predictor: Predictor, judged_as: str | None, class_name: str, seen: _Seen) -> dict[str, Any]:
    """The scores of the class's photographs by one checkpoint; judged_as: None = as the nearest class that it has."""
    card = predictor.card
    rate = card.config.calibration.false_alarm_rate
    scores: dict[int, list[float]] = {0: [], 1: []}
    maps, recognised, i = [], 0, 0
    for batch in seen.batches:
        device, count = batch.embedding.device, len(batch.embedding)
        class_ids = torch.full((count,), card.class_id(judged_as), device=device) if judged_as else None
        scored = predictor.score(batch, class_ids)
        nearest = scored.similarities.argmax(1).tolist()
        for row, class_id in enumerate(scored.class_ids.tolist()):
            name = card.class_names[class_id]
            judgement = card.calibration.judge(float(scored.image_scores[row]), name, rate)
            scores[seen.labels[i]].append(round(judgement.ratio, 4))
            known = card.calibration.is_known(name, float(scored.familiarity[row]))
            recognised += known and card.class_names[nearest[row]] == class_name
            if i in seen.masks:
                maps.append(map_to_image(scored.anomaly_maps[row].numpy(), *seen.masks[i].shape[::-1]))
            i += 1
    masks = list(seen.masks.values())
    marked = any(mask.any() for mask in masks) and not all(mask.all() for mask in masks)
    return {
        "good": scores[0],
        "defective": scores[1],
        "recognised": recognised / len(seen.labels),
        "pixel_auroc": metrics.pixel_auroc(masks, maps) if marked else None,
    }


def _separation(side: dict[str, Any]) -> dict[str, Any]:
    """How well good and defective are told apart, and how many of each are over the threshold."""
    good, defective = side["good"], side["defective"]
    labels = [0] * len(good) + [1] * len(defective)
    return {
        "image_auroc": metrics.image_auroc(labels, good + defective) if good and defective else None,
        "false_alarms": float(np.mean(np.array(good) > 1)) if good else None,
        "found": float(np.mean(np.array(defective) > 1)) if defective else None,
    }


def _others(parent: Predictor, adapted: Predictor, class_name: str, progress: Progress) -> list[dict[str, Any]]:
    """What became of every other class.

    reconstruction: the error on ``DRAWN`` images that the parent's generator draws of it, as a multiple of the
    parent's: over 1 = something was lost; below it, as replay trains on such images. recognised: whether its mean
    training image still is nearest to its own name. image_auroc, class_accuracy: before and after, on ``DEMO_TEST``
    images of the demo factory where the parent learned that; None otherwise.
    """
    others = [name for name in parent.card.class_names if name != class_name]
    errors = _reconstruction_errors(parent.checkpoint.model, adapted.checkpoint.model, parent.card.config.seed)
    nearest = adapted.checkpoint.model.match(parent.checkpoint.model.class_embeddings).argmax(1).tolist()
    is_of_the_demo = DEMO in parent.card.data.base.split(JOINED)
    figures = _on_the_demo(parent, adapted, others, progress) if is_of_the_demo else {}
    rows = []
    for name in others:
        class_id = parent.card.class_id(name)
        row = {"name": name, "reconstruction": round(errors[class_id], 4), "recognised": nearest[class_id] == class_id}
        rows.append(row | figures.get(name, {"image_auroc": None, "class_accuracy": None}))
    return rows


def _on_the_demo(
    parent: Predictor, adapted: Predictor, names: Sequence[str], progress: Progress
) -> dict[str, dict[str, Any]]:
    """Image AUROC, class given, and share of images recognised, before and after, on some of the demo's test images."""
    test = demo_dataset(train=0, **DEMO_TEST).test
    unmarked = tuple(
        replace(sample, read=cache(sample.read), read_mask=None) for sample in test if sample.class_name in names
    )
    if not unmarked:
        return {}
    store: Store = {}  # both ask about the same images, which are drawn once, too
    dataset = Dataset(name=DEMO, train=(), test=unmarked)
    tables = [
        evaluate(dataset, Predictor(each.foundation, each.checkpoint, store), progress=part(progress, i, 2))["classes"]
        for i, each in enumerate((parent, adapted))
    ]
    return {
        name: {key: [table[name][key] for table in tables] for key in ("image_auroc", "class_accuracy")}
        for name in tables[0]
    }


@torch.no_grad()
def _reconstruction_errors(parent: LTAD, adapted: LTAD, seed: int) -> list[float]:
    """How many times the parent's error the adapted model makes on drawn images of every class of the parent."""
    generator = torch.Generator().manual_seed(seed)
    ratios = []
    for name in parent.name_features:
        patches = parent.patches(parent.synthesis.draw(name.expand(DRAWN, -1), generator))
        ratios.append(_error(adapted, patches) / _error(parent, patches))
    return ratios


def _error(model: LTAD, patches: Tensor) -> float:
    return float(reconstruction_loss(model.reconstruction(patches), patches))


def taught_in_words(changes: dict[str, Any]) -> str:
    """What was measured of a taught class, in a sentence: on its own photographs, good and defective ones."""
    after = changes["after"]
    said = [f"recognised {percent(after['recognised'], 0)} %"]
    for kind, over in (("good", "false_alarms"), ("defective", "found")):
        if after[over] is not None:
            flagged = sum(score > 1 for score in after[kind])
            said.append(f"{flagged} of {counted(len(after[kind]), f'{kind} one')} over the threshold")
    if after["image_auroc"] is not None:
        said.append(f"image AUROC {percent(after['image_auroc'])}")
    return f"Measured on the photographs of {spoken(changes['class'])}: {', '.join(said)}."


def in_words(changes: dict[str, Any]) -> str:
    """What an adaptation changed, in a few lines."""
    name, before, after = changes["class"], changes["before"], changes["after"]
    lines = [f"{name}: recognised {percent(before['recognised'])} % before, {percent(after['recognised'])} % after"]
    for key, title in (("image_auroc", "image AUROC"), ("pixel_auroc", "pixel AUROC")):
        if after[key] is not None:
            lines.append(f"{name}: {title} {percent(before[key])} before, {percent(after[key])} after")
    for row in changes["others"]:
        fared = f"reconstruction error {row['reconstruction']:.2f} times what it was"
        if row["image_auroc"]:
            fared += ", image AUROC {} before, {} after".format(*map(percent, row["image_auroc"]))
        lines.append(f"{row['name']}: {fared}{'' if row['recognised'] else '; it is now taken for another class'}")
    return "\n".join(lines)
