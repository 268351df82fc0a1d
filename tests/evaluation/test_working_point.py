"""What a checkpoint flags, finds and refuses at its own rate, from scores made by hand."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from ltad.checkpoint.folder import Checkpoint
from ltad.evaluation.scored import Decision, ScoredClass
from ltad.evaluation.working_point import share_draws, working_point
from ltad.inspection.predictor import Predictor
from ltad.judging.calibration import Calibration, HeldOut
from tests.toys import TinyFoundation


@pytest.fixture
def tiny(tiny_foundation: TinyFoundation, tiny_checkpoint: Checkpoint) -> Predictor:
    """Its rate is 0.12."""
    return Predictor(tiny_foundation, tiny_checkpoint)


def scored(
    good: Sequence[float], defective: Sequence[float], over: float, refused: int = 0, name: str = "checker"
) -> ScoredClass:
    """Images with these scores, those over a number flagged, and the first few refused."""
    scores = np.array([*good, *defective], dtype=float)
    decisions = [Decision(bool(score > over), i < refused) for i, score in enumerate(scores)]
    labels = np.array([0] * len(good) + [1] * len(defective))
    every = np.ones(len(scores), bool)
    return ScoredClass(name, labels, scores, every, decisions, labels == 0, [], [])


def test_good_and_defective_images_are_counted_apart(tiny: Predictor) -> None:
    row = working_point(scored([1, 2, 3, 9], [2, 8, 9, 10, 11], over=5, refused=3), tiny)
    assert (row["false_alarms"], row["found"], row["refused"]) == (0.25, 0.8, 3 / 9)
    for key, hits, n in (("false_alarms", 1, 4), ("found", 4, 5)):
        wilson = binomtest(hits, n).proportion_ci(method="wilson")
        assert row[f"{key}_interval"] == pytest.approx((wilson.low, wilson.high))


def test_the_best_threshold_lets_pass_as_many_as_the_class_promises(tiny: Predictor) -> None:
    images = scored(range(9), [6.5, 7.5, 8.5, 9.5], over=5)
    assert working_point(images, tiny)["found_at_best"] == 0.75  # 0.12 of 9 good ones: one, over 7
    # Three held-out normals in all cannot promise 0.12 but 1 in 4: two of nine, over 6.
    few = {"checker": HeldOut(scores=(1.0, 2.0, 3.0)), "dots": HeldOut(), "stripes": HeldOut()}
    card = replace(tiny.card, calibration=Calibration(few))
    wider = Predictor(tiny.foundation, replace(tiny.checkpoint, card=card))
    assert working_point(images, wider)["found_at_best"] == 1


def test_what_is_undefined_is_none(tiny: Predictor) -> None:
    alone = working_point(scored([], [1, 9], over=5), tiny)
    assert alone["false_alarms"] is alone["false_alarms_interval"] is alone["found_at_best"] is None
    assert (alone["found"], alone["refused"]) == (0.5, 0)
    alone = working_point(scored([1, 9], [], over=5), tiny)
    assert alone["found"] is alone["found_interval"] is alone["found_at_best"] is None
    assert (alone["false_alarms"], alone["refused"]) == (0.5, 0)
    nobody_decided = replace(scored([1, 2], [3], over=5), decisions=[])
    assert set(working_point(nobody_decided, tiny).values()) == {None}
    assert share_draws(nobody_decided, 0) == {}


def test_classes_are_not_lucky_in_the_same_rounds() -> None:
    good, bad = [1, 9] * 10, [8, 1] * 10
    draws = [share_draws(scored(good, bad, over=5, name=name), 0) for name in ("checker", "dots")]
    for key in ("false_alarms", "found"):
        first, second = (own[key] for own in draws)
        assert first.mean() == pytest.approx(0.5, abs=0.02) and first.std() == pytest.approx(0.112, rel=0.1)
        assert abs(np.corrcoef(first, second)[0, 1]) < 0.15
