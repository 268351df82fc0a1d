"""The learning curves of one training: the loss of both phases, and of the models that only judge.

``python -m benchmarks.curves --data demo --imbalance exp100 --output FILE --figure PICTURE``

``--table FILE --figure PICTURE`` draws again what a run wrote.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from benchmarks import command
from benchmarks.compare import describe_run, describe_split, train_ltad
from benchmarks.tables import COLOURS, DPI
from ltad.commands.progress import Bars
from ltad.data.longtail import long_tail
from ltad.data.sources import open_dataset
from ltad.files import whole_file, write_text
from ltad.foundation import load_foundation
from ltad.foundation.features import Encoder
from ltad.presets import default
from ltad.progress import Stage

TITLES = {"phase1": "phase 1: names and generator", "phase2": "phase 2: reconstruction and semantics"}
FOLDS = {None: "on all images", 1: "on one half, to judge the other", 2: "on the other half"}
SMOOTHED = 20  # steps that are averaged for the line
WIDTH, HEIGHT = 8, 3.2  # inches


class Recorder(Bars):
    """Bars that keep the losses."""

    def __init__(self) -> None:
        super().__init__()
        self.losses: dict[str, list[float]] = {}

    def __call__(self, stage: Stage, step: int, steps: int, loss: float | None = None) -> None:
        """Keep a step's loss."""
        super().__call__(stage, step, steps, loss)
        if loss is not None:
            self.losses.setdefault(str(stage), []).append(round(loss, 5))


def main(arguments: Sequence[str] | None = None) -> None:
    """Train and draw, or draw again."""
    arguments = sys.argv[1:] if arguments is None else arguments
    description = "The learning curves of one training."
    parser = command.parser("curves", description, "curves.json", again="draw what a run wrote")
    command.add_tail(parser)
    parser.add_argument("--figure", type=Path, required=True, metavar="PICTURE")
    options = parser.parse_args(arguments)
    with command.plainly("curves"):
        if options.data:
            write_text(options.output, json.dumps(_run(options)))
        draw(command.written(options.table or options.output), options.figure)


def _run(options: argparse.Namespace) -> dict[str, Any]:
    config = default().override(*options.settings)
    foundation, recorder = load_foundation(device=options.device), Recorder()
    split = long_tail(open_dataset(*options.data), options.imbalance, options.order)
    card = describe_split(split, options.imbalance, options.order, "python -m benchmarks.curves")
    with TemporaryDirectory() as folder:
        train_ltad(split, Encoder(foundation), config, card, recorder, Path(folder, "ltad"))
    recorder.close()
    header = describe_run(split, options.order, foundation, config) | {"imbalance": options.imbalance}
    return {"header": header, "losses": recorder.losses}


def draw(results: dict[str, Any], path: Path) -> None:
    """Draw the losses over the steps, every step faint and their running mean as a line."""
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, HEIGHT), layout="constrained")
    for axis, (phase, title) in zip(axes, TITLES.items(), strict=True):
        for colour, (fold, label) in zip(COLOURS, FOLDS.items(), strict=False):
            losses = np.array(results["losses"][str(Stage(phase, fold))])
            width = min(SMOOTHED, len(losses))
            mean = np.convolve(losses, np.ones(width) / width, "valid")
            axis.plot(np.arange(1, len(losses) + 1), losses, color=colour, alpha=0.2, linewidth=0.7)
            axis.plot(np.arange(width, len(losses) + 1), mean, color=colour, linewidth=1.8, label=label)
        axis.set_title(title, fontsize=11)
        axis.set_xlabel("steps")
        axis.set_yscale("log")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("loss")
    axes[1].legend(frameon=False)
    with whole_file(path) as partial:
        figure.savefig(partial, dpi=DPI, format=path.suffix.removeprefix("."))
    plt.close(figure)


if __name__ == "__main__":
    main()
