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
RIDGE = 0.05  # of the mean variance, added to the residual covariance so that whitening stays stable
PRIOR_IMAGES = 5.0  # our choice: a class's own spread at a place counts as much as its overall spread at 5 images


class ScoreStatistics(NamedTuple):
    """What is normal: whitening (D, D) of residuals; mean and std (K, 2, N) of both parts at each place."""

    whitening: Tensor
    mean: Tensor
    std: Tensor


def whitening_matrix(covariance: Tensor) -> Tensor:
    """The symmetric inverse square root of a residual covariance (D, D), with a small ridge."""
    ridge = RIDGE * covariance.diagonal().mean()
    values, vectors = torch.linalg.eigh(covariance + ridge * torch.eye(len(covariance)))
    return vectors @ (values.rsqrt()[:, None] * vectors.T)


def reconstruction_scores(patch_features: Tensor, reconstructed_features: Tensor, whitening: Tensor) -> Tensor:
    """Score patches (B, N, D) by the whitened length of their residual per channel: (B, N), >= 0, higher = worse.

    With the identity as whitening it is the root of the paper's squared norm (Ho et al. 2024), divided by D.
    """
    residuals = (reconstructed_features - patch_features) @ whitening
    return residuals.square().mean(-1).sqrt()


def raw_scores(output: LTADOutput, whitening: Tensor, grid_size: tuple[int, int], smoothing: float) -> Tensor:
    """Both parts of every patch's score, smoothed over the grid: (B, 2, N), higher = more anomalous."""
    reconstruction = reconstruction_scores(output.patch_features, output.reconstructed_features, whitening)
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
    variance = ((n - 1) * own + PRIOR_IMAGES * within[:, None]) / (n - 1 + PRIOR_IMAGES)
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
