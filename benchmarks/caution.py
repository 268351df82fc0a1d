"""How far harmless change may raise thresholds: what is flagged and what is found, on renderings that no test knows.

``python -m benchmarks.caution [CHECKPOINT ...] --output FILE``

Parts of the demo factory beyond those that a training takes, ``GOOD`` of each class as they are and changed as a
training changes them, and defective ones beyond those of the test set, are scored as their class, at each checkpoint's
own rate. Only how many times that rate may pass a threshold after harmless change differs. ``--table FILE`` prints it.
"""

import argparse
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks import command
from benchmarks.tables import markdown
from ltad.checkpoint.folder import checkpoint_folders, read_card
from ltad.commands.progress import Bars
from ltad.data import Sample
from ltad.data.demo import demo_dataset
from ltad.data.sources import DEMO
from ltad.evaluation.metrics import share
from ltad.files import write_text
from ltad.foundation import load_foundation
from ltad.foundation.features import ENCODE_BATCH, Store
from ltad.inspection.predictor import Predictor
from ltad.machine import AUTO, DEVICES, settle
from ltad.photos.harmless import changed
from ltad.progress import Stage
from ltad.words import percent

TAKEN, TESTED, BEYOND = 200, 6, 5  # of a class and of a kind of defect: for training, in the test set, and beyond it
GOOD = 40  # parts of each class
TOLERATED = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, float("inf"))
FIGURES = ("flagged", "flagged after change", "found", "found after change")

Read = Callable[[Sample], Image.Image]


def unseen() -> tuple[list[Sample], list[Sample]]:
    """Good and defective parts that neither a training nor a test takes."""
    every = demo_dataset(TAKEN + GOOD, 1, TESTED + 1 + BEYOND)  # one of each kind is an example of the page

    def number(sample: Sample) -> int:
        return int(Path(sample.name).stem)

    good = [sample for sample in every.train if number(sample) >= TAKEN]
    return good, [sample for sample in every.test if sample.label and number(sample) > TESTED]


def scores(samples: Sequence[Sample], read: Read, predictor: Predictor) -> Iterator[float]:
    """What a checkpoint scores parts as their class."""
    for start in range(0, len(samples), ENCODE_BATCH):
        some = samples[start : start + ENCODE_BATCH]
        given = torch.tensor([predictor.card.class_id(sample.class_name) for sample in some])
        yield from predictor.predict_views(
            predictor.encoder.views([read(sample) for sample in some]), given
        ).image_scores.tolist()


def measure(good: Sequence[Sample], defective: Sequence[Sample], predictor: Predictor) -> dict[float, dict[str, float]]:
    """What a checkpoint flags and finds, the mean over classes, for each of ``TOLERATED``."""
    card = predictor.card

    def after(sample: Sample) -> Image.Image:
        strengths = card.config.harmless.of_class(sample.class_name)
        return changed(sample.read(), strengths, np.random.default_rng(zlib.crc32(sample.name.encode())))

    def as_it_is(sample: Sample) -> Image.Image:
        return sample.read()

    def by_class(samples: Sequence[Sample], read: Read) -> dict[str, list[float]]:
        found: dict[str, list[float]] = {}
        for sample, score in zip(samples, scores(samples, read, predictor), strict=True):
            found.setdefault(sample.class_name, []).append(score)
        return found

    seen = [by_class(parts, read) for parts in (good, defective) for read in (as_it_is, after)]  # as FIGURES
    rate, measured = card.config.calibration.false_alarm_rate, {}
    for times in TOLERATED:
        calibration = replace(card.calibration, tolerated=times)
        measured[times] = {
            figure: fmean(
                share([calibration.judge(score, name, rate).verdict == "defect" for score in own])
                for name, own in classes.items()
            )
            for figure, classes in zip(FIGURES, seen, strict=True)
        }
    return measured


def run(names: Sequence[str], device: str) -> dict[str, Any]:
    """Measure every checkpoint of the demo factory; its foundation model sees each picture once."""
    foundation, bars = load_foundation(device=device), Bars()
    good, defective = unseen()
    store: Store = {}
    found: dict[str, Any] = {}
    for name in names:
        predictor = Predictor.from_checkpoint(name, foundation, store)
        found[predictor.card.name] = list(measure(good, defective, predictor).values())
        bars(Stage("caution"), len(found), len(names))
    bars.close()
    return {"tolerated": [str(times) for times in TOLERATED], "checkpoints": found}


def table(results: Mapping[str, Any]) -> str:
    """Figures over how many times the rate may pass, means over checkpoints, in per cent."""
    rows = [
        [
            figure,
            *(percent(fmean(own[i][figure] for own in results["checkpoints"].values())) for i in range(len(TOLERATED))),
        ]
        for figure in FIGURES
    ]
    return markdown(
        ["times the rate", *(times.removesuffix(".0").replace("inf", "any") for times in results["tolerated"])], rows
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print, or print what was written."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.caution", description="How far thresholds are raised.")
    parser.add_argument("checkpoints", nargs="*", metavar="CHECKPOINT", help="of the demo factory; all that ship")
    parser.add_argument("--device", default=AUTO, metavar=DEVICES, help="what computes; auto: the best there is")
    parser.add_argument("--output", type=Path, default=Path("caution.json"), metavar="FILE")
    parser.add_argument("--table", type=Path, metavar="FILE", help="print what a run wrote")
    options = parser.parse_args(arguments)
    settle()
    with command.plainly("caution"):
        if not options.table:
            names = options.checkpoints or [
                str(folder) for folder in checkpoint_folders() if read_card(folder).data.base == DEMO
            ]
            write_text(options.output, json.dumps(run(names, options.device), indent=1))
        print(table(command.written(options.table or options.output)))


if __name__ == "__main__":
    main()
