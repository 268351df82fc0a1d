"""The ``README.md`` of a checkpoint folder: what it was trained on, how good it is, how to make it again."""

import re
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from ltad.checkpoint.card import TENSORS, CheckpointCard
from ltad.words import percent, unmarked_in_words

FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
PACKAGE = "ltad"
TASK = "image-segmentation"  # of the Hub's tasks the nearest: it has none for anomalies
# The Hub's names of licences that data come under; whatever else is stated is “other” to it.
LICENCES = ("apache-2.0", "mit", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0")
METRICS = {"image_auroc": "Image AUROC", "pixel_auroc": "Pixel AUROC", "aupro_30": "AUPRO@0.3"}


def model_card(card: CheckpointCard) -> str:
    """The text for a checkpoint whose tensors are written, with figures where there are some."""
    text = "\n\n".join([f"# {card.name}", _what(card), _classes(card), _again(card)]) + "\n"
    return with_front_matter(text, card)


def with_front_matter(text: str, card: CheckpointCard) -> str:
    """A model card under what the Hub reads of it, in place of what it began with: library, task, licence, figures."""
    licence = _licence(card.data.licence)
    figures = _figures(card)
    data = ModelCardData(
        library_name=PACKAGE,
        pipeline_tag=TASK,
        license=licence,
        license_name="of-the-data" if licence == "other" else None,
        tags=["anomaly-detection", "long-tailed"],
        metrics=["roc_auc"] if figures else None,
        model_name=card.name if figures else None,
        eval_results=figures or None,
    )
    body = FRONT_MATTER.sub("", text).lstrip("\n")
    return f"---\n{data.to_yaml()}\n---\n\n{body}"


def _licence(stated: str) -> str | None:
    """The Hub's name of a licence that begins with its own, “other” for what has none or is several, None for none."""
    if not stated:
        return None
    begin = re.split(r"[,(]", stated)[0].strip().lower().replace(" ", "-")
    return begin if begin in LICENCES and ";" not in stated else "other"


def _figures(card: CheckpointCard) -> list[EvalResult]:
    """What was measured, means over all classes in [0, 1], as the Hub's index of models takes it."""
    mean: dict[str, Any] = (card.metrics or {"mean": {}})["mean"].get("all", {})
    return [
        EvalResult(
            task_type=TASK,
            task_name="Anomaly detection",
            dataset_type=card.data.base,
            dataset_name=f"{card.data.name}, imbalance {card.data.imbalance}",
            dataset_split="test",
            metric_type="roc_auc" if key.endswith("auroc") else key,
            metric_name=f"{title}, mean over classes",
            metric_value=round(mean[key], 4),
        )
        for key, title in METRICS.items()
        if mean.get(key) is not None
    ]


def _what(card: CheckpointCard) -> str:
    data = card.data
    broken = f"- Left out, as it could not be used: {', '.join(data.broken)}.\n" if data.broken else ""
    parent = f"- Adapted from: {card.parent.name}, sha256 `{card.parent.sha256}`.\n" if card.parent else ""
    return (
        f"An LTAD checkpoint (Ho, Peng, Vasconcelos, CVPR 2024, re-implemented) on the frozen foundation model "
        f"`{card.foundation.name}` ({card.foundation.image_size} px, sha256 `{card.foundation.sha256[:16]}…`).\n\n"
        f"{parent}- Data: {data.name}, imbalance `{data.imbalance}`, class order {data.order}, "
        f"split `{data.split_hash}`.\n"
        f"{broken}- Detail {card.detail}.\n"
        f"- Licence of the data: {data.licence or 'not stated; ask the owner of the data'}.\n"
        f"- Tensors: {(card.path / TENSORS).stat().st_size / 1e6:.1f} MB, sha256 `{card.sha256()}`."
    )


def _classes(card: CheckpointCard) -> str:
    measured = card.metrics["classes"] if card.metrics else {}
    rate = card.config.calibration.false_alarm_rate
    lines = [
        "## Classes and figures",
        "",
        "Test images, per cent, class given; the interval is a 95 % bootstrap over images. False alarms and found: the "
        f"good and the defective ones whose verdict is a defect at the checkpoint's own rate of {percent(rate)} %.",
        "",
        "| class | train | group | image AUROC | interval | false alarms | found | pixel AUROC | AUPRO@0.3 "
        "| held-out normals |",
        "|" + " --- |" * 10,
    ]
    for c in card.classes:
        normals = len(card.calibration.classes[c.name].scores)
        lines.append(f"| {c.name} | {c.n_train} | {c.group} | {_row(measured.get(c.name))} | {normals} |")
    for group, mean in (card.metrics or {"mean": {}})["mean"].items():
        lines.append(f"| **mean over {group}** | | {mean['n_classes']} | {_row(mean)} | |")
    return "\n".join([*lines, *_more(card.metrics or {})])


def _more(metrics: dict) -> list[str]:
    """What the figures are not of; what harmless change does to them, and how many strangers pass, where measured."""
    said = []
    if unmarked := unmarked_in_words(metrics.get("classes", {})):
        said += ["", f"Defective test images without a mask, in no pixel figure: {unmarked}."]
    if changed := _after_change(metrics):
        auroc, alarms, found = (percent(changed[key]) for key in ("image_auroc", "false_alarms", "found"))
        figures = f"image AUROC {auroc}, false alarms {alarms}, found {found}"
        said += ["", f"After harmless change: {figures} (means over all)."]
    if strangers := metrics.get("strangers"):
        low, high = strangers["mean_interval"]
        figures = f"{percent(strangers['mean'])} ({percent(low)} to {percent(high)})"
        said += ["", f"Strangers taken for a known product: {figures}, mean over {', '.join(strangers['classes'])}."]
    return said


def _after_change(metrics: dict) -> dict | None:
    """The means over all classes after harmless change, where they were measured."""
    return metrics.get("mean", {}).get("all", {}).get("harmless")


def _row(figures: dict | None) -> str:
    """The figures of a class or a mean; those of older checkpoints had none at the checkpoint's own rate."""
    figures = figures or {}
    interval = figures.get("image_auroc_interval")
    span = f"{percent(interval[0])} to {percent(interval[1])}" if interval else "n/a"
    auroc, *others = (
        percent(figures.get(key)) for key in ("image_auroc", "false_alarms", "found", "pixel_auroc", "aupro_30")
    )
    return " | ".join([auroc, span, *others])


def _again(card: CheckpointCard) -> str:
    metrics = card.metrics or {}
    harmless = " --harmless" if _after_change(metrics) else ""
    strangers = " --strangers OTHERS" if metrics.get("strangers") else ""
    measure = f"python -m ltad evaluate --data DATA --checkpoint {card.name}{harmless}{strangers}"
    return f"## Make it again\n\n```\n{card.data.command}\n{measure}\n```"
