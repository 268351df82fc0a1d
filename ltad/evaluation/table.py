"""A data set through the predictor, to a table: what is published is made by the code that a visitor runs."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ltad.data import Dataset, Fault, Sample
from ltad.data.levels import shown_by
from ltad.errors import DatasetError
from ltad.evaluation import metrics
from ltad.evaluation.harmless import harmlessly_changed
from ltad.evaluation.scored import AUROCS, FIGURES, ScoredClass, Told
from ltad.evaluation.strangers import measure_strangers, strangers_in, strangers_in_words
from ltad.evaluation.working_point import SHARES, WORKING_POINT, share_draws, shares, working_point
from ltad.files import write_text
from ltad.inspection.predictor import Predictor
from ltad.progress import Progress, Stage
from ltad.words import counted, percent, unmarked_in_words

EVALUATE = Stage("evaluate")
GROUPS = ("all", "head", "tail")
HARMLESS = ("image_auroc", *SHARES)  # what is measured again on changed images
COLUMNS = {  # of the printed table; the other figures are in the JSON
    "image_auroc": "image AUROC",
    "image_auroc_interval": "interval",
    "false_alarms": "false alarms",
    "false_alarms_interval": "interval",
    "found": "found",
    "found_interval": "interval",
    "found_at_best": "at best",
    "refused": "refused",
    "pixel_auroc": "pixel AUROC",
    "aupro_30": "PRO@.3",
    "class_accuracy": "class",
}

INTERVAL = "_interval"  # ends the key of a figure's interval

Row = dict[str, Any]
Draws = dict[str, np.ndarray]


def _nobody(fault: Fault) -> None:
    """Told of faults, which the table names, too."""


def evaluate(
    dataset: Dataset,
    predictor: Predictor,
    *,
    auto: bool = False,
    harmless: bool = False,
    strangers: Dataset | None = None,
    tell: Callable[[Fault], None] = _nobody,
    progress: Progress,
) -> dict[str, Any]:
    """Measure a checkpoint on a data set's test images, per class and as means over all, head and tail classes.

    auto: predict the class of every image instead of being told. harmless: measure once more on the same images, each
    changed as another camera or program might have left it. strangers: a data set of which the good test images of
    classes that the checkpoint does not know are shown to it, see ``measure_strangers``. tell: of each file that turns
    out to be unusable, once.

    Figures are in [0, 1], intervals are 95 % bootstrap intervals over images, but for a class's shares Wilson's;
    pixels are those of the foundation model's input. What is undefined (no mask, one label only) or was not asked for
    is None, and left out of the means. Classes that the checkpoint does not know are named and left out, and so is what
    cannot be used: ``broken`` names it, with the data set's own faults, and a defective image without a mask counts in
    the image figures and not in those of pixels (``n_unmarked``).
    Raises DatasetError when no class, or no stranger, is left.
    """
    card = predictor.card
    samples = shown_by((sample for sample in dataset.test if sample.class_name in card.class_names), card.levels)
    left_out = sorted({sample.class_name for sample in dataset.test} - set(card.class_names))
    if not samples:
        raise DatasetError(
            f"{card.name} knows none of the classes of {dataset.name} ({', '.join(left_out) or 'no test images'}); "
            f"it knows {', '.join(card.class_names)}."
        )
    unknown = {} if strangers is None else strangers_in(strangers, predictor)
    faults = dict.fromkeys((*dataset.faults, *(strangers.faults if strangers else ())))

    def broken(fault: Fault) -> None:
        if fault not in faults:
            faults[fault] = None
            tell(fault)

    told = Told(_counter(progress, len(samples) * (1 + harmless) + sum(map(len, unknown.values()))), broken)
    rows: dict[str, Row] = {}
    draws: dict[str, Draws] = {}
    changed_draws: dict[str, Draws] = {}
    for card_class in card.classes:
        name = card_class.name
        own = [sample for sample in samples if sample.class_name == name]
        if not own:
            continue
        scored = ScoredClass.of(own, predictor, auto=auto, told=told)
        if not scored.labels.size:
            continue
        figures, draws[name] = _measure(scored, predictor)
        rows[name] = {"n_train": card_class.n_train, "group": card_class.group, **figures, "harmless": None}
        if harmless:
            rows[name]["harmless"], changed_draws[name] = _measure_changed(own, predictor, auto, told)
    measured = measure_strangers(unknown, predictor, told) if unknown else None
    return {
        "checkpoint": card.name,
        "data": dataset.name,
        "foundation": predictor.foundation.fingerprint.name,
        "class_name": "auto" if auto else "given",
        "false_alarm_rate": card.config.calibration.false_alarm_rate,
        "left_out": left_out,
        "broken": [{"name": fault.name, "reason": fault.reason} for fault in faults],
        "classes": rows,
        "mean": {group: _mean(rows, draws, changed_draws, group) for group in GROUPS},
        "strangers": measured,
    }


def _counter(progress: Progress, total: int) -> Callable[[int], None]:
    """Counts images to a total."""
    done = 0

    def told(images: int) -> None:
        nonlocal done
        done += images
        progress(EVALUATE, done, total)

    return told


def _measure(scored: ScoredClass, predictor: Predictor) -> tuple[Row, Draws]:
    """The figures of one class, and the bootstrap values for the intervals of their means."""
    seed = predictor.card.config.seed
    draws = scored.draws(seed)
    row = scored.figures() | _intervals(draws, AUROCS) | working_point(scored, predictor)
    return row, draws | share_draws(scored, seed)


def _measure_changed(samples: Sequence[Sample], predictor: Predictor, auto: bool, told: Told) -> tuple[Row, Draws]:
    """The same of what is measured again on the images, harmlessly changed."""
    changed = [harmlessly_changed(sample) for sample in samples]
    scored = ScoredClass.of(changed, predictor, auto=auto, told=told)
    row = {"image_auroc": scored.figures()["image_auroc"]} | shares(scored)
    return row, share_draws(scored, predictor.card.config.seed)


def _mean(
    rows: Mapping[str, Row], draws: Mapping[str, Draws], changed_draws: Mapping[str, Draws], group: str
) -> dict[str, Any]:
    """Means over the classes of a group, and the intervals of those means."""
    members = [name for name, row in rows.items() if group in ("all", row["group"])]
    figures = (*FIGURES, "class_accuracy", *WORKING_POINT)
    mean: Row = {"n_classes": len(members)} | _means([rows[name] for name in members], figures)
    mean |= _intervals(_pooled([draws[name] for name in members]), (*AUROCS, *SHARES))
    mean["harmless"] = None
    if changed_draws:
        changed = _pooled([changed_draws[name] for name in members])
        mean["harmless"] = _means([rows[name]["harmless"] for name in members], HARMLESS) | _intervals(changed, SHARES)
    return mean


def _means(rows: Sequence[Row], keys: Iterable[str]) -> Row:
    """Each figure's mean over the classes in which it is defined."""
    defined = {key: [row[key] for row in rows if row[key] is not None] for key in keys}
    return {key: float(np.mean(values)) if values else None for key, values in defined.items()}


def _pooled(draws: Sequence[Draws]) -> Draws:
    """Bootstrap values of the means over classes."""
    keys = dict.fromkeys(key for own in draws for key in own)
    return {key: np.mean([own[key] for own in draws if key in own], axis=0) for key in keys}


def _intervals(draws: Draws, keys: Iterable[str]) -> Row:
    return {key + INTERVAL: metrics.interval(draws[key]) if key in draws else None for key in keys}


def write_metrics(table: dict[str, Any], path: Path) -> None:
    """Write the table as JSON."""
    write_text(path, json.dumps(table, indent=1))


def format_table(table: dict[str, Any]) -> str:
    """The table for people: per cent, "n/a" where a figure is undefined."""
    lines = _block("", COLUMNS, table, lambda row: row)
    if table["mean"]["all"]["harmless"]:
        again = ("image_auroc", *(key for key in COLUMNS if key.removesuffix(INTERVAL) in SHARES))
        lines += _block("harmlessly changed", {key: COLUMNS[key] for key in again}, table, lambda row: row["harmless"])
    lines.append(
        f"false alarms, found: at the checkpoint's own rate of {percent(table['false_alarm_rate'])} %; "
        f"at best: found at a threshold that the good test images set"
    )
    if table["strangers"]:
        lines.append(strangers_in_words(table["strangers"]))
    if table["left_out"]:
        lines.append(f"left out, unknown to {table['checkpoint']}: {', '.join(table['left_out'])}")
    return "\n".join([*lines, *missing_in_words(table)])


def missing_in_words(table: dict[str, Any]) -> list[str]:
    """What no figure or no pixel figure is of, in lines; none in tables of before it was counted."""
    unmarked = unmarked_in_words(table["classes"])
    lines = [f"defective images without a mask, in no pixel figure: {unmarked}"] if unmarked else []
    if broken := [each["name"] for each in table.get("broken", ())]:
        lines.append(f"left out, {counted(len(broken), 'file')} that cannot be used: {', '.join(broken)}")
    return lines


def _block(title: str, columns: Mapping[str, str], table: dict[str, Any], part: Callable[[Row], Row]) -> list[str]:
    """Aligned columns under their titles, a line a class and a mean; part: what of a row is shown."""
    widths = {key: max(len(name), 11 if key.endswith(INTERVAL) else 5) for key, name in columns.items()}
    titles = "".join(f" {name:>{widths[key]}}" for key, name in columns.items())
    lines = [f"{title:24} {'train':>6} {'group':>5}{titles}"]
    heads = [(f"{name:24} {row['n_train']:6} {row['group']:>5}", row) for name, row in table["classes"].items()]
    heads += [(f"{f'mean over {group}':24} {'':6} {row['n_classes']:>5}", row) for group, row in table["mean"].items()]
    for head, row in heads:
        shown = part(row)
        lines.append(head + "".join(f" {_cell(shown[key]):>{width}}" for key, width in widths.items()))
    return lines


def _cell(value: float | Sequence[float] | None) -> str:
    """A figure, or the two ends of an interval."""
    return "–".join(map(percent, value)) if isinstance(value, Sequence) else percent(value)


def in_words(means: dict[str, dict[str, Any]] | None) -> str:
    """The image AUROC over all, head and tail classes on one line, in per cent."""
    return (
        ", ".join(f"{group} {percent(mean['image_auroc'])}" for group, mean in (means or {}).items()) or "not measured"
    )
