"""What an adaptation changed: the taught class before and after, and what became of the others.

Ours. Everything here only measures: nothing of it is learned from, and no threshold is chosen by it.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ltad import images, metrics
from ltad.data import Sample
from ltad.data.demo import demo_dataset
from ltad.data.listing import file_sample
from ltad.errors import LTADError
from ltad.evaluation import percent
from ltad.features import ENCODE_BATCH, Progress
from ltad.losses import reconstruction_loss
from ltad.model.ltad import LTAD
from ltad.predictor import ALL, AUTO, Prediction, Predictor

DEFECTIVE = "defective"
MASK = "_mask"
DRAWN = 32  # images per known class on which both models are compared
DEMO = "demo"
DEMO_TEST = {"test_good": 10, "test_defective_per_type": 2}  # images of each class


def with_masks(photographs: Sequence[tuple[str, Path]]) -> list[tuple[str, Path, Path | None]]:
    """Photographs by the name to show and the file, and each with its mask's file, which NAME_mask beside NAME is."""
    stems = {PurePath(name).stem: path for name, path in photographs}
    masks = {stem for stem in stems if stem.endswith(MASK) and stem.removesuffix(MASK) in stems}
    named = [(PurePath(name).stem, name, path) for name, path in photographs]
    return [(name, path, stems.get(stem + MASK)) for stem, name, path in named if stem not in masks]


def as_defective(
    photographs: Sequence[tuple[str, Path]], class_name: str
) -> tuple[list[Sample], list[tuple[str, str]]]:
    """Make test samples of defective photographs, and name those that cannot be read, with reasons.

    Masks, as ``with_masks`` knows them, are over 0 where the defect is.
    """
    samples, refused = [], []
    for name, path, mask in with_masks(photographs):
        sample = file_sample(path, path.parent, class_name, DEFECTIVE, mask)
        try:
            images.open_photo(path.read_bytes())  # its errors do not name the file again
            if sample.read_mask:
                sample.read_mask()
        except LTADError as error:
            refused.append((name, str(error)))
        else:
            samples.append(sample)
    return samples, refused


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
    recognised as the class. None stands for what is undefined. The parent judges a class that it does not know as
    the nearest one that it knows. After, the good photographs have the scores of models that had not seen them.
    ``others`` has a row for every other class, see ``_others``.
    """
    known = class_name in parent.card.class_names
    before = _judged(parent, class_name if known else AUTO, class_name, good, defective, "before", progress)
    after = _judged(adapted, class_name, class_name, good, defective, "after", progress)
    held_out = Counter(adapted.card.calibration.scores[class_name])
    held_out -= Counter(parent.card.calibration.scores.get(class_name, ()))
    rate = adapted.card.config.calibration.false_alarm_rate
    after["good"] = [
        round(adapted.card.calibration.judge(score, class_name, rate).in_thresholds(score), 4)
        for score in sorted(held_out.elements())
    ]
    return {
        "class": class_name,
        "is_new": not known,
        "before": before | _separation(before),
        "after": after | _separation(after),
        "others": _others(parent, adapted, class_name, progress),
    }


def _judged(
    predictor: Predictor,
    judged_as: str,
    class_name: str,
    good: Sequence[Sample],
    defective: Sequence[Sample],
    stage: str,
    progress: Progress,
) -> dict[str, Any]:
    """The scores of the class's photographs by one checkpoint."""
    scores: dict[int, list[float]] = {0: [], 1: []}
    masks, maps, recognised = [], [], 0
    size = predictor.foundation.fingerprint.image_size
    samples = [*good, *defective]
    for done, (sample, prediction) in enumerate(_predictions(predictor, judged_as, samples), start=1):
        scores[sample.label].append(round(prediction.judgement.in_thresholds(prediction.image_score), 4))
        recognised += prediction.known and prediction.matches[0].name == class_name
        if sample.label and sample.read_mask:
            masks.append(images.resize_mask(sample.read_mask(), size))
            maps.append(images.map_to_image(prediction.patch_maps[ALL], size, size))
        progress(stage, done, len(samples))
    marked = any(mask.any() for mask in masks) and not all(mask.all() for mask in masks)
    return {
        "good": scores[0],
        "defective": scores[1],
        "recognised": recognised / len(samples),
        "pixel_auroc": metrics.pixel_auroc(masks, maps) if marked else None,
    }


def _predictions(
    predictor: Predictor, judged_as: str, samples: Sequence[Sample]
) -> Iterator[tuple[Sample, Prediction]]:
    predictions = predictor.predict_many((sample.read() for sample in samples), judged_as)
    for sample, prediction in zip(samples, predictions, strict=True):
        if not isinstance(prediction, Prediction):
            raise prediction
        yield sample, prediction


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
    figures = _on_the_demo(parent, adapted, others, progress) if parent.card.data.name == DEMO else {}
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
    rows, size = {}, parent.foundation.fingerprint.image_size
    for done, name in enumerate(names):
        progress("others", done, len(names))
        samples = [sample for sample in test if sample.class_name == name]
        labels = [sample.label for sample in samples]
        tensors = torch.stack([images.to_tensor(sample.read(), size) for sample in samples])
        scored = []
        for predictor in (parent, adapted):
            class_ids = torch.full((len(samples),), predictor.card.class_id(name))
            batches = zip(tensors.split(ENCODE_BATCH), class_ids.split(ENCODE_BATCH), strict=True)
            batches = [predictor.predict_tensors(*batch) for batch in batches]
            scores = torch.cat([batch.image_scores for batch in batches]).numpy()
            own = torch.cat([batch.similarities.argmax(1) for batch in batches]) == class_ids
            scored.append((metrics.image_auroc(labels, scores), round(float(own.float().mean()), 4)))
        rows[name] = dict(zip(("image_auroc", "class_accuracy"), map(list, zip(*scored, strict=True)), strict=True))
    progress("others", len(names), len(names))
    return rows


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
