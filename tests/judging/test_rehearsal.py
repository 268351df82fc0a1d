"""What classes that play few images say of one that has as few."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltad.judging.calibration import Calibration, HeldOut
from ltad.judging.rehearsal import Performance, Rehearsal, Scale, own_scale, points, usual_scale


def test_a_scale_leans_on_the_usual_one_the_more_the_fewer_images_there_are() -> None:
    usual = Scale(0.0, 1.0)
    assert own_scale([], 1, usual) == usual
    means = [own_scale([10.0, 12.0] * n, 2 * n, usual).mean for n in (1, 2, 4, 50)]
    assert means == sorted(means) and means[0] < 3 and means[-1] > 10
    spreads = [own_scale(np.linspace(-9, 9, 2 * n), 2 * n, usual).spread for n in (1, 2, 4, 50)]
    assert all(1 < spread < 13 for spread in spreads)


@given(st.floats(-50, 50), st.floats(0.1, 10), st.lists(st.floats(-9, 9), min_size=1))
def test_there_and_back(mean: float, spread: float, scores: list[float]) -> None:
    scale = Scale(mean, spread)
    np.testing.assert_allclose(scale.back(scale.of(scores)), scores, atol=1e-9)


def test_points_are_quantiles_in_even_steps() -> None:
    assert points([3.0, 1.0, 2.0], 3) == pytest.approx((1.0 + 1 / 3, 2.0, 3.0 - 1 / 3))
    assert usual_scale([np.empty(0)]) == Scale(0.0, 1.0)


@pytest.mark.parametrize(("images", "most"), [(1, 0.12), (4, 0.09), (16, 0.08)])
def test_a_class_of_few_keeps_the_rate_though_it_could_not_by_itself(images: int, most: float) -> None:
    """Classes whose scores have places and spreads of their own; the fresh images of a held-out one are judged."""
    generator = np.random.default_rng(0)

    def draw(count: int, place: float, spread: float) -> np.ndarray:
        return place + spread * generator.gamma(2.0, 1.0, count)

    flagged = []
    for _ in range(150):
        worlds = [(generator.normal(0, 0.6), np.exp(generator.normal(0, 0.25))) for _ in range(7)]
        held_out = [draw(images if images > 1 else 0, *world) for world in worlds]
        played = [Performance(str(i), held_out[i], draw(40, *worlds[i]), np.empty(0)) for i in range(6)]
        calibration = Calibration({"new": HeldOut(tuple(held_out[6]))}, {images: Rehearsal.of(played, images)})
        limit = calibration.normals("new").threshold(0.05)
        flagged.append((draw(40, *worlds[6]) > limit).mean())
    assert 0.02 < np.mean(flagged) < most
