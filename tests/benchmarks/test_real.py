"""What only real images can show; ``LTAD_DATA`` names the folder of industrial-natural's classes."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from app.examples.pictures import SOLAR_CELLS
from ltad.data.longtail import split_hash
from ltad.data.sources import open_dataset
from ltad.evaluation.table import FIGURES, evaluate
from ltad.inspection.predictor import Predictor

DATA = os.environ.get("LTAD_DATA", "")
pytestmark = [pytest.mark.real, pytest.mark.skipif(not DATA, reason="LTAD_DATA names no folder")]


def test_the_checkpoint_was_trained_on_this_data() -> None:
    assert Predictor.from_checkpoint("industrial-natural").card.data.split_hash == split_hash(open_dataset(DATA))


def test_no_example_is_a_training_image() -> None:
    training = {Path(sample.name).stem for sample in open_dataset(DATA).train}
    examples = {cell for kinds in SOLAR_CELLS.values() for cells in kinds.values() for cell in cells}
    assert examples and not examples & training


def test_the_published_figures_come_out_again() -> None:
    predictor = Predictor.from_checkpoint("industrial-natural")
    dataset = open_dataset(DATA)
    some = replace(dataset, test=tuple(s for s in dataset.test if s.class_name in ("cookie", "screw")))
    table = evaluate(some, predictor, progress=lambda *_: None)
    published = predictor.card.metrics
    assert published
    for name, row in table["classes"].items():
        for key in FIGURES:
            assert row[key] == pytest.approx(published["classes"][name][key], abs=1e-4)
