"""Every figure against scikit-learn, a slow reference, or a case by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binomtest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score, roc_curve

from ltad.evaluation.metrics import (
    aupro,
    average_precision,
    bootstrap,
    bootstrap_pixel_auroc,
    bootstrap_share,
    f1_max,
    found_at,
    image_auroc,
    interval,
    pixel_auroc,
    pixel_average_precision,
    share,
    share_interval,
)
from tests.evaluation.reference import aupro as reference

IMAGE_METRICS = [image_auroc, average_precision, f1_max]
PIXEL_METRICS = [pixel_auroc, pixel_average_precision, aupro]


@st.composite
def labels_and_scores(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    size = draw(st.integers(2, 30))
    labels = draw(arrays(bool, size).filter(lambda each: 0 < each.sum() < each.size))
    scores = draw(arrays(np.int8, size, elements=st.integers(-6, 6)))  # few values, so that ties are common
    return labels, scores.astype(np.float64)


@st.composite
def masks_and_maps(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    shape = (draw(st.integers(1, 3)), draw(st.integers(2, 6)), draw(st.integers(2, 6)))
    masks = draw(arrays(bool, shape).filter(lambda each: 0 < each.sum() < each.size))
    return masks, draw(arrays(np.int8, shape, elements=st.integers(0, 8))).astype(np.float32)


def test_by_hand() -> None:
    labels, scores = [0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]
    assert image_auroc(labels, scores) == 0.75
    assert average_precision(labels, scores) == pytest.approx(0.5 + 0.5 * 2 / 3)
    assert f1_max(labels, scores) == pytest.approx(0.8)
    for metric in IMAGE_METRICS:
        assert metric([0, 0, 1, 1], [20, 30, 40, 50]) == 1
    assert image_auroc([0, 1], [3, 3]) == 0.5
    assert image_auroc([0, 1], [1, 0]) == 0  # never flipped


@settings(deadline=None)
@given(labels_and_scores())
def test_agrees_with_scikit_learn(case: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = case
    assert image_auroc(labels, scores) == pytest.approx(roc_auc_score(labels, scores))
    assert average_precision(labels, scores) == pytest.approx(average_precision_score(labels, scores))
    assert f1_max(labels, scores) == pytest.approx(max(f1_score(labels, scores >= t) for t in np.unique(scores)))


@settings(deadline=None)
@given(labels_and_scores(), st.sampled_from([0.01, 0.05, 0.2, 0.25, 0.5, 0.9]))
def test_what_is_found_at_a_rate_is_the_best_of_the_roc_curve_up_to_it(
    case: tuple[np.ndarray, np.ndarray], rate: float
) -> None:
    labels, scores = case
    false, found, _ = roc_curve(labels, scores, drop_intermediate=False)
    assert found_at(labels, scores, rate) == pytest.approx(found[false <= rate + 1e-9].max())


def test_what_is_found_at_a_rate_by_hand() -> None:
    labels = [0] * 20 + [1] * 4
    scores = [*range(20), 17.5, 18, 18.5, 30]
    assert found_at(labels, scores, 0.05) == 0.5  # one of 20 good ones, that of 19, may be above: over 18
    assert found_at(labels, scores, 0.049) == 0.25  # none
    assert found_at(labels, scores, 0.1) == 1  # two: over 17
    assert found_at([0] * 100 + [1], [*range(100), 92.5], 0.07) == 1  # 7 may, though 0.07 · 100 is a little more than 7
    for rate in (0, 1, -0.1, np.nan):
        with pytest.raises(ValueError, match="rate must be in"):
            found_at(labels, scores, rate)
    with pytest.raises(ValueError, match="both normal and anomalous"):
        found_at([0, 0], [1, 2], 0.05)


@pytest.mark.parametrize("metric", IMAGE_METRICS)
@settings(deadline=None)
@given(case=labels_and_scores())
def test_image_metrics_see_only_the_order(metric, case: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = case
    assert 0 <= metric(labels, scores) <= 1
    assert metric(labels, scores) == pytest.approx(metric(labels, np.exp(scores) * 3 - 7))


@pytest.mark.parametrize("metric", PIXEL_METRICS)
@settings(deadline=None)
@given(case=masks_and_maps())
def test_pixel_metrics_see_only_the_order(metric, case: tuple[np.ndarray, np.ndarray]) -> None:
    masks, maps = case
    assert 0 <= metric(masks, maps) <= 1 + 1e-9
    assert metric(masks, maps) == pytest.approx(metric(list(masks), list(maps**3 - 2)))


@settings(max_examples=150, deadline=None)
@given(masks_and_maps(), st.sampled_from([0.05, 0.3, 0.5, 1.0]))
def test_aupro_agrees_with_the_slow_reference(case: tuple[np.ndarray, np.ndarray], limit: float) -> None:
    masks, maps = case
    assert aupro(masks, maps, limit) == pytest.approx(reference.aupro(list(masks), list(maps), limit), abs=1e-9)


def test_aupro_by_hand() -> None:
    masks = np.zeros((1, 4, 5), bool)
    masks[0, 0, 0] = True  # a region of one pixel
    masks[0, 2:, 3:] = True  # and one of four
    assert aupro(masks, masks.astype(float)) == 1
    assert aupro(masks, 1 - masks.astype(float)) == 0
    assert aupro(masks, np.zeros((1, 4, 5)), 0.3) == pytest.approx(0.15)  # chance: the diagonal
    small = np.zeros((1, 4, 5))
    small[0, 0, 0] = 2
    small[0, 2:, 3:] = -1  # found only after every normal pixel
    assert aupro(masks, small, 1.0) == pytest.approx(0.5)


def test_aupro_takes_diagonal_neighbours_as_one_region() -> None:
    masks = np.zeros((1, 6, 6), bool)
    masks[0, 0, 0] = masks[0, 1, 1] = masks[0, 5, 5] = True
    maps = np.zeros((1, 6, 6))
    maps[0, 5, 5] = 2
    maps[0, masks[0] & (maps[0] == 0)] = -1
    assert aupro(masks, maps, 1.0) == pytest.approx(0.5)  # a third, were there three regions


def test_images_may_differ_in_size() -> None:
    generator = np.random.default_rng(0)
    maps = [generator.random((6, 9)), generator.random((5, 4)), generator.random((7, 7))]
    masks = [each > 0.7 for each in maps]
    assert pixel_auroc(masks, maps) == 1
    assert pixel_average_precision(masks, maps) == pytest.approx(1)
    assert aupro(masks, maps) == pytest.approx(1)


def test_a_large_case_agrees_with_scikit_learn() -> None:
    generator = np.random.default_rng(1)
    maps = generator.normal(size=(4, 64, 64)).astype(np.float32)
    masks = generator.random((4, 64, 64)) < 0.05
    assert pixel_auroc(masks, maps) == pytest.approx(roc_auc_score(masks.ravel(), maps.ravel()))
    precision = average_precision_score(masks.ravel(), maps.ravel())
    assert pixel_average_precision(masks, maps) == pytest.approx(precision)


@pytest.mark.parametrize("metric", IMAGE_METRICS)
@pytest.mark.parametrize(
    ("labels", "scores", "reason"),
    [
        ([], [], "both normal and anomalous"),
        ([0, 0], [1, 2], "both normal and anomalous"),
        ([1, 1], [1, 2], "both normal and anomalous"),
        ([0, 1], [1, np.nan], "finite"),
        ([0, 1], [1, np.inf], "finite"),
        ([0, 2], [1, 2], "0 or 1"),
        ([0, 1], [1, 2, 3], "one length"),
    ],
)
def test_undefined_image_metrics(metric, labels: list, scores: list, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        metric(labels, scores)


@pytest.mark.parametrize("metric", PIXEL_METRICS)
def test_undefined_pixel_metrics(metric) -> None:
    maps = np.zeros((2, 3, 4))
    for masks in (np.zeros((2, 3, 4), bool), np.ones((2, 3, 4), bool)):
        with pytest.raises(ValueError, match="both normal and anomalous"):
            metric(masks, maps)
    with pytest.raises(ValueError, match="one size"):
        metric(np.zeros((2, 4, 3), bool), maps)
    with pytest.raises(ValueError, match="no images"):
        metric([], [])
    with pytest.raises(ValueError, match="finite"):
        metric(np.eye(3, 4, dtype=bool)[None], np.full((1, 3, 4), np.nan))


@pytest.mark.parametrize("limit", [0, -0.1, 1.1, np.nan])
def test_aupro_limits(limit: float) -> None:
    with pytest.raises(ValueError, match="fpr_limit"):
        aupro(np.eye(3, dtype=bool)[None], np.eye(3)[None], limit)


def test_bootstrap_intervals() -> None:
    generator = np.random.default_rng(0)
    labels = np.arange(200) % 2
    scores = generator.normal(size=200) + labels
    low, high = interval(bootstrap(image_auroc, labels, scores, strata=labels, seed=0))
    assert low < image_auroc(labels, scores) < high
    assert 0.08 < high - low < 0.2  # Hanley and McNeil: about 4 standard errors of 0.034
    assert (low, high) == interval(bootstrap(image_auroc, list(labels), list(scores), strata=labels, seed=0))
    narrow = interval(bootstrap(image_auroc, labels, scores, strata=labels, seed=0), level=0.5)
    assert low < narrow[0] < narrow[1] < high


def test_bootstrap_stays_defined_with_one_image_of_a_kind() -> None:
    labels, scores = np.array([0, 0, 0, 1]), np.array([1.0, 2, 3, 2.5])
    low, high = interval(bootstrap(image_auroc, labels, scores, strata=labels, seed=3, rounds=200))
    assert 0 <= low <= high <= 1
    masks = np.zeros((4, 5, 5), bool)
    masks[3, 1, 1] = True
    bootstrap(aupro, masks, np.random.default_rng(0).random((4, 5, 5)), strata=labels, seed=0, rounds=20)
    with pytest.raises(ValueError, match="4 entries"):
        bootstrap(image_auroc, labels, scores[:3], strata=labels, seed=0)


def test_bootstrap_of_pixel_auroc_agrees_with_the_plain_one() -> None:
    rng = np.random.default_rng(5)
    labels = np.array([0, 0, 0, 1, 1, 1, 1])
    masks = rng.random((7, 16, 16)) < 0.2 * labels[:, None, None]
    maps = rng.normal(size=masks.shape) + masks
    fast = bootstrap_pixel_auroc(masks, maps, strata=labels, seed=1, rounds=30)
    slow = bootstrap(pixel_auroc, masks, maps, strata=labels, seed=1, rounds=30)
    assert np.allclose(fast, slow, atol=1e-3)
    assert np.ptp(fast) > 0


def wilson(hits: int, n: int) -> tuple[float, float]:
    """As in every textbook, with 1.96 standard deviations."""
    z = 1.959963984540054
    middle = (hits + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * np.sqrt(hits * (n - hits) / n + z**2 / 4)
    return middle - half, middle + half


@pytest.mark.parametrize(("hits", "n"), [(0, 3), (3, 3), (1, 20), (17, 150), (1, 1)])
def test_shares_and_their_intervals(hits: int, n: int) -> None:
    flags = np.arange(n) < hits
    assert share(flags) == hits / n == share(flags.tolist())
    assert share_interval(flags) == pytest.approx(wilson(hits, n))
    narrow = binomtest(hits, n).proportion_ci(0.5, method="wilson")
    assert share_interval(flags, level=0.5) == pytest.approx((narrow.low, narrow.high))


def test_a_share_of_nothing_is_undefined() -> None:
    for undefined in (share, share_interval, lambda flags: bootstrap_share(flags, seed=0)):
        with pytest.raises(ValueError, match="no images"):
            undefined([])


def test_bootstrap_of_a_share_agrees_with_the_plain_one() -> None:
    flags = np.arange(20) < 6
    fast = bootstrap_share(flags, seed=1, rounds=20_000)
    slow = bootstrap(share, flags, strata=np.zeros(20), seed=1, rounds=20_000)
    assert fast.mean() == pytest.approx(0.3, abs=0.005) and fast.std() == pytest.approx(slow.std(), rel=0.03)
    for level in (0.5, 0.9):
        assert interval(fast, level) == pytest.approx(interval(slow, level), abs=0.0501)  # one image
    assert set(bootstrap_share([True, True], seed=0, rounds=50)) == {1.0}
    assert np.array_equal(bootstrap_share(flags, seed=7), bootstrap_share(flags, seed=7))
