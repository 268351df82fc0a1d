"""From what the model gives to one map and one number per image: tensors in, tensors out.

A patch has raw scores of three kinds: its distance to each memory, the transformer's residual, and the semantic logit.
Each is standardised by what is normal for its class, so that 0 means "as usual" and 1 means "one standard deviation
more unusual", for every class alike; residual and logit also by what is normal at their place, since a part that lies
still has its own noise everywhere. In the paper's form they are taken as they are.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from ltad.config import LTADConfig
from ltad.model.ltad import LTADOutput

RIDGE = 0.02  # of the mean variance, added to a residual's variances so that whitening stays stable
PRIOR_COVARIANCE = 3.0  # our choice: a class's own residual variances count as much as all classes' at 3 images
PRIOR_SPREAD = 5.0  # our choice: a class's own spread at a place counts as much as its overall spread at 5 images


class RawScores(NamedTuple):
    """The scores of B images' patches, or of n images alike, before they are joined; higher = more anomalous.

    memory: distances (B, S, N), one per memory. residual, logit: (B, N), of the transformer and of the semantic module.
    """

    memory: Tensor
    residual: Tensor
    logit: Tensor

    @property
    def placed(self) -> Tensor:
        """What is standardised by place: residual, then logit, (B, 2, N)."""
        return torch.stack([self.residual, self.logit], dim=1)

    def of(self, images: Tensor) -> "RawScores":
        """The scores of some of the images."""
        return RawScores(*(part[images] for part in self))


class Parts(NamedTuple):
    """What a map is made of (B, N): what memories and transformer do not know, and what reads as abnormal."""

    reconstruction: Tensor
    semantic: Tensor


class Form(NamedTuple):
    """How a residual's length and a logit become scores, and whether these are standardised by what is normal."""

    of_residual: Callable[[Tensor], Tensor]
    of_logit: Callable[[Tensor], Tensor]
    is_standardised: bool


def _unchanged(scores: Tensor) -> Tensor:
    return scores


FORMS = {
    "standardised": Form(_unchanged, _unchanged, is_standardised=True),
    "paper": Form(torch.square, torch.sigmoid, is_standardised=False),  # Ho et al. 2024: squared norm and probability
}


class ScoreStatistics(NamedTuple):
    """What is normal for each class.

    basis (D, D): principal directions of the residuals of all classes. residual_mean and residual_variance (K, D) are
    along them. memory_mean and memory_std (K, S) of the distances. mean and std (K, 2, N) of residual and logit at
    each place.
    """

    basis: Tensor
    residual_mean: Tensor
    residual_variance: Tensor
    memory_mean: Tensor
    memory_std: Tensor
    mean: Tensor
    std: Tensor

    def of(self, class_ids: Tensor) -> "ScoreStatistics":
        """The statistics of each of B images' classes (B,)."""
        return ScoreStatistics(self.basis, *(part[class_ids] for part in self[1:]))


def neutral_statistics(
    classes: int, memories: int, feature_dim: int, places: int, device: torch.device | None = None
) -> ScoreStatistics:
    """Statistics that leave every score as it is: the paper's form. device: where they lie; None = on the CPU."""
    zeros, ones = (partial(torch.full, fill_value=value, device=device) for value in (0.0, 1.0))
    return ScoreStatistics(
        basis=torch.eye(feature_dim, device=device),
        residual_mean=zeros((classes, feature_dim)),
        residual_variance=ones((classes, feature_dim)),
        memory_mean=zeros((classes, memories)),
        memory_std=ones((classes, memories)),
        mean=zeros((classes, 2, places)),
        std=ones((classes, 2, places)),
    )


def residual_variances(own: Tensor, counts: Tensor, shared: Tensor) -> Tensor:
    """Variances (K, D) of residuals along the shared directions, from a class's own (K, D) and those of all (D,).

    A class of few images, counts (K,), leans on the shared ones: whole covariances of its own would be 56 KB a class.
    """
    trust = (counts / (counts + PRIOR_COVARIANCE))[:, None]
    blended = trust * own + (1 - trust) * shared
    return blended + RIDGE * blended.mean(1, keepdim=True)


def reconstruction_scores(output: LTADOutput, normal: ScoreStatistics) -> Tensor:
    """Score patches by the whitened length of their residual per channel: (B, N), >= 0, higher = worse.

    With neutral statistics it is the root of the paper's squared norm (Ho et al. 2024), divided by D.
    """
    residuals = (output.reconstructed_features - output.patch_features) @ normal.basis
    whitened = (residuals - normal.residual_mean[:, None]).square() / normal.residual_variance[:, None]
    return whitened.mean(-1).sqrt()


def raw_scores(
    output: LTADOutput, normal: ScoreStatistics, config: LTADConfig, grid_size: tuple[int, int]
) -> RawScores:
    """Score every patch of B images in the configured form, smoothed over the grid."""
    form, sigma = FORMS[config.scoring.form], config.scoring.smoothing
    residual = form.of_residual(reconstruction_scores(output, normal))
    raw = RawScores(output.memory_distances, residual, form.of_logit(output.semantic_logits))
    return RawScores(*(smooth(part.unflatten(-1, grid_size), sigma).flatten(-2) for part in raw))


def smooth(maps: Tensor, sigma: float) -> Tensor:
    """Gaussian over (..., h, w); borders repeat, since zeros would pass for a score."""
    if sigma == 0 or not len(maps.flatten(0, -3)):
        return maps
    radius = round(3 * sigma)
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, device=maps.device) / sigma) ** 2)
    kernel = kernel / kernel.sum()
    flat = pad(maps.flatten(0, -3)[:, None], [radius] * 4, mode="replicate")
    flat = conv2d(conv2d(flat, kernel[None, None, :, None]), kernel[None, None, None, :])
    return flat[:, 0].unflatten(0, maps.shape[:-2])


class MapSums(NamedTuple):
    """Sums over maps (P, N) of a class's images, of P scores each, and over their squares; in double precision."""

    images: int
    first: Tensor
    second: Tensor

    @classmethod
    def of(cls, maps: Tensor) -> "MapSums":
        """Add up maps (n, P, N)."""
        return cls(len(maps), maps.sum(0, dtype=torch.double), maps.double().square().sum(0))

    def without(self, one: Tensor) -> "MapSums":
        """The sums over the others."""
        return MapSums(self.images - 1, self.first - one, self.second - one.double().square())

    def mean(self) -> Tensor:
        """Mean (P, N) over the images."""
        return self.first / max(1, self.images)

    def variance(self) -> Tensor:
        """Variance (P, N) over the images, 0 for one image."""
        spread = self.second - self.first.square() / max(1, self.images)
        return spread.clamp(min=0) / max(1, self.images - 1)


def pooled_spread(classes: list[MapSums]) -> tuple[Tensor, Tensor]:
    """Mean and within-place variance (P,) over classes; what a tail borrows."""
    means = torch.stack([sums.mean().mean(-1) for sums in classes])
    variances = torch.stack([sums.variance().mean(-1) for sums in classes if sums.images > 1])
    return means.mean(0), variances.mean(0)


def place_statistics(sums: MapSums, pooled: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (P, N) of a class's raw maps at every place.

    Empirical Bayes: the mean at a place moves from the class's overall mean only as far as places differ by more
    than n images would make them differ by chance. An aligned part gets a map of its own; a texture gets one number.
    The few images of a tail class borrow their spread from the pooled classes.
    """
    n, at_place, own = sums.images, sums.mean(), sums.variance()
    pooled_mean, pooled_variance = pooled
    overall = (n * at_place.mean(-1) + pooled_mean) / (n + 1)
    within = ((n - 1) * own.mean(-1) + 2 * pooled_variance) / (n + 1)  # (P,)
    between = (at_place.var(-1) - within / n).clamp(min=0)
    trust = (between / (between + within / n))[:, None]
    mean = overall[:, None] + trust * (at_place - at_place.mean(-1, keepdim=True))
    variance = ((n - 1) * own + PRIOR_SPREAD * within[:, None]) / (n - 1 + PRIOR_SPREAD)
    return mean.float(), variance.sqrt().float()


def class_spread(sums: MapSums) -> tuple[Tensor, Tensor]:
    """Mean and variance (P,) of a class's raw maps over all images and places."""
    mean = sums.mean().mean(-1)
    return mean, (sums.second / max(1, sums.images)).mean(-1) - mean.square()


def class_statistics(sums: MapSums, pooled: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (P,) of a class's raw maps over all places.

    pooled: what ``class_spread`` says of the classes, on the average; it counts as one more image. A class of one image
    takes it as it is: what its only image is like, the model has seen.
    """
    trust = sums.images / (sums.images + 1) if sums.images > 1 else 0.0
    mean, variance = (trust * mine + (1 - trust) * all_ for mine, all_ in zip(class_spread(sums), pooled, strict=True))
    return mean.float(), variance.sqrt().float()


def standardise(raw: RawScores, memory: tuple[Tensor, Tensor], placed: tuple[Tensor, Tensor]) -> RawScores:
    """Scores in standard deviations above normal, given mean and spread of the distances and of what is placed.

    memory: (B, S), placed: (B, 2, N), as in ``ScoreStatistics``; without the leading dimension for all images alike.
    """
    (distance, spread), (mean, std) = memory, placed
    residual, logit = ((raw.placed - mean) / std).unbind(1)
    return RawScores((raw.memory - distance[..., None]) / spread[..., None], residual, logit)


def combine(scores: RawScores, config: LTADConfig) -> Parts:
    """Weigh the memories and the transformer's residual into one part.

    The weights are made to sum to 1, so that the unit stays that of the scores.
    """
    together = torch.cat([scores.memory, scores.residual[:, None]], dim=1)
    memories = config.memory.weights if scores.memory.shape[1] else ()
    weights = together.new_tensor([*memories, config.scoring.reconstruction_weight])
    return Parts(torch.einsum("bsn,s->bn", together, weights / weights.sum()), scores.logit)


def fuse(parts: Parts, semantic_weight: float) -> Tensor:
    """Reconstruction + λ · semantic: (B, N).

    Source: Ho et al. 2024, S = S_rec + λ · S_sem; standardising first makes λ independent of either part's unit.
    """
    return parts.reconstruction + semantic_weight * parts.semantic


def image_scores(scores: Tensor, top_fraction: float) -> Tensor:
    """The mean of the highest ``top_fraction`` of the patches of (B, N) scores: (B,)."""
    count = max(1, round(top_fraction * scores.shape[-1]))
    return scores.topk(count, dim=-1).values.mean(-1)


class Scores(NamedTuple):
    """What B images score: patches (B, N), the parts that they are made of, and one number per image (B,), of each.

    image_by_part: the image scores of "reconstruction" and of "semantic" alone.
    """

    patches: Tensor
    parts: Parts
    image: Tensor
    image_by_part: dict[str, Tensor]


def score_images(scores: RawScores, config: LTADConfig) -> Scores:
    """Join the scores of every patch into one map and one number per image."""
    top, parts = config.scoring.top_fraction, combine(scores, config)
    patches = fuse(parts, config.scoring.semantic_weight)
    by_part = {name: image_scores(part, top) for name, part in parts._asdict().items()}
    return Scores(patches, parts, image_scores(patches, top), by_part)
