"""What checkpoints said of the examples, once, and which of them teach most: those come first."""

import json
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from app.examples.pictures import ASSETS, Example, all_examples
from app.viewer import prediction_facts
from ltad.checkpoint.card import CheckpointCard
from ltad.files import write_text
from ltad.inspection.prediction import Prediction
from ltad.inspection.predictor import Predictor

JUDGED = ASSETS / "judged.json"


class Lesson(NamedTuple):
    """Something that a verdict can be: which predictions of an example are one, and how good a one, the least first."""

    title: str
    teaches: Callable[[Example, Prediction], bool]
    rank: Callable[[Prediction], float]


def _is_found(example: Example, prediction: Prediction) -> bool:
    return example.defect != "good" and prediction.verdict == "defect" and prediction.named == example.class_name


def _area(prediction: Prediction) -> float:
    """The share of the photograph that stands out; a defect without a place is none to show."""
    width, height = prediction.size
    return sum(region.area for region in prediction.regions) / (width * height) or float("inf")


LESSONS = (
    Lesson("A clear find", _is_found, lambda p: -p.judgement.ratio),
    Lesson("A small find", _is_found, _area),
    Lesson("A good part", lambda e, p: e.defect == "good" and p.verdict == "ok", lambda p: p.judgement.ratio),
    Lesson("A stranger", lambda e, p: e.class_name not in p.card.class_names and p.verdict == "unknown", lambda p: 0),
    Lesson("A miss", lambda e, p: e.defect != "good" and p.verdict == "ok", lambda p: -p.judgement.ratio),
)


def examples_for(card: CheckpointCard) -> list[Example]:
    """The examples of a checkpoint: those that teach most, where that is known, then the others of its classes."""
    lessons = _judged(card).get("lessons", {})
    by_name = {example.path.name: example for example in all_examples()}
    first = [by_name[name]._replace(lesson=title) for name, title in lessons.items() if name in by_name]
    own = (example for example in all_examples() if example.class_name in card.class_names and suits(example, card))
    return [*first, *(example for example in own if example.path.name not in lessons)]


def suits(example: Example, card: CheckpointCard) -> bool:
    """Whether a photograph has the pixels that a checkpoint looks at; of a stranger they do not matter."""
    return example.class_name not in card.class_names or example.large == card.is_fine


def judged_before(example: Example, card: CheckpointCard) -> dict[str, Any] | None:
    """What the checkpoint said of an example when ``JUDGED`` was made; None where it was another, or is not kept."""
    return _judged(card).get("facts", {}).get(example.path.name)


def _judged(card: CheckpointCard) -> dict[str, Any]:
    """What is kept of a checkpoint; nothing where its tensors are others by now."""
    kept = _read().get(card.name, {})
    return kept if kept.get("sha256") == card.sha256() else {}


@lru_cache
def _read() -> dict[str, Any]:
    return json.loads(JUDGED.read_text(encoding="utf-8")) if JUDGED.is_file() else {}


def judge_all(predictors: Iterable[Predictor]) -> None:
    """Write ``JUDGED``: what every checkpoint teaches on its examples, and what the first says of those it shows."""
    judged: dict[str, Any] = {}
    for predictor in predictors:
        card = predictor.card
        said = said_by(predictor)
        kept: dict[str, Any] = {"sha256": card.sha256(), "lessons": choose_lessons(said)}
        if not judged:  # whose model is the first to be loaded
            shown = {
                e: p for e, p in said.items() if e.class_name in card.class_names or e.path.name in kept["lessons"]
            }
            kept["facts"] = {example.path.name: prediction_facts(prediction) for example, prediction in shown.items()}
        judged[card.name] = kept
    write_text(JUDGED, json.dumps(judged, separators=(",", ":")))


def said_by(predictor: Predictor) -> dict[Example, Prediction]:
    """What a checkpoint says of the examples that suit it."""
    return {example: predictor.predict(example.path) for example in all_examples() if suits(example, predictor.card)}


def choose_lessons(said: dict[Example, Prediction]) -> dict[str, str]:
    """For each lesson that there is, the file of the example that teaches it best, of a new class where that can be."""
    chosen: dict[str, str] = {}
    classes: set[str] = set()
    for lesson in LESSONS:
        able = [e for e, p in said.items() if e.path.name not in chosen and lesson.teaches(e, p)]
        if able:
            best = min(able, key=lambda e: (e.class_name in classes, lesson.rank(said[e])))
            chosen[best.path.name] = lesson.title
            classes.add(best.class_name)
    return chosen
