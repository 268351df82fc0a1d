"""The tables of the checkpoints that ship, as their folders tell them: ``python -m benchmarks.family [FOLDER ...]``.

Two tables of all checkpoints, and every class of the first one. Nothing is measured here: ``evaluate --harmless
--strangers`` was, and lies in the folders.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.tables import markdown
from ltad.checkpoint.card import CheckpointCard
from ltad.checkpoint.folder import checkpoint_folders, read_card
from ltad.words import percent

FEW = 3  # images, up to which a verdict is provisional
Row = dict[str, Any]


def accuracy(cards: Sequence[CheckpointCard]) -> str:
    """AUROCs at all thresholds, with their intervals."""
    heads = [
        "checkpoint",
        "images per class",
        "image AUROC, all",
        "head",
        "tail",
        "pixel AUROC, all",
        "tail",
        "class right",
    ]
    rows = []
    for card in cards:
        every, head, tail = (_mean(card, group) for group in ("all", "head", "tail"))
        counts = [each.n_train for each in card.classes]
        images = f"{max(counts)} to {min(counts)}" if len(set(counts)) > 1 else str(counts[0])
        figures = [_with_interval(every, "image_auroc"), percent(head.get("image_auroc"))]
        figures += [_with_interval(tail, "image_auroc"), percent(every.get("pixel_auroc"))]
        figures += [percent(tail.get("pixel_auroc")), percent(every.get("class_accuracy"))]
        rows.append([f"`{card.name}`", images, *figures])
    return markdown(heads, rows)


def at_work(cards: Sequence[CheckpointCard]) -> str:
    """What each flags, finds and refuses at its own rate; false alarms apart by how many images a class has."""
    heads = [
        "checkpoint",
        "good parts flagged, all",
        "head",
        "tail, 4 and more images",
        "1 to 3",
        "defects found",
        "at best",
    ]
    heads += ["flagged after change", "found", "image AUROC", "strangers taken, worst", "own refused"]
    rows = []
    for card in cards:
        every, changed = _mean(card, "all"), _mean(card, "all").get("harmless") or {}
        tail = [row for row in _rows(card) if row["group"] == "tail"]
        figures = [_with_interval(every, "false_alarms"), percent(_mean(card, "head").get("false_alarms"))]
        figures += [_mean_and_worst(tail, lambda row: row["n_train"] > FEW)]
        figures += [_mean_and_worst(tail, lambda row: row["n_train"] <= FEW)]
        figures += [_with_interval(every, "found"), percent(every.get("found_at_best"))]
        figures += [percent(changed.get(key)) for key in ("false_alarms", "found", "image_auroc")]
        rows.append([f"`{card.name}`", *figures, _strangers(card), percent(every.get("refused"))])
    return markdown(heads, rows)


def by_class(card: CheckpointCard) -> str:
    """The main figures of every class."""
    heads = [
        "class",
        "train",
        "group",
        "image AUROC",
        "flagged",
        "found",
        "at best",
        "flagged after change",
        "pixel AUROC",
    ]
    rows = []
    for row in _rows(card):
        keys = ("image_auroc", "false_alarms", "found", "found_at_best")
        changed = (row.get("harmless") or {}).get("false_alarms")
        figures = [*(row[key] for key in keys), changed, row["pixel_auroc"], row["class_accuracy"]]
        rows.append([row["name"], str(row["n_train"]), row["group"], *map(percent, figures)])
    return markdown([*heads, "class right"], rows)


def _rows(card: CheckpointCard) -> list[Row]:
    """What was measured of every class, by name."""
    return [{"name": name} | row for name, row in sorted((card.metrics or {"classes": {}})["classes"].items())]


def _mean(card: CheckpointCard, group: str) -> Row:
    return (card.metrics or {"mean": {}})["mean"].get(group, {})


def _with_interval(row: Row, key: str) -> str:
    told = percent(row.get(key))
    interval = row.get(f"{key}_interval")
    return f"{told} ({' to '.join(percent(end) for end in interval)})" if interval else told


def _mean_and_worst(rows: Iterable[Row], chosen: Callable[[Row], bool]) -> str:
    """The mean of the false alarms of some classes, and those of the worst one."""
    shares = [row["false_alarms"] for row in rows if chosen(row) and row["false_alarms"] is not None]
    return f"{percent(sum(shares) / len(shares))} (worst {percent(max(shares), 0)})" if shares else percent(None)


def _strangers(card: CheckpointCard) -> str:
    measured = (card.metrics or {}).get("strangers")
    if not measured:
        return percent(None)
    return f"{percent(measured['mean'])}, {percent(max(row['taken'] for row in measured['classes'].values()), 0)}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables of the folders that are given, or of all that ship."""
    folders = [Path(word) for word in (sys.argv[1:] if arguments is None else arguments)] or list(checkpoint_folders())
    cards = [read_card(folder) for folder in folders]
    cards.sort(key=lambda card: card.data.base == "demo")  # real products first
    print(accuracy(cards), at_work(cards), f"`{cards[0].name}` by class:", by_class(cards[0]), sep="\n\n")


if __name__ == "__main__":
    main()
