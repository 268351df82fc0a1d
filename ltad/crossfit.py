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

    An image's residuals are whitened and its score standardised by the other images of its class, so that no image
    judges itself. A class of one image is described by the final model, which has seen it, and by what it borrows; it
    has no held-out score. The statistics are exact in half precision.
    """
    alone = (features.class_ids.bincount()[features.class_ids] == 1).nonzero()[:, 0]
    views = [*folds, Fold(final, alone)]
    total = _class_moments(views, features)
    raw, similarity = _raw_maps(views, features, total, scoring.smoothing)
    by_class = [(features.class_ids == k).nonzero()[:, 0] for k in range(int(features.class_ids.max()) + 1)]
    maps = [raw[members] for members in by_class]
    pooled = pooled_spread(maps)
    mean, std = map(torch.stack, zip(*(place_statistics(m, pooled) for m in maps), strict=True))
    whitening = whitening_matrices(total.covariance(), total.counts, total.covariance().mean(0))
    statistics = ScoreStatistics(*(part.half().float() for part in (total.mean(), whitening, mean, std)))
    scores = [_leave_one_out(m, pooled, scoring) for m in maps]
    similarities = [similarity[members] if len(members) > 1 else similarity[:0] for members in by_class]
    return statistics, scores, similarities


def make_calibration(class_names: tuple[str, ...], scores: list[Tensor], similarities: list[Tensor]) -> Calibration:
    """Sort the held-out figures under their classes' names."""
    tables = [
        {name: tuple(sorted(values.tolist())) for name, values in zip(class_names, part, strict=True)}
        for part in (scores, similarities)
    ]
    return Calibration(*tables)


def _outputs(views: list[Fold], features: Features) -> Iterator[tuple[Tensor, Features, LTAD, LTADOutput]]:
    """Pass every image through the model that has not seen it, a chunk at a time."""
    for model, unseen in views:
        for chunk in unseen.split(ENCODE_BATCH):
            batch = features.batch(chunk)
            yield chunk, batch, model, model(batch.maps[: len(model.patches.channels)], batch.class_ids)


class Moments(NamedTuple):
    """Sums over images of the mean (D,) and the mean square (D, D) of their residuals; counts, how many images.

    Any leading dimensions: classes, or the images of a batch.
    """

    first: Tensor
    second: Tensor
    counts: Tensor

    def mean(self) -> Tensor:
        """Mean residual (..., D); zero where there is no image."""
        return self.first / self.counts.clamp(min=1)[..., None]

    def covariance(self) -> Tensor:
        """Covariance of the residuals (..., D, D)."""
        mean = self.mean()
        return self.second / self.counts.clamp(min=1)[..., None, None] - mean[..., :, None] * mean[..., None, :]


def _moments(residuals: Tensor) -> Moments:
    """The moments of each of B images' residuals (B, N, D)."""
    second = residuals.mT @ residuals / residuals.shape[1]
    return Moments(residuals.mean(1), second, torch.ones(len(residuals)))


def _class_moments(views: list[Fold], features: Features) -> Moments:
    """The moments of every class's held-out residuals."""
    classes, dim = int(features.class_ids.max()) + 1, views[0].model.patches.feature_dim
    total = Moments(torch.zeros(classes, dim), torch.zeros(classes, dim, dim), torch.zeros(classes))
    for _, batch, _, output in _outputs(views, features):
        own = _moments(output.reconstructed_features - output.patch_features)
        for sums, parts in zip(total, own, strict=True):
            sums.index_add_(0, batch.class_ids, parts)
    return total


def _raw_maps(views: list[Fold], features: Features, total: Moments, smoothing: float) -> tuple[Tensor, Tensor]:
    """Raw score maps (n, 2, N) and the similarity of each image to its own class's name (n,).

    Each image is whitened by the residuals of the others of its class: in a class of three its own would flatter it.
    """
    patches = views[0].model.patches
    shared = total.covariance().mean(0)
    raw = torch.empty(len(features.class_ids), 2, patches.grid_size[0] * patches.grid_size[1])
    similarity = torch.empty(len(features.class_ids))
    for chunk, batch, model, output in _outputs(views, features):
        ids = batch.class_ids
        own = _moments(output.reconstructed_features - output.patch_features)
        others = Moments(*(sums[ids] - parts for sums, parts in zip(total, own, strict=True)))
        whitening = whitening_matrices(others.covariance(), others.counts, shared)
        raw[chunk] = raw_scores(output, others.mean(), whitening, patches.grid_size, smoothing)
        similarity[chunk] = model.match(batch.embeddings).gather(1, ids[:, None])[:, 0]
    return raw, similarity


def _leave_one_out(maps: Tensor, pooled: tuple[Tensor, Tensor], scoring: ScoringConfig) -> Tensor:
    """Image scores (n,) of a class's raw maps (n, 2, N), each standardised by the others; none for a single image."""
    scores = []
    for i in range(len(maps) if len(maps) > 1 else 0):
        others = torch.cat([maps[:i], maps[i + 1 :]])
        parts = standardised_maps(maps[i : i + 1], *place_statistics(others, pooled))
        scores.append(image_scores(fuse(parts, scoring.semantic_weight), scoring.top_fraction))
    return torch.cat(scores) if scores else torch.empty(0)
