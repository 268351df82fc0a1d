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

BACKGROUND = 0.25  # the quantile of a map that is taken for what lies over all of it


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

    def to(self, device: torch.device) -> "ScoreStatistics":
        """The same on another device."""
        return ScoreStatistics(*(part.to(device) for part in self))


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
    logit = form.of_logit(output.semantic_logits)
    together = torch.cat([output.memory_distances, residual[:, None], logit[:, None]], dim=1)  # (B, S + 2, N)
    smoothed = smooth(together.unflatten(-1, grid_size), sigma).flatten(-2)
    return RawScores(smoothed[:, :-2], *smoothed[:, -2:].unbind(1))


def smooth(maps: Tensor, sigma: float) -> Tensor:
    """Gaussian over (..., h, w); borders repeat, since zeros would pass for a score."""
    if sigma == 0:
        return maps
    radius = round(3 * sigma)
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, device=maps.device) / sigma) ** 2)
    kernel = kernel / kernel.sum()
    flat = pad(maps.flatten(0, -3)[:, None], [radius] * 4, mode="replicate")
    flat = conv2d(conv2d(flat, kernel[None, None, :, None]), kernel[None, None, None, :])
    return flat[:, 0].unflatten(0, maps.shape[:-2])


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


def without_background(scores: Tensor, share: float) -> Tensor:
    """Scores (B, N) less a share of what three quarters of each image exceed: that is light or sharpness.

    Our addition: decided by defects drawn onto training images and by harmless changes of them. At as many drawn
    defects found, it takes a fifth of the false alarms after such change.
    """
    if not share:
        return scores
    quarter = int(BACKGROUND * (scores.shape[-1] - 1))
    return scores - share * scores.sort(dim=-1).values[..., quarter, None]


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
    patches = without_background(fuse(parts, config.scoring.semantic_weight), config.scoring.background)
    by_part = {name: image_scores(part, top) for name, part in parts._asdict().items()}
    return Scores(patches, parts, image_scores(patches, top), by_part)
