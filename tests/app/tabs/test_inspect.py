"""What the Inspect tab says of the chosen checkpoint."""

import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from app.tabs.inspect import about_checkpoint
from ltad.checkpoint.card import CheckpointCard, Parent
from ltad.inspection.predictor import Predictor

CHANGES = {
    "class": "rings",
    "is_new": True,
    "after": {
        "good": [0.5, 0.7, 1.2],
        "defective": [3.0, 0.9],
        "recognised": 1.0,
        "false_alarms": 1 / 3,
        "found": 0.5,
        "image_auroc": 5 / 6,
    },
}


@pytest.fixture
def taught(predictor: Predictor) -> CheckpointCard:
    card = predictor.card
    data = card.data.with_images("rings", "0" * 16, is_new=True, command="adapt")
    parent = Parent(name=card.name, sha256=card.sha256())
    return replace(card, classes=card.classes_with("rings", 6), data=data, parent=parent, metrics=None)


def said(card: CheckpointCard, changes: dict[str, Any] | None = None) -> str:
    asked: Any = SimpleNamespace(card=lambda name: card, changes=lambda name: changes)
    return about_checkpoint(asked, card.name)


def test_a_trained_checkpoint_tells_its_tail_and_its_figures(predictor: Predictor) -> None:
    line = re.sub("<.*?>", "", said(predictor.card))
    assert line.startswith(
        "**3 classes** with 8 down to 1 training images. Image AUROC on its test images, per cent: all "
    )


def test_classes_of_as_many_images_are_counted_once(predictor: Predictor) -> None:
    classes = tuple(replace(each, n_train=40) for each in predictor.card.classes)
    assert said(replace(predictor.card, classes=classes)).startswith("**3 classes** with 40 training images each. ")


def test_a_taught_checkpoint_tells_the_new_class_and_what_was_measured_of_it(taught: CheckpointCard) -> None:
    line = said(taught, CHANGES)
    assert line.startswith("**4 classes**: toy, taught **rings** (6 images). Measured on the photographs of rings: ")
    for figure in ("recognised 100 %", "1 of 3 good ones over", "1 of 2 defective ones over", "image AUROC 83.3"):
        assert figure in line
    refined = said(taught, CHANGES | {"class": "dots", "is_new": False})
    assert "taught **rings** (6 images), **dots** (4 images)" in refined


@pytest.mark.parametrize("is_new", [True, False])
def test_one_that_was_taught_elsewhere_says_that_nothing_is_measured_here(taught: CheckpointCard, is_new: bool) -> None:
    card = taught if is_new else replace(taught, data=replace(taught.data, name="toy"))
    new = ", taught **rings** (6 images)" if is_new else ""
    assert said(card) == f"**4 classes**: toy{new}. What that changed was not measured here."
