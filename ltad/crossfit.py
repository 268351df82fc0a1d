"""Learn what is normal from images that the scoring model has not seen.

The normals are dealt into folds; for each fold a model is trained on the others, by the same recipe as the final one.
So every normal image, even of a class with three, gets a score that is not flattered by training on it.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ltad.calibration import Calibration
from ltad.config import ScoringConfig
from ltad.features import ENCODE_BATCH, Features
from ltad.model.ltad import LTAD, LTADOutput
from ltad.scoring import (
    ScoreStatistics,
    fuse,
    image_scores,
    place_statistics,
    pooled_spread,
    raw_scores,
    standardised_maps,
    whitening_matrices,
)

DIGITS = 5  # of a calibration score, in memory as in its file


class Fold(NamedTuple):
    """A model and the images (indices into the features) that it has not seen."""

    model: LTAD
    unseen: Tensor


def deal_folds(class_ids: Tensor, folds: int, seed: int) -> Tensor:
    """Deal each class's images into folds in turn, shuffled: (n,), the fold of each image.

    A class of one image gets no fold (-1): a model that has not seen it would not know its class.
    """
    generator = torch.Generator().manual_seed(seed)
    dealt = torch.full_like(class_ids, -1)
    for class_id in class_ids.unique():
        members = (class_ids == class_id).nonzero()[:, 0]
        if len(members) > 1:
            dealt[members[torch.randperm(len(members), generator=generator)]] = torch.arange(len(members)) % folds
    return dealt


@torch.no_grad()
def fit_statistics(
    folds: list[Fold], final: LTAD, features: Features, scoring: ScoringConfig
) -> tuple[ScoreStatistics, list[Tensor], list[Tensor]]:
    """Fit the statistics of normal scores, and give each class's held-out image scores and name similarities.

    No image judges itself: its residuals are whitened, and its score standardised, by other images only. A class of
    one image is described by the final model, which has seen it, and by what it borrows; it has no held-out score.
    The statistics are exact in half precision.
    """
    alone = (features.class_ids.bincount()[features.class_ids] == 1).nonzero()[:, 0]
    views = [*folds, Fold(final, alone)]
    moments = [_class_moments(view, features) for view in views]
    raw = _raw_maps(views, moments, features, scoring.smoothing)
    by_class = [(features.class_ids == k).nonzero()[:, 0] for k in range(int(features.class_ids.max()) + 1)]
    pooled = pooled_spread([raw.within[members] for members in by_class])
    mean, std = map(torch.stack, zip(*(place_statistics(raw.within[m], pooled) for m in by_class), strict=True))
    total = _sum(moments)
    whitening = whitening_matrices(total.covariance(), total.counts, total.covariance().mean(0))
    statistics = ScoreStatistics(*(part.half().float() for part in (total.mean(), whitening, mean, std)))
    scored = [members if len(members) > 1 else members[:0] for members in by_class]
    scores = [_leave_one_out(raw.within[m], raw.across[m], pooled, scoring) for m in scored]
    return statistics, scores, [raw.similarity[m] for m in scored]


def make_calibration(class_names: tuple[str, ...], scores: list[Tensor], similarities: list[Tensor]) -> Calibration:
    """Sort the held-out figures under their classes' names."""
    tables = [
        {
            name: tuple(sorted(round(value, DIGITS) for value in values.tolist()))
            for name, values in zip(class_names, part, strict=True)
        }
        for part in (scores, similarities)
    ]
    return Calibration(*tables)


def _outputs(view: Fold, features: Features) -> Iterator[tuple[Tensor, LTADOutput]]:
    """Pass the images that a model has not seen through it, a chunk at a time."""
    for chunk in view.unseen.split(ENCODE_BATCH):
        batch = features.batch(chunk)
        yield chunk, view.model(batch.maps, batch.class_ids)


class Moments(NamedTuple):
    """Sums over images of the mean (..., D) and the mean square (..., D, D) of their residuals; counts (...), how many.

    The leading dimension is that of the classes, or of the images of a batch.
    """

    first: Tensor
    second: Tensor
    counts: Tensor

    def minus(self, other: "Moments") -> "Moments":
        """The moments of the images that are not among the others."""
        return Moments(*(mine - theirs for mine, theirs in zip(self, other, strict=True)))

    def of(self, class_ids: Tensor) -> "Moments":
        """The moments of each of B images' classes (B,)."""
        return Moments(*(part[class_ids] for part in self))

    def mean(self) -> Tensor:
        """Mean residual (..., D); zero where there is no image."""
        return self.first / self.counts.clamp(min=1)[..., None]

    def covariance(self) -> Tensor:
        """Covariance of the residuals (..., D, D)."""
        mean = self.mean()
        return self.second / self.counts.clamp(min=1)[..., None, None] - mean[..., :, None] * mean[..., None, :]


def _image_moments(output: LTADOutput) -> Moments:
    """The moments of each image of a batch."""
    residuals = output.reconstructed_features - output.patch_features  # (B, N, D)
    return Moments(residuals.mean(1), residuals.mT @ residuals / residuals.shape[1], torch.ones(len(residuals)))


def _class_moments(view: Fold, features: Features) -> Moments:
    """The moments of each class's images that a model has not seen."""
    classes, dim = int(features.class_ids.max()) + 1, view.model.patches.feature_dim
    total = Moments(torch.zeros(classes, dim), torch.zeros(classes, dim, dim), torch.zeros(classes))
    for chunk, output in _outputs(view, features):
        for sums, parts in zip(total, _image_moments(output), strict=True):
            sums.index_add_(0, features.class_ids[chunk], parts)
    return total


class RawMaps(NamedTuple):
    """Raw score maps (n, 2, N) of held-out images, and the similarity (n,) of each to its own class's name.

    within: whitened by the residuals that the same model left on the class's other images: what is usual at a place.
    across: whitened by those of other models, as a new image will be: what its score will be like. This one is the
    higher, since models differ, so that a threshold made of it rather promises too little than too much.
    """

    within: Tensor
    across: Tensor
    similarity: Tensor


def _raw_maps(views: list[Fold], moments: list[Moments], features: Features, smoothing: float) -> RawMaps:
    """Score every held-out image."""
    patches, total = views[0].model.patches, _sum(moments)
    shared = total.covariance().mean(0)
    places = patches.grid_size[0] * patches.grid_size[1]
    images = len(features.class_ids)
    raw = RawMaps(torch.empty(images, 2, places), torch.empty(images, 2, places), torch.empty(images))
    for view, own in zip(views, moments, strict=True):
        rest = total.minus(own)
        rest_mean, rest_whitening = rest.mean(), whitening_matrices(rest.covariance(), rest.counts, shared)
        for chunk, output in _outputs(view, features):
            ids = features.class_ids[chunk]
            others = own.of(ids).minus(_image_moments(output))
            whitening = whitening_matrices(others.covariance(), others.counts, shared)
            raw.within[chunk] = raw_scores(output, others.mean(), whitening, patches.grid_size, smoothing)
            raw.across[chunk] = raw_scores(output, rest_mean[ids], rest_whitening[ids], patches.grid_size, smoothing)
            raw.similarity[chunk] = view.model.match(features.embeddings[chunk]).gather(1, ids[:, None])[:, 0]
    return raw


def _sum(moments: list[Moments]) -> Moments:
    return Moments(*(torch.stack(parts).sum(0) for parts in zip(*moments, strict=True)))


def _leave_one_out(within: Tensor, across: Tensor, pooled: tuple[Tensor, Tensor], scoring: ScoringConfig) -> Tensor:
    """Image scores (n,) of a class's raw maps (n, 2, N), each standardised by what is usual for the others."""
    scores = torch.empty(len(across))
    for i in range(len(across)):
        others = torch.cat([within[:i], within[i + 1 :]])
        parts = standardised_maps(across[i : i + 1], *place_statistics(others, pooled))
        scores[i] = image_scores(fuse(parts, scoring.semantic_weight), scoring.top_fraction)
    return scores
