"""What the generator draws, over the steps of phase 1: how near it is to unseen images, and how far it varies.

``python -m benchmarks.generator --data demo|DIR [--imbalance exp100] [--steps N ...] --output FILE``

Phase 1 learns as the product does, once, for the largest number of steps. At each of the others, and per class, of
normal images that it has not seen:

- ``error``: how far the draw that stands for an image is from it (mean square, standardised channels, on its maps);
- ``mean``: how far the mean of the class's training images is, which is to be beaten;
- ``spread``: the variance of draws from the name alone, as a share of that of the images.

``--table FILE`` prints what a run wrote.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks import command
from benchmarks.recipes import untrained
from ltad.commands.progress import Bars
from ltad.data import Dataset, Sample
from ltad.data.longtail import long_tail
from ltad.data.sources import open_dataset
from ltad.files import write_text
from ltad.foundation import load_foundation
from ltad.foundation.features import Encoder, Features
from ltad.machine import in_words, settle
from ltad.model.ltad import LTAD
from ltad.presets import default
from ltad.progress import Stage
from ltad.training.images import encode_samples
from ltad.training.optimisation import optimise
from ltad.training.phases import phase1

FIGURES = ("error", "mean", "spread")


@torch.no_grad()
def measure(model: LTAD, names: Tensor, train: Features, unseen: Features) -> dict[int, dict[str, float]]:
    """Every figure of every class that has several unseen images, by its number; names (K, J) as they are now."""
    measured = {}
    for class_id in unseen.class_ids.unique().tolist():
        own = (unseen.class_ids == class_id).nonzero()[:, 0]
        known = (train.class_ids == class_id).nonzero()[:, 0]
        if len(own) < 2:
            continue
        generator = torch.Generator().manual_seed(class_id)
        batch = unseen.batch(own, model.device)
        name = names[batch.class_ids]
        real = model.patches.standardise(batch.maps)
        means = [layer.mean(0, keepdim=True) for layer in _standardised(model, train, known)]
        drawn = model.synthesis(batch.maps[-1], name, generator).maps
        prior = model.synthesis.draw(name, generator)
        spread, spread_of_real = (_over_layers([m.var(0) for m in maps]) for maps in (prior, real))
        measured[class_id] = {
            "error": _over_layers([(a - b).square() for a, b in zip(drawn, real, strict=True)]),
            "mean": _over_layers([(a - b).square() for a, b in zip(means, real, strict=True)]),
            "spread": spread / spread_of_real,
        }
    return measured


def _standardised(model: LTAD, features: Features, images: Tensor) -> list[Tensor]:
    """Standardised maps of images, chunk after chunk, so that none but them lies in memory."""
    chunks = [model.patches.standardise(features.batch(chunk, model.device).maps) for chunk in images.split(64)]
    return [torch.cat(layers) for layers in zip(*chunks, strict=True)]


def _over_layers(parts: Sequence[Tensor]) -> float:
    return float(np.mean([part.mean().item() for part in parts]))


def run(options: argparse.Namespace) -> None:
    """Encode once, learn once, measure at every mark, and write what was found."""
    config = default().override(*options.settings)
    config = replace(config, phase1=replace(config.phase1, steps=max(options.steps)))
    foundation, bars = load_foundation(device=options.device), Bars()
    split = long_tail(open_dataset(*options.data), options.imbalance, options.order)
    encoder, names = Encoder(foundation), split.class_names
    train, unseen = (encode_samples(samples, names, encoder, bars) for samples in (split.train, _good(split)))
    model = untrained(foundation, train, config, names)
    rows: list[dict[str, Any]] = []

    def told(stage: Stage, step: int, steps: int, loss: float | None = None) -> None:
        bars(stage, step, steps, loss)
        if step in options.steps:
            with torch.no_grad():
                now = model.prompts.name_features(foundation)
            classes = {names[k]: row for k, row in measure(model, now, train, unseen).items()}
            rows.append({"steps": step, "classes": classes})

    optimise(phase1(model, train, foundation, config, None), config.seed, None, told)
    bars.close()
    header = {"data": split.name, "imbalance": options.imbalance, "on": in_words(foundation.device)}
    found = {"header": header | {"config": config.to_dict()}, "rows": rows}
    write_text(options.output, json.dumps(found, indent=1))


def _good(split: Dataset) -> list[Sample]:
    return [sample for sample in split.test if not sample.label]


def format_curves(results: dict[str, Any]) -> str:
    """The means over the classes as Markdown, and in how many of them the draw is the nearer one."""
    lines = ["| steps | error of the draw | of the class's mean | nearer in | spread of draws |", "|" + " --- |" * 5]
    for row in results["rows"]:
        classes = list(row["classes"].values())
        error, mean, spread = (float(np.mean([each[figure] for each in classes])) for figure in FIGURES)
        nearer = sum(each["error"] < each["mean"] for each in classes)
        lines.append(f"| {row['steps']} | {error:.3f} | {mean:.3f} | {nearer} of {len(classes)} | {spread:.2f} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print, or print again."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = command.parser("generator", "What the generator draws.", "generator.json")
    command.add_tail(parser)
    parser.add_argument("--steps", type=int, nargs="+", default=[100, 200, 500, 1000, 2000], metavar="N")
    options = parser.parse_args(arguments)
    settle()
    command.carry_out("generator", options, run, format_curves)


if __name__ == "__main__":
    main()
