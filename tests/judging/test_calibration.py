"""P-values, thresholds and what they promise, by hand and by chance."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ltad.judging.calibration import Calibration, p_value, smallest_rate, threshold

values = st.integers(-20, 20).map(float)  # few values, so that ties are common
normals = st.lists(values, min_size=1, max_size=60).map(lambda scores: tuple(sorted(scores)))
rates = st.one_of(st.integers(1, 99).map(lambda percent: percent / 100), st.floats(0.001, 0.999))


def test_by_hand() -> None:
    scores = (1.0, 2.0, 2.0, 3.0)
    assert [p_value(s, scores) for s in (0.0, 1.0, 2.0, 2.5, 3.0, 4.0)] == [1, 1, 0.8, 0.4, 0.4, 0.2]
    assert [threshold(scores, rate) for rate in (0.2, 0.4, 0.6, 0.8)] == [3, 2, 2, 1]
    assert smallest_rate(19) == 0.05


@settings(deadline=None)
@given(normals, values, rates)
def test_over_the_threshold_is_exactly_a_small_p_value(scores: tuple[float, ...], score: float, rate: float) -> None:
    p = p_value(score, scores)
    assert smallest_rate(len(scores)) <= p <= 1
    if rate >= smallest_rate(len(scores)):
        assert (score > threshold(scores, rate)) == (p <= rate)


@settings(deadline=None)
@given(normals, values, values, rates)
def test_a_higher_score_is_never_more_normal(scores: tuple[float, ...], one: float, other: float, rate: float) -> None:
    calibration = Calibration({"a": scores}, {"a": ()})
    low, high = (calibration.judge(score, "a", rate) for score in sorted((one, other)))
    order = ("ok", "borderline", "defect")
    assert low.p_value >= high.p_value
    assert order.index(low.verdict) <= order.index(high.verdict)


@settings(deadline=None)
@given(normals, values, rates)
def test_a_verdict_fits_its_threshold_and_its_promise(scores: tuple[float, ...], score: float, rate: float) -> None:
    judgement = Calibration({"a": scores}, {"a": ()}).judge(score, "a", rate)
    assert (judgement.verdict == "defect") == (score > judgement.threshold)
    assert judgement.promised_rate == max(rate, 1 / (len(scores) + 1))
    assert judgement.normals == len(scores)


def test_too_low_rates_are_refused_by_the_threshold() -> None:
    for scores, rate in (((), 0.5), ((1.0, 2.0), 0.3)):
        with pytest.raises(ValueError, match=f"{len(scores)} normal images cannot promise a false-alarm rate of"):
            threshold(scores, rate)


@pytest.mark.parametrize(("n", "rate", "expected"), [(19, 0.1, 0.1), (19, 0.05, 0.05), (30, 0.1, 3 / 31)])
def test_fresh_normals_raise_no_more_false_alarms_than_promised(n: int, rate: float, expected: float) -> None:
    """Whatever their distribution: here a heavy-tailed one. The expectation is floor(rate · (n + 1)) / (n + 1)."""
    generator = np.random.default_rng(0)
    draws, fresh = 4000, 25
    alarms = 0
    for _ in range(draws):
        scores = np.sort(generator.standard_t(2, n))
        alarms += (generator.standard_t(2, fresh) > threshold(tuple(scores), rate)).sum()
    assert alarms / (draws * fresh) == pytest.approx(expected, abs=0.004)


def test_between_one_and_two_rates_is_borderline() -> None:
    calibration = Calibration({"a": tuple(map(float, range(19)))}, {"a": ()})
    verdicts = [calibration.judge(score, "a", 0.1).verdict for score in (18.5, 17.5, 16.5, 15.5, 14.5)]
    assert verdicts == ["defect", "defect", "borderline", "borderline", "ok"]


def test_too_few_normals_borrow_from_all_classes_and_say_so() -> None:
    head = tuple(float(s) for s in range(19))
    calibration = Calibration({"head": head, "tail": (-1.0, 30.0)}, {"head": (), "tail": ()})
    assert calibration.normals("head", 0.05) == (head, False)
    assert calibration.normals("tail", 0.05) == ((-1.0, *head, 30.0), True)
    assert calibration.normals("tail", 0.4) == ((-1.0, 30.0), False)
    judgement = calibration.judge(18.5, "tail", 0.05)
    assert (judgement.normals, judgement.borrowed, judgement.verdict) == (21, True, "borderline")


def test_where_even_all_classes_are_too_few_the_promise_is_weaker() -> None:
    judgement = Calibration({"a": (1.0, 2.0), "b": (3.0,)}, {"a": (), "b": ()}).judge(3.5, "a", 0.01)
    assert (judgement.promised_rate, judgement.threshold, judgement.verdict) == (0.25, 3, "defect")


@pytest.mark.parametrize("rate", [2.0, 1.0, 0.0, -1.0, float("nan")])
def test_rates_that_are_none_are_refused(rate: float) -> None:
    calibration = Calibration({"a": (1.0, 2.0, 3.0, 4.0)}, {"a": (0.5,)})
    with pytest.raises(ValueError, match="false_alarm_rate must be in"):
        calibration.judge(1.0, "a", rate)


def test_known_is_half_the_usual_similarity() -> None:
    calibration = Calibration({}, {"a": (0.1, 0.4, 0.5), "b": ()})
    assert calibration.is_known("a", 0.2) and not calibration.is_known("a", 0.19)
    assert calibration.is_known("b", 0.2) and not calibration.is_known("b", 0.19)  # the median of all


@pytest.mark.parametrize(("name", "scores"), [("nut", (-1.0, 0.12346, 1.0, 3.0)), ("ring", (-1.0, 0.12346))])
def test_figures_are_rounded_and_sorted_among_those_that_there_are(name: str, scores: tuple[float, ...]) -> None:
    before = Calibration({"nut": (1.0, 3.0), "cap": (9.0,)}, {"nut": (0.5,), "cap": ()})
    after = before.with_figures({name: [0.1234567, -1.0]}, {name: [0.25]})
    assert after.scores == {"nut": (1.0, 3.0), "cap": (9.0,)} | {name: scores}
    assert after.similarities == before.similarities | {name: (0.25, 0.5) if name == "nut" else (0.25,)}
    assert before.scores == {"nut": (1.0, 3.0), "cap": (9.0,)}


def test_usual_images_are_known_even_where_names_fit_badly() -> None:
    assert Calibration({}, {"a": (-0.3, -0.2, -0.1)}).is_known("a", -0.2)
