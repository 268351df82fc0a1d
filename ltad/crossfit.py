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
    whitening_matrix,
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

    The score of an image is standardised by the other images of its class, so that no image judges itself. A class
    of one image is described by the final model, which has seen it, and by what it borrows; it has no held-out score.
    """
    alone = (features.class_ids.bincount()[features.class_ids] == 1).nonzero()[:, 0]
    views = [*folds, Fold(final, alone)]
    whitening = whitening_matrix(_residual_covariance(views, features)).half().float()
    raw, similarity = _raw_maps(views, features, whitening, scoring.smoothing)
    by_class = [(features.class_ids == k).nonzero()[:, 0] for k in range(int(features.class_ids.max()) + 1)]
    maps = [raw[members] for members in by_class]
    pooled = pooled_spread(maps)
    mean, std = (
        torch.stack(part).half().float() for part in zip(*(place_statistics(m, pooled) for m in maps), strict=True)
    )
    scores = [_leave_one_out(m, pooled, scoring) for m in maps]
    similarities = [similarity[members] if len(members) > 1 else similarity[:0] for members in by_class]
    return ScoreStatistics(whitening, mean, std), scores, similarities


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


def _residual_covariance(views: list[Fold], features: Features) -> Tensor:
    """Second moments (D, D) of the residuals, each class counting the same."""
    weights = 1.0 / features.class_ids.bincount()[features.class_ids]
    total = torch.zeros(())
    for chunk, _, _, output in _outputs(views, features):
        residuals = output.reconstructed_features - output.patch_features
        weighted = residuals * weights[chunk].sqrt()[:, None, None]
        total = total + torch.einsum("bnd,bne->de", weighted, weighted) / residuals.shape[1]
    return total / weights.sum()


def _raw_maps(views: list[Fold], features: Features, whitening: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    """Raw score maps (n, 2, N) and the similarity of each image to its own class's name (n,)."""
    patches = views[0].model.patches
    places = patches.grid_size[0] * patches.grid_size[1]
    raw = torch.empty(len(features.class_ids), 2, places)
    similarity = torch.empty(len(features.class_ids))
    for chunk, batch, model, output in _outputs(views, features):
        raw[chunk] = raw_scores(output, whitening, patches.grid_size, smoothing)
        similarity[chunk] = model.match(batch.embeddings).gather(1, batch.class_ids[:, None])[:, 0]
    return raw, similarity


def _leave_one_out(maps: Tensor, pooled: tuple[Tensor, Tensor], scoring: ScoringConfig) -> Tensor:
    """Image scores (n,) of a class's raw maps (n, 2, N), each standardised by the others; none for a single image."""
    scores = []
    for i in range(len(maps) if len(maps) > 1 else 0):
        others = torch.cat([maps[:i], maps[i + 1 :]])
        parts = standardised_maps(maps[i : i + 1], *place_statistics(others, pooled))
        scores.append(image_scores(fuse(parts, scoring.semantic_weight), scoring.top_fraction))
    return torch.cat(scores) if scores else torch.empty(0)
