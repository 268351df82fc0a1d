"""LTAD beside what a user would pick instead: same features, splits, images and figures, in one run.

``python -m benchmarks.compare --data DIR --imbalance none exp100 step100 --order size --seeds 0 1 2 --output FILE``

FILE is written after every setting and seed, and ``--resume`` goes on with it. ``--harmless`` measures every method
once more on the same test images, each changed as another camera or program might have left it. ``--table FILE``
prints the tables of RESULTS.md, and ``--figure PICTURE`` beside it draws them.
"""

import argparse
import json
import platform
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
import torch

import ltad
from benchmarks import command, tables
from benchmarks.images import changed_once, encode_once, shrink
from benchmarks.rivals import build_rivals
from ltad.checkpoint.card import DataCard
from ltad.checkpoint.folder import Checkpoint
from ltad.commands.progress import Bars
from ltad.config import LTADConfig
from ltad.data import Dataset
from ltad.data.longtail import long_tail, long_tail_counts, split_hash
from ltad.data.sources import open_dataset
from ltad.evaluation.table import HARMLESS, INTERVAL, evaluate
from ltad.evaluation.working_point import SHARES
from ltad.files import write_text
from ltad.foundation import FoundationModel, load_foundation
from ltad.foundation.features import Encoder
from ltad.inspection.predictor import Predictor
from ltad.presets import PRESETS
from ltad.progress import Progress
from ltad.training.images import encode_samples
from ltad.training.training import train

GIVEN, PREDICTED = "LTAD, class given", "LTAD, class predicted"
AGAIN = (*HARMLESS, *(key + INTERVAL for key in SHARES))  # what is kept of a table on changed images


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the comparison, or print and draw a finished one."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(arguments)
    with command.plainly("compare"):
        if options.table:
            results = command.written(options.table)
            print(tables.per_class(results) if options.per_class else tables.means(results))
            if options.figure:
                tables.draw(results, options.figure)
        else:
            _run(options, shlex.join(["python", "-m", "benchmarks.compare", *arguments]))


def _parser() -> argparse.ArgumentParser:
    parser = command.parser("compare", "LTAD beside its rivals, in one run.", "comparison.json")
    command.add_tail(parser, several=True)
    command.add_seeds(parser, "of the split and the training")
    parser.add_argument("--foundation", default="align-mini", metavar="NAME")
    parser.add_argument("--preset", default="default", choices=tuple(PRESETS), help="all settings at once")
    again = "measure the same images once more, each mildly changed as another camera or program would"
    parser.add_argument("--harmless", action="store_true", help=again)
    command.add_resume(parser)
    parser.add_argument("--per-class", action="store_true", help="with --table: a row for every class")
    parser.add_argument("--figure", type=Path, metavar="PICTURE", help="with --table: draw it, too")
    return parser


def _run(options: argparse.Namespace, words: str) -> None:
    config = PRESETS[options.preset]().override(*options.settings)
    dataset, bars = open_dataset(*options.data), Bars()
    for imbalance in options.imbalance:
        long_tail_counts(dataset.train_counts, imbalance, options.order)  # an unknown one is refused before hours
    foundation = load_foundation(options.foundation, options.device)
    header = describe_run(dataset, options.order, foundation, config) | {"harmless": options.harmless}
    runs = command.finished(options.output, header) if options.resume else []
    done = {(run["imbalance"], run["seed"]) for run in runs}
    wanted = [(i, seed) for i in options.imbalance for seed in options.seeds if (i, seed) not in done]
    size = foundation.fingerprint.image_size
    small = shrink(dataset, size)
    splits = {(i, seed): long_tail(small, i, options.order, seed) for i, seed in wanted}
    with TemporaryDirectory() as folder:
        changed = changed_once(dataset, size, Path(folder)) if options.harmless else None
        encoder = encode_once(foundation, splits.values(), bars, Path(folder, "features"))
        for (imbalance, seed), split in splits.items():
            card = describe_split(split, imbalance, options.order, words)
            methods = compare(split, encoder, replace(config, seed=seed), card, bars, changed)
            runs.append({"imbalance": imbalance, "seed": seed, "split_hash": card.split_hash, "methods": methods})
            write_text(options.output, json.dumps({"header": header | {"command": words}, "runs": runs}, indent=1))
    bars.close()
    print(tables.means({"header": header, "runs": runs}))


def describe_run(dataset: Dataset, order: str, foundation: FoundationModel, config: LTADConfig) -> dict[str, Any]:
    """What must be the same for figures to be of one run."""
    return {
        "data": dataset.name,
        "images": split_hash(dataset),
        "order": order,
        "foundation": foundation.fingerprint.to_dict(),
        "versions": {
            "ltad": ltad.__version__,
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "numpy": np.__version__,
        },
        "config": config.to_dict(),
    }


def describe_split(split: Dataset, imbalance: str, order: str, command: str) -> DataCard:
    """The card of what a model of the run is trained on."""
    return DataCard(
        name=split.name,
        imbalance=imbalance,
        order=order,
        split_hash=split_hash(split),
        licence=split.licence,
        command=command,
    )


def train_ltad(
    dataset: Dataset, encoder: Encoder, config: LTADConfig, data: DataCard, progress: Progress, folder: Path
) -> tuple[Checkpoint, float, int]:
    """Train LTAD, and give its seconds without the encoding of the images, and the bytes of its tensors."""
    start = time.perf_counter()
    checkpoint = train(dataset, encoder.foundation, config, folder, data=data, store=encoder.store, progress=progress)
    return checkpoint, time.perf_counter() - start, (folder / "model.safetensors").stat().st_size


def compare(
    dataset: Dataset,
    encoder: Encoder,
    config: LTADConfig,
    data: DataCard,
    progress: Progress,
    changed: Dataset | None = None,
) -> dict[str, dict[str, Any]]:
    """Train and measure LTAD and every rival on one split, from features that the encoder remembers.

    changed: the test images after harmless change, where they are to be measured, too. Each method gives the means and
    the classes of its evaluation, the seconds of its training without the encoding, and the bytes that it must keep, in
    half precision. What does not localise has no pixel figures.
    """
    with TemporaryDirectory() as folder:
        checkpoint, seconds, size = train_ltad(dataset, encoder, config, data, progress, Path(folder, "ltad"))
    predictor = Predictor(encoder.foundation, checkpoint, encoder.store)
    methods = {
        name: entry(measure(dataset, predictor, progress, auto=auto, changed=changed), seconds, size)
        for name, auto in ((GIVEN, False), (PREDICTED, True))
    }
    features = encode_samples(dataset.train, dataset.class_names, encoder, progress)
    for rival in build_rivals(checkpoint.card, encoder, features, progress):
        measured = dataset if rival.localises else without_masks(dataset)
        table = measure(measured, cast(Predictor, rival), progress, changed=changed)
        for row in (*table["classes"].values(), *table["mean"].values()):
            row["class_accuracy"] = None  # it was told the class
        methods[rival.card.name] = entry(table, rival.seconds, rival.bytes)
    return methods


def measure(
    dataset: Dataset, predictor: Predictor, progress: Progress, *, auto: bool = False, changed: Dataset | None = None
) -> dict[str, Any]:
    """The table of an evaluation; changed: the test images after harmless change.

    It is the table that ``evaluate`` gives with harmless=True, which would change every image anew for every method.
    """
    table = evaluate(dataset, predictor, auto=auto, progress=progress)
    if changed is None:
        return table
    again = evaluate(changed, predictor, auto=auto, progress=progress)
    for part in ("classes", "mean"):
        for name, row in table[part].items():
            row["harmless"] = {key: again[part][name][key] for key in AGAIN}
    return table


def entry(table: dict[str, Any], seconds: float, size: int) -> dict[str, Any]:
    """What is kept of a method: its table of figures, its seconds of training and its bytes."""
    return {"mean": table["mean"], "classes": table["classes"], "seconds": round(seconds, 1), "bytes": size}


def without_masks(dataset: Dataset) -> Dataset:
    """The data set with nothing to localise."""
    return replace(dataset, test=tuple(replace(sample, read_mask=None) for sample in dataset.test))


if __name__ == "__main__":
    main()
