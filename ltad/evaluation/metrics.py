"""The numbers of an evaluation, each in [0, 1]; where one is undefined it raises ValueError instead of giving 0.

Labels are 0 for normal and 1 for anomalous, and scores grow with abnormality. Averages over classes are the caller's.
"""

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

HISTOGRAM_BINS = 2048


def image_auroc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Return the chance that an anomalous image scores above a normal one, ties counting half.

    labels, scores: (B,). Equal to scikit-learn's roc_auc_score, as a rank statistic: bootstrapping calls it thousands
    of times, which is 25 times faster.
    """
    labels, scores = _check(labels, scores)
    normal, anomalous = np.sort(scores[~labels]), np.sort(scores[labels])
    below = np.searchsorted(normal, anomalous, side="left").sum()
    below_or_equal = np.searchsorted(normal, anomalous, side="right").sum()
    return float((below + below_or_equal) / (2 * normal.size * anomalous.size))


def average_precision(labels: ArrayLike, scores: ArrayLike) -> float:
    """Return the mean precision over recall, without interpolation. labels, scores: (B,).

    Equal to scikit-learn's average_precision_score, as the mean over anomalous scores of the precision at each: sorting
    the two sides apart is 10 times faster over millions of pixels.
    """
    labels, scores = _check(labels, scores)
    normal, anomalous = np.sort(scores[~labels]), np.sort(scores[labels])
    found = anomalous.size - np.searchsorted(anomalous, anomalous, side="left")
    false = normal.size - np.searchsorted(normal, anomalous, side="left")
    return float((found / (found + false)).mean())


def f1_max(labels: ArrayLike, scores: ArrayLike) -> float:
    """Return the best F1 of any threshold: an optimistic number, since it is chosen on the test set itself."""
    from sklearn.metrics import precision_recall_curve  # 90 MB, which a page that only shows figures need not hold

    precision, recall, _ = precision_recall_curve(*_check(labels, scores))
    return float((2 * precision * recall / np.maximum(precision + recall, 1e-12)).max())


def found_at(labels: ArrayLike, scores: ArrayLike, rate: float) -> float:
    """Return the share of anomalous images above the lowest score that at most ``rate`` of the normal ones exceed.

    An optimistic number: that threshold is chosen on the normal images of the test set itself. labels, scores: (B,).
    """
    if not 0 < rate < 1:
        raise ValueError(f"rate must be in (0, 1), got {rate}")
    labels, scores = _check(labels, scores)
    normal = np.sort(scores[~labels])
    above = math.floor(rate * normal.size + 1e-9)  # 0.07 of 100 are 7, whatever the last bit says
    return float((scores[labels] > normal[normal.size - 1 - above]).mean())


def share(flags: ArrayLike) -> float:
    """Return the share of images of which something is true. flags: (B,) bool, at least one."""
    flags = np.asarray(flags, dtype=bool)
    if not flags.size:
        raise ValueError("undefined: no images")
    return float(flags.mean())


def share_interval(flags: ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """Return Wilson's interval (low, high) of a share; also where it is 0 or 1, it has a width. flags: as in ``share``.

    Source: Wilson, Probable Inference, the Law of Succession, and Statistical Inference, JASA 1927.
    """
    from scipy.stats import binomtest  # 45 MB, which a page that only shows figures need not hold

    flags = np.asarray(flags, dtype=bool)
    if not flags.size:
        raise ValueError("undefined: no images")
    found = binomtest(int(flags.sum()), flags.size).proportion_ci(level, method="wilson")
    return float(found.low), float(found.high)


def pixel_auroc(masks: Sequence[np.ndarray], maps: Sequence[np.ndarray]) -> float:
    """Return the AUROC over the pixels of all images together.

    masks, maps: (B, H, W), or one (H, W) array per image when sizes differ. About 0.05 s per million pixels and 15
    bytes a pixel with float32 maps.
    """
    return image_auroc(*_pixels(masks, maps))


def pixel_average_precision(masks: Sequence[np.ndarray], maps: Sequence[np.ndarray]) -> float:
    """Return the average precision over the pixels of all images together; as ``pixel_auroc``."""
    return average_precision(*_pixels(masks, maps))


def aupro(masks: Sequence[np.ndarray], maps: Sequence[np.ndarray], fpr_limit: float = 0.3) -> float:
    """Return the area under the per-region overlap curve up to a false-positive rate, divided by that rate.

    The overlap is the share of a defect that is found, averaged over all defects: 8-connected regions of the masks, a
    small one counting as much as a large one. The rate is the share of all normal pixels above the threshold. Every
    distinct score is a threshold; the curve is cut at the limit by linear interpolation. masks, maps: as in
    ``pixel_auroc``.

    Source: Bergmann et al., The MVTec Anomaly Detection Dataset, IJCV 2021, Sec. 5.1.
    """
    if not 0 < fpr_limit <= 1:
        raise ValueError(f"fpr_limit must be in (0, 1], got {fpr_limit}")
    labels, scores = _check(*_pixels(masks, maps))
    normal, anomalous, shares = scores[~labels], scores[labels], _region_shares(masks)
    # The curve beyond the limit is not needed, so only scores that reach a little past it are sorted.
    rank = normal.size - min(normal.size, int(fpr_limit * normal.size) + 1)
    lowest = np.partition(normal, rank)[rank]
    normal, shares, anomalous = normal[normal >= lowest], shares[anomalous >= lowest], anomalous[anomalous >= lowest]
    thresholds = np.concatenate([normal, anomalous])
    order = np.argsort(-thresholds)
    ends = np.append(np.flatnonzero(np.diff(thresholds[order])), order.size - 1)  # equal scores are passed at once
    false = np.cumsum(order < normal.size)[ends] / (labels.size - np.count_nonzero(labels))
    overlap = np.cumsum(np.concatenate([np.zeros(normal.size), shares])[order])[ends]
    false, overlap = np.append(0, false), np.append(0, overlap)
    beyond = int(np.searchsorted(false, fpr_limit, side="left"))
    share = (fpr_limit - false[beyond - 1]) / (false[beyond] - false[beyond - 1])
    at_limit = overlap[beyond - 1] + share * (overlap[beyond] - overlap[beyond - 1])
    area = np.trapezoid(np.append(overlap[:beyond], at_limit), np.append(false[:beyond], fpr_limit))
    return float(area / fpr_limit)


def bootstrap(
    metric: Callable[..., float], *arrays: Sequence | np.ndarray, strata: ArrayLike, seed: int, rounds: int = 1000
) -> np.ndarray:
    """Return the metric's values (rounds,) over resampled images.

    arrays: what the metric takes, each with one entry per image. strata: (B,) labels; each stratum keeps its number of
    images, so a metric that is defined stays so. A handful of images gives too narrow a spread: resampling cannot
    invent what was never seen.
    """
    strata = np.asarray(strata)
    if any(len(array) != strata.size for array in arrays):
        raise ValueError(f"each array must have {strata.size} entries, as strata, got {[len(a) for a in arrays]}")
    return np.array([metric(*(_take(array, chosen) for array in arrays)) for chosen in _draws(strata, seed, rounds)])


def bootstrap_pixel_auroc(
    masks: Sequence[np.ndarray], maps: Sequence[np.ndarray], *, strata: ArrayLike, seed: int, rounds: int = 1000
) -> np.ndarray:
    """Return values (rounds,) of ``pixel_auroc`` over resampled images.

    Each image becomes two histograms over ``HISTOGRAM_BINS`` quantiles of all scores, so that a round adds up
    histograms instead of sorting pixels; that moves a value by less than 1 / HISTOGRAM_BINS.
    """
    labels, scores = _check(*_pixels(masks, maps))
    edges = np.quantile(scores[:: max(1, scores.size // 1_000_000)], np.linspace(0, 1, HISTOGRAM_BINS + 1)[1:-1])
    bins = np.searchsorted(edges, scores, side="right")
    image = np.repeat(np.arange(len(masks)), [np.size(mask) for mask in masks])
    cells = np.bincount((image * 2 + labels) * HISTOGRAM_BINS + bins, minlength=len(masks) * 2 * HISTOGRAM_BINS)
    histograms = cells.reshape(len(masks), 2, HISTOGRAM_BINS).astype(np.float64)
    values = []
    for chosen in _draws(np.asarray(strata), seed, rounds):
        normal, anomalous = np.tensordot(np.bincount(chosen, minlength=len(masks)), histograms, axes=1)
        below = np.cumsum(normal) - normal / 2
        values.append(below @ anomalous / (normal.sum() * anomalous.sum()))
    return np.array(values)


def bootstrap_share(flags: ArrayLike, *, seed: int, rounds: int = 1000) -> np.ndarray:
    """Return values (rounds,) of ``share`` over resampled images: how many of B draws are true is binomial.

    Classes whose values are averaged need seeds of their own, or all of them are lucky in the same rounds.
    """
    flags = np.asarray(flags, dtype=bool)
    return np.random.default_rng(seed).binomial(flags.size, share(flags), rounds) / flags.size


def interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Return the range (low, high) that holds ``level`` of bootstrap values, the tails left out alike."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _draws(strata: np.ndarray, seed: int, rounds: int) -> Iterator[np.ndarray]:
    """Draw image indices (B,) with replacement within each stratum, ``rounds`` times."""
    groups = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    generator = np.random.default_rng(seed)
    for _ in range(rounds):
        yield np.concatenate([generator.choice(group, group.size) for group in groups])


def _take(array: Sequence | np.ndarray, chosen: np.ndarray) -> Sequence | np.ndarray:
    return array[chosen] if isinstance(array, np.ndarray) else [array[index] for index in chosen]


def _check(labels: ArrayLike, scores: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return labels as bool and scores as floats, both 1-D, or raise ValueError where no metric is defined."""
    labels, scores = np.asarray(labels), np.asarray(scores)
    if scores.dtype.kind != "f":
        scores = scores.astype(np.float64)
    if labels.ndim != 1 or labels.shape != scores.shape:
        raise ValueError(f"labels and scores must be 1-D and of one length, got {labels.shape} and {scores.shape}")
    if labels.dtype != bool and not np.isin(labels, (0, 1)).all():
        raise ValueError("labels must be 0 or 1")
    if not np.isfinite(scores).all():
        raise ValueError("scores must be finite")
    labels = labels.astype(bool, copy=False)
    if not 0 < np.count_nonzero(labels) < labels.size:
        raise ValueError("undefined: both normal and anomalous examples are needed")
    return labels, scores


def _pixels(masks: Sequence[np.ndarray], maps: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels of all images in one row, masks and maps alike."""
    sizes, map_sizes = [np.shape(mask) for mask in masks], [np.shape(each) for each in maps]
    if sizes != map_sizes:
        raise ValueError("masks and maps must be equally many and each pair of one size")
    if not sizes:
        raise ValueError("undefined: no images")
    return np.concatenate([np.ravel(m) for m in masks]), np.concatenate([np.ravel(each) for each in maps])


def _region_shares(masks: Sequence[np.ndarray]) -> np.ndarray:
    """Give each defective pixel its share of the mean overlap, in the order of ``_pixels``; they sum to 1."""
    shares, regions = [], 0
    for mask in masks:
        mask = np.asarray(mask, dtype=bool)
        labelled, count = ndimage.label(mask, structure=np.ones((3, 3)))
        inside = labelled[mask]
        shares.append(1 / np.bincount(inside)[inside])
        regions += count
    return np.concatenate(shares) / regions
