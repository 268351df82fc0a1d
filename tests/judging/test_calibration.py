"""P-values, thresholds and what they promise, by hand and by chance."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ltad.judging.calibration import ENOUGH, FEW, Calibration, HeldOut, Normals
from ltad.judging.rehearsal import Rehearsal, Scale

values = st.integers(-20, 20).map(float)  # few values, so that ties are common
normals = st.lists(values, min_size=1, max_size=60).map(lambda scores: tuple(sorted(scores)))
rates = st.one_of(st.integers(1, 99).map(lambda percent: percent / 100), st.floats(0.001, 0.999))


def only(*scores: float) -> Calibration:
    """One class, and nothing to fill its scores up with."""
    return Calibration({"a": HeldOut(scores)})


def of(scores: tuple[float, ...]) -> Normals:
    return Normals(scores, len(scores), len(scores))


def test_by_hand() -> None:
    four = of((1.0, 2.0, 2.0, 3.0))
    assert [four.p_value(s) for s in (0.0, 1.0, 2.0, 2.5, 3.0, 4.0)] == [1, 1, 0.8, 0.4, 0.4, 0.2]
    assert [four.threshold(rate) for rate in (0.01, 0.2, 0.4, 0.6, 0.8)] == [3, 3, 2, 2, 1]
    assert of((0.0,) * 19).smallest_rate == 0.05


@settings(deadline=None)
@given(normals, values, rates)
def test_over_the_threshold_is_exactly_a_small_p_value(scores: tuple[float, ...], score: float, rate: float) -> None:
    own = of(scores)
    assert own.smallest_rate <= own.p_value(score) <= 1
    if rate >= own.smallest_rate:
        assert (score > own.threshold(rate)) == (own.p_value(score) <= rate)


@settings(deadline=None)
@given(normals, values, values, rates)
def test_a_higher_score_is_never_more_normal(scores: tuple[float, ...], one: float, other: float, rate: float) -> None:
    low, high = (only(*scores).judge(score, "a", rate) for score in sorted((one, other)))
    order = ("ok", "borderline", "defect")
    assert low.p_value >= high.p_value
    assert order.index(low.verdict) <= order.index(high.verdict)


@settings(deadline=None)
@given(normals, values, rates)
def test_a_verdict_fits_its_threshold_and_its_promise(scores: tuple[float, ...], score: float, rate: float) -> None:
    judgement = only(*scores).judge(score, "a", rate)
    assert (judgement.verdict == "defect") == (score > judgement.threshold)
    assert judgement.promised_rate == max(rate, 1 / (len(scores) + 1))
    assert judgement.normals.own == len(scores)


@st.composite
def calibrations(draw: st.DrawFn) -> Calibration:
    """Classes of any number of images, with and without harmless change and rehearsals."""
    changes = draw(st.booleans())
    some = st.lists(values, max_size=2 * ENOUGH)
    classes = {}
    for name in "abc":
        scores = tuple(draw(some))
        classes[name] = HeldOut(scores, tuple(s + draw(st.floats(0, 3)) for s in scores) if changes else ())
    played = st.lists(values, min_size=1, max_size=9).map(lambda scores: tuple(sorted(scores)))
    rehearsal = st.builds(
        lambda mean, spread, one, other: Rehearsal(
            Scale(mean, spread), {"a": one, "b": other}, {"a": other} if changes else {}
        ),
        values,
        st.floats(0.1, 9),
        played,
        played,
    )
    return Calibration(classes, draw(st.dictionaries(st.sampled_from((1, 2, 5, 20)), rehearsal)))


@settings(deadline=None, max_examples=300)
@given(calibrations(), st.lists(rates, min_size=2, max_size=9))
def test_a_threshold_never_rises_with_the_rate(calibration: Calibration, some: list[float]) -> None:
    for name in calibration.classes:
        if calibration.normals(name).scores:
            limits = [calibration.judge(0.0, name, rate).threshold for rate in sorted(some)]
            assert limits == sorted(limits, reverse=True)


@pytest.mark.parametrize(("n", "rate", "expected"), [(19, 0.1, 0.1), (19, 0.05, 0.05), (30, 0.1, 3 / 31)])
def test_fresh_normals_raise_no_more_false_alarms_than_promised(n: int, rate: float, expected: float) -> None:
    """Whatever their distribution: here a heavy-tailed one. The expectation is floor(rate · (n + 1)) / (n + 1)."""
    generator = np.random.default_rng(0)
    draws, fresh = 4000, 25
    alarms = 0
    for _ in range(draws):
        scores = np.sort(generator.standard_t(2, n))
        alarms += (generator.standard_t(2, fresh) > of(tuple(scores)).threshold(rate)).sum()
    assert alarms / (draws * fresh) == pytest.approx(expected, abs=0.004)


def test_between_one_and_two_rates_is_borderline() -> None:
    verdicts = [only(*map(float, range(19))).judge(score, "a", 0.1).verdict for score in (18.5, 17.5, 16.5, 15.5, 14.5)]
    assert verdicts == ["defect", "defect", "borderline", "borderline", "ok"]


def test_enough_images_speak_for_their_class_alone() -> None:
    own = tuple(map(float, range(ENOUGH)))
    calibration = Calibration({"a": HeldOut(own), "b": HeldOut((500.0,) * 90)})
    assert calibration.normals("a") == Normals(own, ENOUGH, ENOUGH)


REHEARSAL = Rehearsal(Scale(1.0, 2.0), {"b": (0.0, 1.0), "c": (2.0, 3.0)})


def test_held_out_scores_move_as_those_of_classes_that_played_would() -> None:
    own = tuple(np.linspace(0.0, 10.0, ENOUGH).tolist())
    spread = float(np.std(own, ddof=1))
    lower = Rehearsal(Scale(5.0, spread), {"b": (-1.5, -0.5), "c": (-1.5, -0.5)})  # a spread lower, and half as wide
    same = Rehearsal(Scale(5.0, spread), {"b": (-1.0, 1.0), "c": (-1.0, 1.0)})

    def expected(rehearsal: Rehearsal, played: int) -> np.ndarray:
        normals = Calibration({"a": HeldOut(own)}, {played: rehearsal}).normals("a")
        assert (normals.images, normals.own, normals.played) == (ENOUGH, ENOUGH, played)
        return np.array(normals.scores)

    moved = 5.0 - spread + 0.5 * (np.array(own) - 5.0)
    np.testing.assert_allclose(expected(lower, ENOUGH), moved, atol=0.05 * spread)
    np.testing.assert_allclose(expected(lower, ENOUGH // 2), (moved + np.array(own)) / 2, atol=0.05 * spread)
    np.testing.assert_allclose(expected(same, ENOUGH), own, atol=0.05 * spread)


def test_harmless_change_raises_the_scores_of_a_class_that_it_makes_nervous() -> None:
    own = tuple(map(float, range(99)))

    def threshold(*changed: float) -> float:
        return Calibration({"a": HeldOut(own, changed)}).judge(0.0, "a", 0.05).threshold

    assert threshold() == 94  # 5 of 100 new ones may lie above
    assert threshold(*(score + 2 for score in own)) == 94  # 6 of the changed ones do, and 7.5 of 100 may
    assert threshold(*(score + 40 for score in own)) == 132
    assert threshold(*(score - 40 for score in own)) == 94
    assert threshold(900.0, 901.0, 902.0) == 94  # so few promise nothing


@pytest.mark.parametrize("own", [(), (5.0, 7.0), (5.0, 7.0, 9.0)])
def test_of_few_images_it_is_other_classes_that_say_what_harmless_change_does(own: tuple[float, ...]) -> None:
    def threshold(*changed: float) -> float:
        rehearsal = replace(REHEARSAL, changed={"b": changed})
        return Calibration({"a": HeldOut(own)}, {1: rehearsal}).normals("a").threshold(0.1)

    calm = Calibration({"a": HeldOut(own)}, {1: REHEARSAL}).normals("a").threshold(0.1)
    assert threshold(0.0, 1.0, 2.0, 3.0) == calm
    assert threshold(20.0, 21.0, 22.0, 23.0) > calm + 20


def test_a_size_that_hardly_any_class_played_is_passed_over() -> None:
    one = Rehearsal(Scale(0.0, 1.0), {"b": (9.0,)})
    several = Rehearsal(Scale(0.0, 1.0), dict.fromkeys("bcd", (0.0,)))
    for rehearsals, played in (({4: several, 8: one}, 4), ({4: several, 8: several}, 8), ({4: one, 8: one}, 8)):
        assert Calibration({"a": HeldOut((0.0,) * 8)}, rehearsals).normals("a").played == played


def test_few_images_are_filled_up_with_what_classes_that_played_them_would_score() -> None:
    calibration = Calibration({"a": HeldOut((5.0, 7.0, 9.0)), "b": HeldOut((90.0,) * 90)}, {1: REHEARSAL, 4: REHEARSAL})
    normals = calibration.normals("a")
    assert (normals.images, normals.own, normals.played, len(normals.scores)) == (ENOUGH, 3, 1, ENOUGH)
    assert max(normals.scores) < 20  # in its own scale, not in b's
    louder = Calibration({"a": HeldOut((50.0, 70.0, 90.0))}, {1: REHEARSAL}).normals("a")
    assert louder.threshold(0.1) > normals.threshold(0.1) + 20


def test_a_lone_image_is_judged_by_those_that_played_one() -> None:
    calibration = Calibration({"a": HeldOut()}, {1: REHEARSAL})
    normals = calibration.normals("a")
    assert (normals.own, normals.played) == (0, 1)
    assert (min(normals.scores), max(normals.scores)) == pytest.approx((1.0, 7.0), abs=0.1)  # 1 + 2 · their scores


def test_where_none_played_all_classes_lend() -> None:
    head = tuple(float(s) for s in range(200))
    calibration = Calibration({"head": HeldOut(head), "tail": HeldOut((-1.0, 300.0))})
    normals = calibration.normals("tail")
    assert (normals.own, normals.images, normals.played) == (2, ENOUGH, None)
    assert 180 < normals.threshold(0.05) <= 200
    both = Calibration({"a": HeldOut((1.0, 2.0)), "b": HeldOut((3.0,))}).judge(3.5, "a", 0.01)
    assert (both.promised_rate, both.verdict) == (0.25, "defect") and 2 <= both.threshold <= 3  # even all are too few


def test_so_few_images_promise_nothing_and_say_what_was_seen() -> None:
    calibration = Calibration({"a": HeldOut((1.0,) * FEW), "b": HeldOut((1.0,) * (FEW + 1))}, {1: REHEARSAL})
    few, more = (calibration.judge(1.0, name, 0.05) for name in "ab")
    assert few.provisional and not more.provisional and more.seen_rates is None
    assert few.seen_rates == (0.5, 1.0)  # all of c exceed what b says, none of b what c says
    assert only(1.0).judge(1.0, "a", 0.05).seen_rates is None


@pytest.mark.parametrize("rate", [2.0, 1.0, 0.0, -1.0, float("nan")])
def test_rates_that_are_none_are_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="false_alarm_rate must be in"):
        only(1.0, 2.0, 3.0, 4.0).judge(1.0, "a", rate)


def test_known_is_what_is_not_much_less_familiar_than_usual() -> None:
    classes = {"a": HeldOut((0.0,) * 6, (), (0.8,) * 6), "b": HeldOut((0.0,) * 2, (), (0.4, 0.4)), "c": HeldOut()}
    calibration = Calibration(classes, reach=0.1)
    assert calibration.usual_familiarity("a") == pytest.approx(0.75)  # by a quarter what is usual in all classes
    assert calibration.usual_familiarity("b") == pytest.approx(0.5)  # by half
    assert calibration.usual_familiarity("c") == pytest.approx(0.6)
    assert calibration.is_known("a", 0.66) and not calibration.is_known("a", 0.64)
    assert calibration.is_known("c", 0.51) and not calibration.is_known("c", 0.49)


@pytest.mark.parametrize(("name", "scores"), [("nut", (-1.0, 0.12346, 1.0, 3.0)), ("ring", (-1.0, 0.12346))])
def test_figures_are_rounded_and_sorted_among_those_that_there_are(name: str, scores: tuple[float, ...]) -> None:
    before = Calibration({"nut": HeldOut((1.0, 3.0), (2.0, 4.0), (0.5,)), "cap": HeldOut((9.0,))}, {1: REHEARSAL})
    after = before.with_held_out({name: HeldOut((0.1234567, -1.0), (), (0.25,))})
    assert after.classes[name].scores == scores and after.classes["cap"] == HeldOut((9.0,))
    assert after.classes[name].familiarity == ((0.25, 0.5) if name == "nut" else (0.25,))
    assert after.rehearsals == before.rehearsals and before.classes["nut"].scores == (1.0, 3.0)


@pytest.mark.parametrize("rehearsals", [{}, {1: REHEARSAL}, {6: REHEARSAL}])
@pytest.mark.parametrize("images", [4, 10, ENOUGH - 1, ENOUGH, 100])
def test_what_is_told_before_a_class_is_learned_is_what_then_stands_behind_it(
    images: int, rehearsals: dict[int, Rehearsal]
) -> None:
    before = Calibration({"a": HeldOut((1.0, 2.0, 3.0)), "b": HeldOut((4.0,) * 20)}, rehearsals)
    after = before.with_held_out({"new": HeldOut(tuple(map(float, range(images))))})
    assert after.backing("new") == before.expected(images)
