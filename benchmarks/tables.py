"""What a comparison wrote, for people: Markdown tables and a figure. Per cent; the mean over seeds ± its spread."""

import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from ltad.evaluation.table import GROUPS
from ltad.files import whole_file
from ltad.words import percent

FIGURES = {"image_auroc": "image AUROC", "pixel_auroc": "pixel AUROC"}
WORKING_POINT = {  # of what makes verdicts; before a stroke the part of the row that has the figure
    "false_alarms": "false alarms",
    "found": "found",
    "found_at_best": "found at best",
    "harmless/image_auroc": "image AUROC, changed",
    "harmless/false_alarms": "false alarms, changed",
    "harmless/found": "found, changed",
}
SHARES = ("false_alarms", "found")  # shown of head and tail, too
COLOURS = ("#000000", "#0072b2", "#d55e00", "#009e73", "#cc79a7")  # Okabe and Ito's, told apart by the colour-blind
MARKERS = "os^Dv"
WIDTH, HEIGHT, DPI = 8, 6.4, 200  # inches and dots an inch: 1,600 pixels, readable at 800

Results = dict[str, Any]


def means(results: Results) -> str:
    """For every imbalance methods by figures over all, head and tail classes, and a second table of what they flag.

    The latter is left out where a file does not have it, as those of older versions.
    """
    blocks = []
    for imbalance in _imbalances(results):
        title = f"{results['header']['data']}, {imbalance}"
        blocks.append(f"**{title}**\n\n{_aurocs(results, imbalance)}")
        if figures := _known(results, imbalance, WORKING_POINT):
            title += f", at a false-alarm rate of {percent(_rate(results))} %"
            blocks.append(f"**{title}**\n\n{_working_point(results, imbalance, figures)}")
    return "\n\n".join(blocks)


def _aurocs(results: Results, imbalance: str) -> str:
    columns = [(figure, group) for figure in FIGURES for group in GROUPS]
    head = ["", *(f"{FIGURES[figure]}, {group}" if group == "all" else group for figure, group in columns)]
    rows = []
    for name, *figures in _cells(results, imbalance, columns):
        runs = [run["methods"][name] for run in _runs(results, imbalance)]
        seconds = statistics.fmean(run["seconds"] for run in runs)
        size = statistics.fmean(run["bytes"] for run in runs)
        rows.append([name, *figures, f"{seconds:.0f}", f"{size / 1e6:.2f}"])
    return markdown([*head, "seconds", "MB"], rows)


def _working_point(results: Results, imbalance: str, figures: list[str]) -> str:
    """What is flagged: the shares over all, head and tail classes, and the other figures over all."""
    columns = [(figure, group) for figure in figures for group in (GROUPS if figure in SHARES else GROUPS[:1])]
    whole = {figure: f"{title}, all" if figure in SHARES else title for figure, title in WORKING_POINT.items()}
    head = [whole[figure] if group == "all" else group for figure, group in columns]
    return markdown(["", *head], _cells(results, imbalance, columns))


def _cells(results: Results, imbalance: str, columns: list[tuple[str, str]]) -> list[list[str]]:
    """A row for every method: its name, and its figures over a group of classes."""
    names = _methods(results)
    cells = [
        _column([_over_seeds(results, imbalance, name, "mean", group, figure) for name in names], figure)
        for figure, group in columns
    ]
    return [list(row) for row in zip(names, *cells, strict=True)]


def per_class(results: Results) -> str:
    """A table for every imbalance and figure: classes by methods."""
    blocks = []
    for imbalance in _imbalances(results):
        names = _methods(results)
        classes = _runs(results, imbalance)[0]["methods"][names[0]]["classes"]
        titles = FIGURES | {key: WORKING_POINT[key] for key in _known(results, imbalance, WORKING_POINT)}
        for figure, title in titles.items():
            rows = []
            for class_name, row in classes.items():
                values = [_over_seeds(results, imbalance, name, "classes", class_name, figure) for name in names]
                rows.append([class_name, str(row["n_train"]), row["group"], *_column(values, figure)])
            head = f"**{results['header']['data']}, {imbalance}, {title}**"
            blocks.append(f"{head}\n\n{markdown(['class', 'train', 'group', *names], rows)}")
    return "\n\n".join(blocks)


def draw(results: Results, path: Path) -> None:
    """Draw image and pixel AUROC of head and tail against the imbalance: LTAD, and the better reading of each rival."""
    imbalances, shown = _imbalances(results), _better_readings(results)
    figure, axes = plt.subplots(2, 2, figsize=(WIDTH, HEIGHT), sharex=True, sharey="row", layout="constrained")
    families = list(dict.fromkeys(_family(name) for name in shown))
    for axis, (key, group) in zip(axes.flat, [(k, g) for k in FIGURES for g in ("head", "tail")], strict=True):
        for name in shown:
            points = []
            for place, imbalance in enumerate(imbalances):
                mean, spread = _over_seeds(results, imbalance, name, "mean", group, key)
                if mean is not None:
                    points.append((place, 100 * mean, 100 * (spread or 0)))
            if not points:
                continue
            places, middles, spreads = zip(*points, strict=True)
            kind = families.index(_family(name)) % len(COLOURS)
            style = {"color": COLOURS[kind], "marker": MARKERS[kind], "capsize": 3, "linewidth": 1.8}
            axis.errorbar(places, middles, spreads, label=name, linestyle="--" if "predicted" in name else "-", **style)
        axis.set_title(f"{FIGURES[key]}, {group} classes", fontsize=11)
        axis.set_xticks(range(len(imbalances)), imbalances)
        axis.set_xlim(-0.3, len(imbalances) - 0.7)
        axis.grid(axis="y", alpha=0.3)
    for axis in axes[:, 0]:
        axis.set_ylabel("per cent")
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, handlelength=3.2
    )
    with whole_file(path) as partial:
        figure.savefig(partial, dpi=DPI, format=path.suffix.removeprefix("."))
    plt.close(figure)


def _better_readings(results: Results) -> list[str]:
    """The methods, of each rival only the reading with the better mean over imbalances, seeds and both figures."""
    best: dict[str, tuple[float, str]] = {}
    for name in _methods(results):
        key = name if _family(name) == "LTAD" else _family(name)
        values = [
            value
            for imbalance in _imbalances(results)
            for figure in FIGURES
            if (value := _over_seeds(results, imbalance, name, "mean", "all", figure)[0]) is not None
        ]
        best[key] = max(best.get(key, (-1.0, "")), (statistics.fmean(values), name))
    return [name for _, name in best.values()]


def _family(name: str) -> str:
    return name.partition(",")[0]


def _rate(results: Results) -> float:
    return results["header"]["config"]["calibration"]["false_alarm_rate"]


def _imbalances(results: Results) -> list[str]:
    return list(dict.fromkeys(run["imbalance"] for run in results["runs"]))


def _methods(results: Results) -> list[str]:
    return list(results["runs"][0]["methods"])


def _runs(results: Results, imbalance: str) -> list[dict[str, Any]]:
    return [run for run in results["runs"] if run["imbalance"] == imbalance]


def _known(results: Results, imbalance: str, figures: Iterable[str]) -> list[str]:
    """Those of the figures that some method has."""
    values = {
        figure: [_over_seeds(results, imbalance, name, "mean", "all", figure)[0] for name in _methods(results)]
        for figure in figures
    }
    return [figure for figure, of_methods in values.items() if any(value is not None for value in of_methods)]


Value = tuple[float | None, float | None]  # mean and standard deviation over seeds, where they are defined


def _over_seeds(results: Results, imbalance: str, method: str, part: str, row: str, figure: str) -> Value:
    values = [_figure(run["methods"][method][part][row], figure) for run in _runs(results, imbalance)]
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None, statistics.stdev(known) if len(known) > 1 else None


def _figure(row: dict[str, Any], figure: str) -> float | None:
    """A figure of a row; None where it is undefined, or where the file is older than it."""
    part, _, key = figure.rpartition("/")
    return ((row.get(part) or {}) if part else row).get(key)


def _column(values: list[Value], figure: str) -> list[str]:
    """Cells of one column, the best in bold; not of false alarms and finds, where more of one is more of the other."""
    comparable = not figure.endswith(SHARES)
    best = max((percent(mean) for mean, _ in values if mean is not None and comparable), key=float, default="")
    cells = []
    for mean, spread in values:
        cell = f"**{percent(mean)}**" if percent(mean) == best else percent(mean)
        cells.append(cell if spread is None else f"{cell} ± {percent(spread)}")
    return cells


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """A table as Markdown has it."""
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows))
