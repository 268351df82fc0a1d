"""From what the model gives to one map and one number per image: tensors in, tensors out.

Raw scores come in two parts, [reconstruction, semantic]. Each is standardised by what is normal for its class at its
place, so that 0 means "as usual" and 1 means "one standard deviation more unusual", for every class alike.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from ltad.model.ltad import LTADOutput

PARTS = ("reconstruction", "semantic")
RIDGE = 0.02  # of the mean variance, added to a residual covariance so that whitening stays stable
PRIOR_COVARIANCE = 3.0  # our choice: a class's own residual covariance counts as much as all classes' at 3 images
PRIOR_SPREAD = 5.0  # our choice: a class's own spread at a place counts as much as its overall spread at 5 images


class ScoreStatistics(NamedTuple):
    """What is normal for each class.

    residual_mean (K, D) and whitening (K, D, D) of the reconstruction's residuals; mean and std (K, 2, N) of both
    parts at each place.
    """

    residual_mean: Tensor
    whitening: Tensor
    mean: Tensor
    std: Tensor

    def of(self, class_ids: Tensor) -> "ScoreStatistics":
        """The statistics of each of B images' classes (B,)."""
        return ScoreStatistics(*(part[class_ids] for part in self))


def whitening_matrices(covariances: Tensor, counts: Tensor, shared: Tensor) -> Tensor:
    """The inverse square roots (K, D, D) of residual covariances that were made from so many images each (K,).

    One of few images leans on the covariance that is shared by all classes, (D, D).
    """
    trust = (counts / (counts + PRIOR_COVARIANCE))[:, None, None]
    blended = trust * covariances + (1 - trust) * shared
    ridge = RIDGE * blended.diagonal(dim1=1, dim2=2).mean(-1)
    values, vectors = torch.linalg.eigh(blended + ridge[:, None, None] * torch.eye(blended.shape[-1]))
    return vectors @ (values.rsqrt()[:, :, None] * vectors.mT)


def reconstruction_scores(
    patch_features: Tensor, reconstructed_features: Tensor, residual_mean: Tensor, whitening: Tensor
) -> Tensor:
    """Score patches (B, N, D) by the whitened length of their residual per channel: (B, N), >= 0, higher = worse.

    residual_mean (B, D) and whitening (B, D, D) belong to the images' classes; with zero and the identity the score is
    the root of the paper's squared norm (Ho et al. 2024), divided by D.
    """
    residuals = reconstructed_features - patch_features - residual_mean[:, None]
    return (residuals @ whitening).square().mean(-1).sqrt()


def raw_scores(
    output: LTADOutput, residual_mean: Tensor, whitening: Tensor, grid_size: tuple[int, int], smoothing: float
) -> Tensor:
    """Both parts of every patch's score, smoothed over the grid: (B, 2, N), higher = more anomalous."""
    reconstruction = reconstruction_scores(
        output.patch_features, output.reconstructed_features, residual_mean, whitening
    )
    parts = torch.stack([reconstruction, output.semantic_logits], dim=1)
    return smooth(parts.unflatten(2, grid_size), smoothing).flatten(2)


def smooth(maps: Tensor, sigma: float) -> Tensor:
    """Gaussian over (..., h, w); borders repeat, since zeros would pass for a score."""
    if sigma == 0:
        return maps
    radius = round(3 * sigma)
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / sigma) ** 2)
    kernel = kernel / kernel.sum()
    flat = pad(maps.flatten(0, -3)[:, None], [radius] * 4, mode="replicate")
    flat = conv2d(conv2d(flat, kernel[None, None, :, None]), kernel[None, None, None, :])
    return flat[:, 0].unflatten(0, maps.shape[:-2])


def pooled_spread(maps: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and within-place variance (2,) over classes, from each class's raw maps (n, 2, N); what a tail borrows."""
    means = torch.stack([m.mean((0, 2)) for m in maps])
    variances = torch.stack([m.var(0).mean(-1) for m in maps if len(m) > 1])
    return means.mean(0), variances.mean(0)


def place_statistics(maps: Tensor, pooled: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (2, N) of a class's raw maps (n, 2, N) at every place.

    Empirical Bayes: the mean at a place moves from the class's overall mean only as far as places differ by more
    than n images would make them differ by chance. An aligned part gets a map of its own; a texture gets one number.
    The few images of a tail class borrow their spread from the pooled classes.
    """
    n = len(maps)
    pooled_mean, pooled_variance = pooled
    at_place = maps.mean(0)  # (2, N)
    overall = (n * at_place.mean(-1) + pooled_mean) / (n + 1)
    own = maps.var(0) if n > 1 else torch.zeros_like(at_place)
    within = ((n - 1) * own.mean(-1) + 2 * pooled_variance) / (n + 1)  # (2,)
    between = (at_place.var(-1) - within / n).clamp(min=0)
    trust = (between / (between + within / n))[:, None]
    mean = overall[:, None] + trust * (at_place - at_place.mean(-1, keepdim=True))
    variance = ((n - 1) * own + PRIOR_SPREAD * within[:, None]) / (n - 1 + PRIOR_SPREAD)
    return mean, variance.sqrt()


def standardised_maps(raw: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Both parts (B, 2, N) in standard deviations above normal, given (B, 2, N) or (2, N) statistics."""
    return (raw - mean) / std


def fuse(parts: Tensor, semantic_weight: float) -> Tensor:
    """Reconstruction + λ · semantic, from standardised parts (B, 2, N): (B, N).

    Source: Ho et al. 2024, S = S_rec + λ · S_sem; standardising first makes λ independent of either part's unit.
    """
    return parts[:, 0] + semantic_weight * parts[:, 1]


def image_scores(scores: Tensor, top_fraction: float) -> Tensor:
    """The mean of the highest ``top_fraction`` of the patches of (B, N) scores: (B,)."""
    count = max(1, round(top_fraction * scores.shape[-1]))
    return scores.topk(count, dim=-1).values.mean(-1)
