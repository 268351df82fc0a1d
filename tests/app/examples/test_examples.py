"""Examples know what they are, and nothing else does; those that teach most come first, and teach what they say."""

import json
import shutil
from pathlib import Path

import pytest

from app.examples.gallery import caption
from app.examples.judged import JUDGED, LESSONS, choose_lessons, examples_for, said_by
from app.examples.pictures import ASSETS, all_examples, example_at
from app.predictors import Predictors
from ltad.inspection.predictor import Predictor

SHIPPED = Predictors()


@pytest.mark.parametrize("name", ["industrial-natural", "demo-exp100"])
def test_every_example_knows_its_truth(name: str) -> None:
    examples = examples_for(SHIPPED.card(name))
    assert "good" in {example.defect for example in examples} and len({example.defect for example in examples}) > 1
    assert all(example_at(example.path) == example._replace(lesson="") for example in examples)


def test_what_a_visitor_drops_has_none_even_if_it_is_a_copy(tmp_path: Path) -> None:
    assert example_at(Path(shutil.copy(ASSETS / "gear-good.jpg", tmp_path / "gear-good.jpg"))) is None


@pytest.mark.parametrize("name", SHIPPED.names())
def test_the_first_examples_teach_what_a_verdict_can_be(name: str) -> None:
    predictor = Predictor.from_checkpoint(name)
    has_own = any(example.class_name in predictor.card.class_names for example in all_examples())
    lessons = [lesson for lesson in LESSONS if has_own or lesson.title == "A stranger"]
    first = examples_for(predictor.card)[: len(lessons)]
    assert [example.lesson for example in first] == [lesson.title for lesson in lessons]
    for example, lesson in zip(first, lessons, strict=True):
        assert lesson.teaches(example, predictor.predict(example.path)), (example.path.name, lesson.title)
        assert caption(example, predictor.card).startswith(f"{lesson.title} · ")


def test_the_choice_of_the_first_examples_can_be_made_again() -> None:
    predictor = Predictor.from_checkpoint("industrial-natural")
    assert (
        choose_lessons(said_by(predictor))
        == json.loads(JUDGED.read_text(encoding="utf-8"))["industrial-natural"]["lessons"]
    )


def test_real_products_come_first() -> None:
    real = [name.startswith("industrial") for name in SHIPPED.names()]
    assert real == sorted(real, reverse=True) and SHIPPED.first() == "industrial-natural"
