"""From what the model gives to one map and one number per image: tensors in, tensors out.

A patch has raw scores of three kinds: its distance to each memory, the transformer's residual, and the semantic logit.
Each is standardised by what is normal for its class, so that 0 means "as usual" and 1 means "one standard deviation
more unusual", for every class alike; residual and logit also by what is normal at their place, since a part that lies
still has its own noise everywhere. In the paper's form they are taken as they are.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from ltad.config import LTADConfig
from ltad.model.ltad import LTADOutput

FINE = "fine"  # the part of a score that is seen finely
BACKGROUND = 0.25  # the quantile of a map that is taken for what lies over all of it


class RawScores(NamedTuple):
    """The scores of B images' patches, or of n images alike, before they are joined; higher = more anomalous.

    memory: distances (B, S, N), one per memory. residual, logit: (B, N), of the transformer and of the semantic module.
    fine: of each image distances (T, h, w) of what is seen finely, one per fine memory, each of its own size; of no
    image where nothing is.
    """

    memory: Tensor
    residual: Tensor
    logit: Tensor
    fine: tuple[Tensor, ...] = ()

    @classmethod
    def joined(cls, several: Sequence["RawScores"]) -> "RawScores":
        """The scores of all images, one after the other."""
        memory, residual, logit, fine = zip(*several, strict=True)
        return cls(
            torch.cat(memory), torch.cat(residual), torch.cat(logit), tuple(each for own in fine for each in own)
        )

    @property
    def placed(self) -> Tensor:
        """What is standardised by place: residual, then logit, (B, 2, N)."""
        return torch.stack([self.residual, self.logit], dim=1)

    def of(self, images: Tensor) -> "RawScores":
        """The scores of some of the images."""
        fine = tuple(self.fine[i] for i in images.tolist()) if self.fine else ()
        return RawScores(self.memory[images], self.residual[images], self.logit[images], fine)


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


class Usual(NamedTuple):
    """Mean and spread of what is normal, of images' classes (B, …) or of all images alike (…).

    memory: (…, S), of the distances. placed: (…, 2, N), of residual and logit at each place. fine: (…, T), of the
    distances of what is seen finely.
    """

    memory: tuple[Tensor, Tensor]
    placed: tuple[Tensor, Tensor]
    fine: tuple[Tensor, Tensor]


class ScoreStatistics(NamedTuple):
    """What is normal for each class.

    basis (D, D): principal directions of the residuals of all classes. residual_mean and residual_variance (K, D) are
    along them. memory_mean and memory_std (K, S) of the distances. mean and std (K, 2, N) of residual and logit at
    each place. fine_mean and fine_std (K, T) of the fine distances, and fine_gain (K, 1), see ``ltad.judging.detail``;
    where nothing is seen finely (K, 0).
    """

    basis: Tensor
    residual_mean: Tensor
    residual_variance: Tensor
    memory_mean: Tensor
    memory_std: Tensor
    mean: Tensor
    std: Tensor
    fine_mean: Tensor
    fine_std: Tensor
    fine_gain: Tensor

    @property
    def usual(self) -> Usual:
        """What scores are standardised by."""
        memory, placed = (self.memory_mean, self.memory_std), (self.mean, self.std)
        return Usual(memory, placed, (self.fine_mean, self.fine_std))

    def of(self, class_ids: Tensor) -> "ScoreStatistics":
        """The statistics of each of B images' classes (B,)."""
        return ScoreStatistics(self.basis, *(part[class_ids] for part in self[1:]))

    def to(self, device: torch.device) -> "ScoreStatistics":
        """The same on another device."""
        return ScoreStatistics(*(part.to(device) for part in self))


def neutral_statistics(
    classes: int, memories: int, feature_dim: int, places: int, device: torch.device | None = None, *, fine: int = 0
) -> ScoreStatistics:
    """Statistics that leave every score as it is: the paper's form. device: where they lie; None = on the CPU.

    fine: how many memories there are of what is seen finely.
    """
    zeros, ones = (partial(torch.full, fill_value=value, device=device) for value in (0.0, 1.0))
    return ScoreStatistics(
        basis=torch.eye(feature_dim, device=device),
        residual_mean=zeros((classes, feature_dim)),
        residual_variance=ones((classes, feature_dim)),
        memory_mean=zeros((classes, memories)),
        memory_std=ones((classes, memories)),
        mean=zeros((classes, 2, places)),
        std=ones((classes, 2, places)),
        fine_mean=zeros((classes, fine)),
        fine_std=ones((classes, fine)),
        fine_gain=ones((classes, min(1, fine))),
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
    fine = tuple(smooth(distances, sigma) for distances in output.fine_distances)
    return RawScores(smoothed[:, :-2], smoothed[:, -2], smoothed[:, -1], fine)


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


def standardise(raw: RawScores, usual: Usual) -> RawScores:
    """Scores in standard deviations above normal."""
    (distance, spread), (mean, std) = usual.memory, usual.placed
    residual, logit = ((raw.placed - mean) / std).unbind(1)
    per_image = (part[..., None, None].expand(len(raw.residual), -1, 1, 1) for part in usual.fine)
    fine = tuple((own - mine) / its for own, mine, its in zip(raw.fine, *per_image, strict=False))
    return RawScores((raw.memory - distance[..., None]) / spread[..., None], residual, logit, fine)


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


def highest(patches: int, top_fraction: float) -> int:
    """How many of so many patches make an image's score: the highest ``top_fraction``, and one at least."""
    return max(1, round(top_fraction * patches))


def image_scores(scores: Tensor, top_fraction: float) -> Tensor:
    """The mean of the highest ``top_fraction`` of the patches of (B, N) scores: (B,)."""
    return scores.topk(highest(scores.shape[-1], top_fraction), dim=-1).values.mean(-1)


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

    whole: of the whole frame (B,); image_by_part: the same of "reconstruction" and of "semantic" alone, and what each
    image scores "fine" alone, where it is seen so. fine: a map (h, w) of each image's fine view.
    """

    patches: Tensor
    parts: Parts
    whole: Tensor
    image_by_part: dict[str, Tensor]
    fine: tuple[Tensor, ...]

    @property
    def image(self) -> Tensor:
        """One number per image (B,): the higher of what it scores whole and finely."""
        return torch.maximum(self.whole, self.image_by_part.get(FINE, self.whole))


def score_images(scores: RawScores, config: LTADConfig, gain: Tensor | float = 1.0) -> Scores:
    """Join the scores of every patch into one map and one number per image.

    gain: (B,), or of all images, by which fine scores count more or less, see ``ltad.judging.detail``. As many of the
    highest patches count as of the whole frame: a defect may be as small in the one as it may in the other.
    """
    top, share, parts = config.scoring.top_fraction, config.scoring.background, combine(scores, config)
    patches = without_background(fuse(parts, config.scoring.semantic_weight), share)
    by_part = {name: image_scores(part, top) for name, part in parts._asdict().items()}
    gains = torch.as_tensor(gain).expand(len(patches)).tolist()
    fine, weights = [], patches.new_tensor(config.memory.fine_weights)
    for each, own in zip(scores.fine, gains, strict=False):
        together = torch.einsum("thw,t->hw", each, weights / weights.sum())
        fine.append(own * without_background(together.flatten()[None], share).view_as(together))
    count = highest(patches.shape[-1], top)
    if fine:
        by_part[FINE] = torch.stack([m.flatten().topk(count).values.mean() for m in fine])
    return Scores(patches, parts, image_scores(patches, top), by_part, tuple(fine))
