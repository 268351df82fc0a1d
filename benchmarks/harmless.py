"""What a checkpoint makes of harmless change, one kind at a time: how many good images it then takes for defects.

``python -m benchmarks.harmless --data DIR --checkpoint NAME [NAME ...] --output FILE``

Good test images are judged as they are, after each change, and after all mildly together, which is what the evaluation
does with ``--harmless``. The class is given, and the rate is each checkpoint's own. What a change draws, the image's
name decides, so that every checkpoint sees the same pictures. ``--table FILE`` prints what a run wrote: the mean over
classes, and with ``--per-class`` every class.
"""

import argparse
import json
import shlex
import statistics
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import torch

import ltad
from benchmarks import command
from benchmarks.changes import VERSIONS, versions
from benchmarks.tables import markdown
from ltad.checkpoint.folder import find_checkpoint, read_card
from ltad.commands.progress import Bars
from ltad.data import Dataset, Sample
from ltad.data.sources import open_dataset
from ltad.errors import DatasetError
from ltad.evaluation.metrics import share
from ltad.evaluation.scored import decide
from ltad.files import write_text
from ltad.foundation import FoundationModel, ImageFeatures, load_foundation
from ltad.foundation.features import Store
from ltad.inspection.predictor import Predictor
from ltad.progress import Progress, Stage
from ltad.words import percent

Flags = dict[str, dict[str, list[bool]]]  # by class and change, of each image whether the verdict is a defect


def chosen(dataset: Dataset, predictors: Mapping[str, Predictor], images: int) -> dict[str, list[Sample]]:
    """So many good test images of each class that every checkpoint knows, spread evenly over those that there are."""
    good: dict[str, list[Sample]] = {}
    for sample in dataset.test:
        if not sample.label and all(sample.class_name in each.card.class_names for each in predictors.values()):
            good.setdefault(sample.class_name, []).append(sample)
    if not good:
        names = " and ".join(predictors)
        raise DatasetError(
            f"{dataset.name} has no good test images of a class that is known to {names}: give data of theirs."
        )
    return {
        name: [own[i * len(own) // min(images, len(own))] for i in range(min(images, len(own)))]
        for name, own in sorted(good.items())
    }


@torch.no_grad()
def flag(
    samples: Mapping[str, Sequence[Sample]], predictors: Mapping[str, Predictor], progress: Progress
) -> dict[str, Flags]:
    """Judge every version of every image with each checkpoint, as its class; a foundation model sees it once."""
    found: dict[str, Flags] = {name: {} for name in predictors}
    done, total = 0, sum(map(len, samples.values()))
    for class_name, own in samples.items():
        for flags in found.values():
            flags[class_name] = {version: [] for version in VERSIONS}
        for sample in own:
            pictures, encoded = versions(sample), dict[FoundationModel, ImageFeatures]()
            for name, predictor in predictors.items():
                tower = predictor.foundation
                if tower not in encoded:
                    encoded[tower] = predictor.encoder.encode(predictor.encoder.views(pictures))
                given = torch.full((len(pictures),), predictor.card.class_id(class_name))
                decisions = decide(predictor.score(encoded[tower], given), predictor)
                for version, decision in zip(VERSIONS, decisions, strict=True):
                    found[name][class_name][version].append(decision.flagged)
            done += 1
            progress(Stage("harmless"), done, total)
    return found


def open_predictors(words: Sequence[str], device: str, store: Store | None = None) -> dict[str, Predictor]:
    """Every checkpoint under its name, or where two have the same, as it was given; they share foundation models."""
    cards = [read_card(find_checkpoint(word)) for word in words]
    names = [card.name for card in cards]
    towers: dict[str, FoundationModel] = {}
    for card in cards:
        if card.foundation.name not in towers:
            towers[card.foundation.name] = load_foundation(card.foundation.name, device)
    return {
        name if names.count(name) == 1 else word: Predictor.from_checkpoint(word, towers[card.foundation.name], store)
        for word, name, card in zip(words, names, cards, strict=True)
    }


def measure(flags: Flags) -> dict[str, Any]:
    """The share of good images whose verdict is a defect, by class and change, and their means over classes."""
    classes = {name: {version: share(those) for version, those in own.items()} for name, own in flags.items()}
    mean = {version: statistics.fmean(row[version] for row in classes.values()) for version in VERSIONS}
    return {"classes": classes, "mean": mean}


def table(results: dict[str, Any], *, per_class: bool = False) -> str:
    """Changes by checkpoints, in per cent: the mean over classes, or every class."""
    columns, counts = results["checkpoints"], results["images"]
    rates = ", ".join(f"{name} {percent(each['false_alarm_rate'])} %" for name, each in columns.items())
    parts = {f"mean over {len(counts)} classes": [each["mean"] for each in columns.values()]}
    if per_class:
        parts = {
            f"{name}, {count} images": [each["classes"][name] for each in columns.values()]
            for name, count in counts.items()
        }
    blocks = []
    for title, those in parts.items():
        rows = [[version, *(percent(each[version]) for each in those)] for version in those[0]]
        blocks.append(f"**{results['header']['data']}, {title}**\n\n{markdown(['good images', *columns], rows)}")
    blocks.append(f"Flagged at each checkpoint's own false-alarm rate: {rates}.")
    if results["left_out"]:
        blocks.append(f"Left out, not known to all: {', '.join(results['left_out'])}.")
    return "\n\n".join(blocks)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print, or print again."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = command.parser("harmless", "What good images are after harmless change.", "harmless.json", trains=False)
    parser.add_argument("--checkpoint", nargs="+", metavar="NAME|DIR", help="each becomes a column")
    parser.add_argument("--images", type=int, default=30, metavar="N", help="good test images of each class, at most")
    parser.add_argument("--per-class", action="store_true", help="print every class instead of their mean")
    options = parser.parse_args(arguments)
    if options.data and not options.checkpoint:
        parser.error("--data needs --checkpoint")
    if options.images < 1:
        parser.error(f"--images must be 1 or more, got {options.images}")
    with command.plainly("harmless"):
        if options.data:
            _run(options, shlex.join(["python", "-m", "benchmarks.harmless", *arguments]))
        print(table(command.written(options.table or options.output), per_class=options.per_class))


def _run(options: argparse.Namespace, words: str) -> None:
    dataset, bars = open_dataset(*options.data), Bars()
    predictors = open_predictors(options.checkpoint, options.device)
    samples = chosen(dataset, predictors, options.images)
    found = flag(samples, predictors, bars)
    bars.close()
    checkpoints = {
        name: {"false_alarm_rate": predictors[name].card.config.calibration.false_alarm_rate} | measure(flags)
        for name, flags in found.items()
    }
    header = {"data": dataset.name, "version": ltad.__version__, "command": words}
    results = {
        "header": header,
        "images": {name: len(own) for name, own in samples.items()},
        "left_out": sorted({sample.class_name for sample in dataset.test} - samples.keys()),
        "checkpoints": checkpoints,
    }
    write_text(options.output, json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
