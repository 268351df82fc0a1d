"""What a comparison wrote, for people: Markdown tables and a figure. Per cent; the mean over seeds ± its spread."""

import statistics
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from ltad.evaluation.table import GROUPS
from ltad.files import whole_file
from ltad.words import percent

FIGURES = {"image_auroc": "image AUROC", "pixel_auroc": "pixel AUROC"}
COLOURS = ("#000000", "#0072b2", "#d55e00", "#009e73", "#cc79a7")  # Okabe and Ito's, told apart by the colour-blind
MARKERS = "os^Dv"
WIDTH, HEIGHT, DPI = 8, 6.4, 200  # inches and dots an inch: 1,600 pixels, readable at 800

Results = dict[str, Any]


def means(results: Results) -> str:
    """A table for every imbalance: methods by figures over all, head and tail classes."""
    columns = [(figure, group) for figure in FIGURES for group in GROUPS]
    head = ["", *(f"{FIGURES[figure]}, {group}" if group == "all" else group for figure, group in columns)]
    head += ["seconds", "MB"]
    blocks = []
    for imbalance in _imbalances(results):
        names = _methods(results)
        cells = [
            _column([_over_seeds(results, imbalance, name, "mean", group, figure) for name in names])
            for figure, group in columns
        ]
        rows = []
        for name, *figures in zip(names, *cells, strict=True):
            runs = [run["methods"][name] for run in _runs(results, imbalance)]
            seconds = statistics.fmean(run["seconds"] for run in runs)
            size = statistics.fmean(run["bytes"] for run in runs)
            rows.append([name, *figures, f"{seconds:.0f}", f"{size / 1e6:.2f}"])
        blocks.append(f"**{results['header']['data']}, {imbalance}**\n\n{markdown(head, rows)}")
    return "\n\n".join(blocks)


def per_class(results: Results) -> str:
    """A table for every imbalance and figure: classes by methods."""
    blocks = []
    for imbalance in _imbalances(results):
        names = _methods(results)
        classes = _runs(results, imbalance)[0]["methods"][names[0]]["classes"]
        for figure, title in FIGURES.items():
            rows = []
            for class_name, row in classes.items():
                values = [_over_seeds(results, imbalance, name, "classes", class_name, figure) for name in names]
                rows.append([class_name, str(row["n_train"]), row["group"], *_column(values)])
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


def _imbalances(results: Results) -> list[str]:
    return list(dict.fromkeys(run["imbalance"] for run in results["runs"]))


def _methods(results: Results) -> list[str]:
    return list(results["runs"][0]["methods"])


def _runs(results: Results, imbalance: str) -> list[dict[str, Any]]:
    return [run for run in results["runs"] if run["imbalance"] == imbalance]


Value = tuple[float | None, float | None]  # mean and standard deviation over seeds, where they are defined


def _over_seeds(results: Results, imbalance: str, method: str, part: str, row: str, figure: str) -> Value:
    values = [run["methods"][method][part][row][figure] for run in _runs(results, imbalance)]
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None, statistics.stdev(known) if len(known) > 1 else None


def _column(values: list[Value]) -> list[str]:
    """Cells of one column, the best in bold."""
    best = max((percent(mean) for mean, _ in values if mean is not None), key=float, default="")
    cells = []
    for mean, spread in values:
        cell = f"**{percent(mean)}**" if percent(mean) == best else percent(mean)
        cells.append(cell if spread is None else f"{cell} ± {percent(spread)}")
    return cells


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """A table as Markdown has it."""
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows))
