"""Checkpoints as HTML: cards with the long tail itself, the family over imbalance levels, and two verdicts compared."""

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from matplotlib import colormaps
from PIL import Image

from app.glossary import explain_all, explained
from app.predictors import order
from app.texts import contents
from ltad.checkpoint.card import CheckpointCard, ClassCard
from ltad.inspection.prediction import ALL, Prediction
from ltad.words import percent, spoken

BAR_WIDTH, BAR_HEIGHT = 300, 70  # the long tail's drawing, in its own units
CURVE_WIDTH, CURVE_HEIGHT, LEFT, BOTTOM = 460, 220, 44, 34  # the family's
GROUPS = ("all", "head", "tail")
FIGURES = {
    "image_auroc": "image AUROC",
    "pixel_auroc": "pixel AUROC",
    "false_alarms": "false alarms",
    "found": "defects found",
}
MAIN = ("image_auroc", "false_alarms", "found")  # the figures of each class, and of all after harmless change
DIFFERENCE = "PuOr_r"  # colours; the middle is "the same"
DIFFERENCE_SIDE = 256  # pixels
NOT_MEASURED = "not measured"


def checkpoint_cards(cards: Sequence[CheckpointCard], speeds: dict[str, str]) -> str:
    """Every checkpoint on a card; speeds: what an image takes here, of those that were loaded, in words."""
    return f'<div class="deck">{"".join(_card(card, speeds.get(card.name, "not loaded yet")) for card in cards)}</div>'


def _card(card: CheckpointCard, speed: str) -> str:
    data = card.data
    facts = {
        "Data": f"{escape(data.name)}, imbalance {explained(data.imbalance)}",
        "Licence of the data": f'<span lang="en">{escape(data.licence)}</span>' if data.licence else "not stated",
        "Foundation model": f"{escape(card.foundation.name)}, {card.foundation.image_size} px",
        "Detail": card.detail,
        "Size": f"{(card.path / 'model.safetensors').stat().st_size / 1e6:.1f} MB",
        "sha256": card.sha256(),
        "Time": escape(speed),
    }
    rows = "".join(f"<dt>{key}</dt><dd>{value}</dd>" for key, value in facts.items())
    folded = _folded("Each class", _classes(card)) + _folded("Data, size, time", f'<dl class="facts">{rows}</dl>')
    return f'<section class="card"><h2>{escape(card.name)}</h2>{_long_tail(card)}{_figures(card)}{folded}</section>'


def _folded(title: str, what: str) -> str:
    return f"<details><summary>{title}</summary>{what}</details>"


def _classes(card: CheckpointCard) -> str:
    """Every class with its training images and figures, those with the most images first."""
    measured = card.metrics["classes"] if card.metrics else {}
    rows = ""
    for c in _by_images(card):
        figures = "".join(f"<td>{percent(measured.get(c.name, {}).get(key))}</td>" for key in MAIN)
        images = f"<td>{c.n_train} {explained(c.group)}</td>"
        rows += f'<tr><th scope="row">{escape(spoken(c.name))}</th>{images}{figures}</tr>'
    titles = ("class", "images", *(FIGURES[key] for key in MAIN))
    head = "".join(f'<th scope="col">{explain_all(title)}</th>' for title in titles)
    return f'<div class="sideways">{_table(head, rows)}</div>'


def _by_images(card: CheckpointCard) -> list[ClassCard]:
    return sorted(card.classes, key=lambda c: (-c.n_train, c.name))


def _long_tail(card: CheckpointCard) -> str:
    """Training images per class, the most first; head and tail told apart by colour and by the line between them."""
    classes = _by_images(card)
    step, most = BAR_WIDTH / len(classes), classes[0].n_train
    bars = []
    for i, c in enumerate(classes):
        height = max(1.5, BAR_HEIGHT * c.n_train / most)
        label = f"{escape(spoken(c.name))}: {c.n_train} training images, {c.group}"
        bars.append(
            f'<rect class="{c.group}" x="{i * step + 1:.1f}" y="{BAR_HEIGHT - height:.1f}" width="{step - 2:.1f}" '
            f'height="{height:.1f}"><title>{label}</title></rect>'
        )
    said, _ = contents(card)
    return (
        f'<svg class="long-tail" viewBox="0 0 {BAR_WIDTH} {BAR_HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{said}">{"".join(bars)}</svg><p class="quiet">{said}</p>'
    )


def _figures(card: CheckpointCard) -> str:
    if card.metrics is None:
        return f'<p class="quiet">Image AUROC, pixel AUROC, false alarms, defects found: {NOT_MEASURED}.</p>'
    mean = [card.metrics["mean"][group] for group in GROUPS]
    head = "".join(f'<th scope="col">{explained(group)}</th>' for group in GROUPS)
    head = f'<th scope="col">per cent</th>{head}'
    changed = [row["harmless"] for row in mean if row.get("harmless")]
    after = _table(head, _rows({key: FIGURES[key] for key in MAIN}, changed))
    figures = _table(head, _rows(FIGURES, mean)) + _strangers(card.metrics.get("strangers"))
    return figures + (_folded("After harmless change", after) if changed else "")


def _rows(titles: Mapping[str, str], groups: Sequence[dict[str, Any]]) -> str:
    return "".join(
        f'<tr><th scope="row">{explain_all(title)}</th>'
        f"{''.join(f'<td>{_figure(row, key)}</td>' for row in groups)}</tr>"
        for key, title in titles.items()
    )


def _strangers(measured: dict[str, Any] | None) -> str:
    """How many products that the checkpoint does not know pass for known ones, if that was measured."""
    if not measured:
        return ""
    low, high = measured["mean_interval"]
    return (
        f'<p class="quiet">Strangers taken for a known product: {percent(measured["mean"])} % '
        f"({percent(low)} to {percent(high)}), mean over {len(measured['classes'])} products.</p>"
    )


def _table(head: str, rows: str) -> str:
    return f'<table class="figures"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _figure(row: dict[str, Any], key: str) -> str:
    """A figure with its interval; tables of older checkpoints lack some."""
    interval = row.get(f"{key}_interval")
    span = f"<small>{percent(interval[0])} to {percent(interval[1])}</small>" if interval else ""
    return f"{percent(row.get(key))} {span}"


def family(cards: Sequence[CheckpointCard]) -> str:
    """For every data set with several checkpoints, how head and tail fare as the imbalance grows."""
    by_data: dict[str, list[CheckpointCard]] = {}
    for card in cards:
        if card.metrics is not None:
            by_data.setdefault(card.data.name, []).append(card)
    parts = [_family_of(name, sorted(members, key=order)) for name, members in by_data.items() if len(members) > 1]
    return "".join(parts) or '<p class="quiet">There is no data set with checkpoints of several imbalance levels.</p>'


def _family_of(name: str, members: Sequence[CheckpointCard]) -> str:
    rows = []
    for card in members:
        mean = card.metrics["mean"] if card.metrics else {}
        counts = [c.n_train for c in card.classes]
        cells = "".join(f"<td>{_figure(mean[group], 'image_auroc')}</td>" for group in GROUPS)
        rows.append(
            f'<tr><th scope="row">{escape(card.name)}</th><td>{explained(card.data.imbalance)}</td>'
            f"<td>{max(counts)} to {min(counts)}</td>{cells}</tr>"
        )
    titles = ("checkpoint", "imbalance", "images per class", *GROUPS)
    head = "".join(f'<th scope="col">{explained(title)}</th>' for title in titles)
    return (
        f'<section class="card"><h3>{escape(name)}: image AUROC over imbalance</h3>{_curves(members)}'
        f'<div class="sideways">{_table(head, "".join(rows))}</div></section>'
    )


def _curves(members: Sequence[CheckpointCard]) -> str:
    """Head and tail, with their intervals; each level has its own test set's classes, so that the tail differs."""
    points = {
        group: [(i, card.metrics["mean"][group]) for i, card in enumerate(members) if card.metrics]
        for group in ("head", "tail")
    }
    points = {group: [(i, row) for i, row in some if row["image_auroc"] is not None] for group, some in points.items()}
    bounds = [value for some in points.values() for _, row in some for value in row["image_auroc_interval"]]
    if not bounds:
        return ""
    low, high = np.floor(20 * min(bounds)) / 20, np.ceil(20 * max(bounds)) / 20

    def x(i: int) -> float:
        return LEFT + (CURVE_WIDTH - LEFT - 30) * (i + 0.5) / len(members)

    def y(value: float) -> float:
        return 10 + (CURVE_HEIGHT - BOTTOM - 10) * (high - value) / (high - low)

    marks = [
        f'<line class="grid" x1="{LEFT}" x2="{CURVE_WIDTH - 10}" y1="{y(v):.1f}" y2="{y(v):.1f}"/>'
        f'<text x="{LEFT - 6}" y="{y(v) + 4:.1f}" text-anchor="end">{100 * v:.0f}</text>'
        for v in np.arange(low, high + 1e-9, 0.05)
    ]
    marks += [
        f'<text x="{x(i):.1f}" y="{CURVE_HEIGHT - 14}" text-anchor="middle">{escape(card.data.imbalance)}</text>'
        for i, card in enumerate(members)
    ]
    for shift, (group, some) in zip((-4, 4), points.items(), strict=True):
        path = " ".join(f"{x(i) + shift:.1f},{y(row['image_auroc']):.1f}" for i, row in some)
        marks.append(f'<polyline class="{group}" points="{path}"/>')
        for i, row in some:
            at, (bottom, top) = x(i) + shift, row["image_auroc_interval"]
            marks.append(
                f'<line class="{group}" x1="{at:.1f}" x2="{at:.1f}" y1="{y(bottom):.1f}" y2="{y(top):.1f}"/>'
                f'<circle class="{group}" cx="{at:.1f}" cy="{y(row["image_auroc"]):.1f}" r="4"/>'
            )
        if some:
            last = some[-1]
            marks.append(f'<text x="{x(last[0]) + 12:.1f}" y="{y(last[1]["image_auroc"]) + 4:.1f}">{group}</text>')
    return (
        f'<svg class="curves" viewBox="0 0 {CURVE_WIDTH} {CURVE_HEIGHT}" role="img" '
        f'aria-label="Image AUROC of head and tail over imbalance levels">{"".join(marks)}</svg>'
    )


def difference_card(first: Prediction, second: Prediction) -> str:
    """How two checkpoints differ on one photograph: verdict, score in thresholds, class, and map."""
    rows = "".join(
        f'<tr><th scope="row">{escape(p.checkpoint)}</th><td>{p.verdict}</td>'
        f"<td>{p.image_score:.2f}</td><td>{p.judgement.threshold:.2f}</td><td>{p.judgement.ratio:.2f} ×</td>"
        f"<td>{escape(class_in_words(p))}</td></tr>"
        for p in (first, second)
    )
    titles = ("checkpoint", "verdict", "score", "threshold", "score in thresholds", "class")
    head = "".join(f'<th scope="col">{title}</th>' for title in titles)
    return (
        f'<section class="card difference"><h3>The difference</h3><p>{escape(compare_in_words(first, second))}</p>'
        f'<div class="sideways">{_table(head, rows)}</div>'
        f'<img src="{_difference_map(first, second)}" alt="the difference of the two maps">'
        f'<p class="quiet">Maps, each in thresholds of its own: orange where {escape(first.checkpoint)} sees more, '
        f"purple where {escape(second.checkpoint)} does.</p></section>"
    )


def class_in_words(prediction: Prediction) -> str:
    """The class of a photograph; of one that was not recognised the nearest, said as such."""
    return spoken(prediction.named) if prediction.named else f"nearest: {spoken(prediction.nearest)}"


def compare_in_words(first: Prediction, second: Prediction) -> str:
    """Say in a sentence what the second checkpoint sees otherwise."""
    a, b = (p.verdict for p in (first, second))
    gap = second.judgement.ratio - first.judgement.ratio
    same = f"Both say “{a}”" if a == b else f"{first.checkpoint} says “{a}”, {second.checkpoint} says “{b}”"
    moved = "as high" if abs(gap) < 0.005 else f"{abs(gap):.2f} thresholds {'higher' if gap > 0 else 'lower'}"
    return f"{same}; in its own thresholds the score of {second.checkpoint} is {moved}."


def _difference_map(first: Prediction, second: Prediction) -> str:
    maps = [
        np.array(
            Image.fromarray(p.judgement.in_thresholds(p.patch_maps[ALL])).resize(
                (DIFFERENCE_SIDE, DIFFERENCE_SIDE), Image.Resampling.BILINEAR
            )
        )
        for p in (first, second)
    ]
    photo = first.photo.image.convert("L").resize((DIFFERENCE_SIDE, DIFFERENCE_SIDE))
    change = np.clip((maps[0] - maps[1] + 1) / 2, 0, 1)  # the colours end at one threshold
    layer = Image.fromarray((255 * colormaps[DIFFERENCE](change)).astype(np.uint8), "RGBA")
    layer.putalpha(Image.fromarray((255 * np.minimum(1, np.abs(maps[0] - maps[1]))).astype(np.uint8)))
    buffer = io.BytesIO()
    Image.alpha_composite(photo.convert("RGBA"), layer).convert("RGB").save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
