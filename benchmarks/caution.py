"""How far harmless change may raise thresholds: what is flagged and what is found, on renderings that no test knows.

``python -m benchmarks.caution [CHECKPOINT ...] --output FILE``

Parts of the demo factory beyond those that a training takes, ``GOOD`` of each class, as they are and changed as a
training changes them, in ``DRAWS`` draws, and defective ones beyond those of the test set, are scored as their class,
at each checkpoint's own rate. Only how many times that rate may pass a threshold after harmless change differs.
``--table FILE`` prints it.
"""

import argparse
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks import command
from benchmarks.harmless import open_predictors
from benchmarks.tables import markdown
from ltad.checkpoint.card import CheckpointCard
from ltad.checkpoint.folder import checkpoint_folders, read_card
from ltad.data import Sample
from ltad.data.demo import demo_dataset
from ltad.data.sources import DEMO
from ltad.evaluation.metrics import share
from ltad.files import write_text
from ltad.foundation.features import ENCODE_BATCH
from ltad.inspection.predictor import Predictor
from ltad.machine import AUTO, DEVICES, settle
from ltad.photos.harmless import changed
from ltad.presets import default
from ltad.words import percent

TAKEN, TESTED, BEYOND = 200, 6, 5  # of a class and of a kind of defect: for training, in the test set, and beyond it
GOOD = 40  # parts of each class
DRAWS = 3  # of a change
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


def after_change(draw: int, sample: Sample) -> Image.Image:
    """A part as a training changes it, too."""
    strengths = default().harmless.of_class(sample.class_name)
    return changed(sample.read(), strengths, np.random.default_rng((draw, zlib.crc32(sample.name.encode()))))


def as_it_is(sample: Sample) -> Image.Image:
    """A part as it was rendered."""
    return sample.read()


def scores(samples: Sequence[Sample], read: Read, predictors: Mapping[str, Predictor]) -> dict[str, list[float]]:
    """What each checkpoint scores parts as their class; a part is rendered once."""
    found: dict[str, list[float]] = {name: [] for name in predictors}
    for start in range(0, len(samples), ENCODE_BATCH):
        some = samples[start : start + ENCODE_BATCH]
        pictures = [read(sample) for sample in some]
        for name, predictor in predictors.items():
            given = torch.tensor([predictor.card.class_id(sample.class_name) for sample in some])
            found[name] += predictor.predict_views(predictor.encoder.views(pictures), given).image_scores.tolist()
    return found


def shares(card: CheckpointCard, samples: Sequence[Sample], scored: Sequence[float], times: float) -> float:
    """How many parts a checkpoint takes for defects, the mean over classes, where so much is tolerated."""
    calibration, rate = replace(card.calibration, tolerated=times), card.config.calibration.false_alarm_rate
    flagged: dict[str, list[bool]] = {}
    for sample, score in zip(samples, scored, strict=True):
        verdict = calibration.judge(score, sample.class_name, rate).verdict
        flagged.setdefault(sample.class_name, []).append(verdict == "defect")
    return fmean(share(own) for own in flagged.values())


def run(options: argparse.Namespace) -> None:
    """Measure every checkpoint of the demo factory; their foundation model sees each picture once."""
    names = options.checkpoints or [
        str(folder) for folder in checkpoint_folders() if read_card(folder).data.base == DEMO
    ]
    predictors = open_predictors(names, options.device, {})
    good, defective = unseen()
    reads = ([as_it_is], [partial(after_change, draw) for draw in range(DRAWS)])
    parts = [(samples, several) for samples in (good, defective) for several in reads]  # as FIGURES
    seen = [(samples, [scores(samples, read, predictors) for read in several]) for samples, several in parts]
    found = {
        name: [
            {
                figure: fmean(shares(predictor.card, samples, scored[name], times) for scored in several)
                for figure, (samples, several) in zip(FIGURES, seen, strict=True)
            }
            for times in TOLERATED
        ]
        for name, predictor in predictors.items()
    }
    results = {"tolerated": [str(times) for times in TOLERATED], "checkpoints": found}
    write_text(options.output, json.dumps(results, indent=1))


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
    command.carry_out("caution", options, run, table)


if __name__ == "__main__":
    main()
