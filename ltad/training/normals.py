"""Learn what is normal from images that the scoring model has not seen.

The normals are dealt into folds; for each fold a model is trained on the others, by the same recipe as the final one.
So every normal image, even of a class with three, gets a score that is not flattered by training on it.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ltad.config import LTADConfig
from ltad.foundation.features import ENCODE_BATCH, Features
from ltad.judging.scoring import FORMS, RawScores, ScoreStatistics, neutral_statistics, raw_scores, score_images
from ltad.judging.statistics import Pooled, ScoreSums, leave_one_out, residual_variances
from ltad.model.ltad import LTAD, LTADOutput
from ltad.training.folds import Fold
from ltad.training.moments import Moments, total_of


class HeldOut(NamedTuple):
    """What normal images that no model had seen are like: image scores (n,), and similarities (n,) to their own name.

    Lists of such tensors, one for each class; a class of one image has none.
    """

    scores: list[Tensor]
    similarities: list[Tensor]

    def by_class(self, class_names: tuple[str, ...]) -> list[dict[str, list[float]]]:
        """Scores, then similarities, as numbers under their classes' names."""
        return [{name: values.tolist() for name, values in zip(class_names, part, strict=True)} for part in self]


@torch.no_grad()
def fit_statistics(
    folds: list[Fold], final: LTAD, features: Features, config: LTADConfig
) -> tuple[ScoreStatistics, HeldOut]:
    """Fit the statistics of normal scores, and give each class's held-out figures.

    No image judges itself: its residuals are whitened, and its score standardised, by other images only. A class of
    one image is described by the final model, which has seen it, and by what it borrows; it has no held-out score.
    The models score on their device; what is counted is counted in host memory, since not every device has double
    precision. The statistics are exact in half precision.
    """
    alone = (features.class_ids.bincount()[features.class_ids] == 1).nonzero()[:, 0]
    everyone = [*folds, Fold(final, alone)]
    members = [(features.class_ids == k).nonzero()[:, 0] for k in range(int(features.class_ids.max()) + 1)]
    scored = [images if len(images) > 1 else images[:0] for images in members]
    if not FORMS[config.scoring.form].is_standardised:
        scores, similarity = _unstandardised(everyone, features, config)
        return _neutral(everyone, features), HeldOut([scores[m] for m in scored], [similarity[m] for m in scored])
    moments = [_class_moments(fold, features) for fold in everyone]
    shared, basis = torch.linalg.eigh(total_of(moments).covariance().mean(0))
    along = [part.along(basis) for part in moments]
    maps = _held_out_maps(everyone, along, basis, shared, features, config)
    sums = [ScoreSums.of(maps.within.of(images)) for images in members]
    pooled = Pooled.of(sums)
    normal = [(*pooled.memory_statistics(each), *pooled.placed_statistics(each)) for each in sums]
    total = total_of(along)
    variance = residual_variances(total.variance(), total.counts, shared)
    by_class = (torch.stack(parts) for parts in zip(*normal, strict=True))
    statistics = _in_half(basis, total.mean(), variance, *by_class)
    left_out = [leave_one_out(maps.within.of(m), maps.across.of(m), pooled, config) for m in scored]
    return statistics, HeldOut(left_out, [maps.similarity[images] for images in scored])


@torch.no_grad()
def fit_class_statistics(
    folds: list[Fold], features: Features, parent: ScoreStatistics, config: LTADConfig
) -> tuple[ScoreStatistics, HeldOut]:
    """Fit the statistics of one class's images (two at least) beside those of a parent's classes.

    Gives them as a table of one class, and its held-out figures. What a class of few images borrows is the average of
    the parent's classes; directions of residuals are the parent's.
    """
    if not FORMS[config.scoring.form].is_standardised:
        scores, similarity = _unstandardised(folds, features, config)
        return parent.of(torch.zeros_like(features.class_ids[:1])), HeldOut([scores], [similarity])
    shared = parent.residual_variance.mean(0)
    along = [_class_moments(fold, features).along(parent.basis) for fold in folds]
    maps = _held_out_maps(folds, along, parent.basis, shared, features, config)
    memory = parent.memory_mean.mean(0), parent.memory_std.square().mean(0)
    pooled = Pooled(memory, (parent.mean.mean((0, 2)), parent.std.square().mean((0, 2))))
    sums = ScoreSums.of(maps.within)
    own = total_of(along).of(features.class_ids[:1])
    variance = residual_variances(own.variance(), own.counts, shared)
    normal = (part[None] for part in (*pooled.memory_statistics(sums), *pooled.placed_statistics(sums)))
    statistics = _in_half(parent.basis, own.mean(), variance, *normal)
    return statistics, HeldOut([leave_one_out(maps.within, maps.across, pooled, config)], [maps.similarity])


def _in_half(*parts: Tensor) -> ScoreStatistics:
    """Statistics as a checkpoint keeps them, exact in half precision."""
    return ScoreStatistics(*(part.half().float() for part in parts))


def _neutral(folds: list[Fold], features: Features) -> ScoreStatistics:
    patches, memories = folds[0].model.patches, len(folds[0].model.memories)
    places = patches.grid_size[0] * patches.grid_size[1]
    classes, device = int(features.class_ids.max()) + 1, features.class_ids.device
    return neutral_statistics(classes, memories, patches.feature_dim, places, device)


def _unstandardised(folds: list[Fold], features: Features, config: LTADConfig) -> tuple[Tensor, Tensor]:
    """Held-out image scores (n,) and similarities (n,) where nothing is standardised."""
    neutral, grid = _neutral(folds, features), folds[0].model.patches.grid_size
    scores, similarity = (features.embeddings.new_empty(len(features.class_ids)) for _ in range(2))
    for fold in folds:
        for chunk, output in _outputs(fold, features):
            raw = raw_scores(output, neutral.of(features.class_ids[chunk]), config, grid)
            scores[chunk] = score_images(raw, config).image
            similarity[chunk] = _own_similarity(fold, features, chunk)
    return scores, similarity


def _own_similarity(fold: Fold, features: Features, chunk: Tensor) -> Tensor:
    """How similar images are to their own class's name: (B,)."""
    similarities = fold.model.match(features.embeddings[chunk].to(fold.model.device)).cpu()
    return similarities.gather(1, features.class_ids[chunk, None])[:, 0]


def _outputs(fold: Fold, features: Features) -> Iterator[tuple[Tensor, LTADOutput]]:
    """Pass the images that a model has not seen through it, a chunk at a time; what comes out lies in host memory."""
    for chunk in fold.unseen.split(ENCODE_BATCH):
        batch = features.batch(chunk, fold.model.device)
        yield chunk, LTADOutput(*(part.cpu() for part in fold.model(batch.maps, batch.class_ids)))


def _residuals(output: LTADOutput) -> Tensor:
    return output.reconstructed_features - output.patch_features  # (B, N, D)


def _class_moments(fold: Fold, features: Features) -> Moments:
    """The moments of each class's images that a model has not seen."""
    classes, dim = int(features.class_ids.max()) + 1, fold.model.patches.feature_dim
    zeros = features.embeddings.new_zeros
    total = Moments(zeros(classes, dim), zeros(classes, dim, dim), zeros(classes))
    for chunk, output in _outputs(fold, features):
        residuals = _residuals(output)
        each = residuals.mean(1), residuals.mT @ residuals / residuals.shape[1], residuals.new_ones(len(residuals))
        for sums, parts in zip(total, each, strict=True):
            sums.index_add_(0, features.class_ids[chunk], parts)
    return total


class _HeldOutMaps(NamedTuple):
    """Raw scores of n held-out images, and the similarity (n,) of each to its own class's name.

    within: whitened by the residuals that the same model left on the class's other images: what is usual at a place.
    across: whitened by those of other models, as a new image will be: what its score will be like. This one is the
    higher, since models differ, so that a threshold made of it rather promises too little than too much.
    """

    within: RawScores
    across: RawScores
    similarity: Tensor


def _held_out_maps(
    folds: list[Fold], moments: list[Moments], basis: Tensor, shared: Tensor, features: Features, config: LTADConfig
) -> _HeldOutMaps:
    """Score every held-out image; moments are those along the shared directions, shared their variances (D,)."""
    model, n = folds[0].model, len(features.class_ids)
    grid, memories = model.patches.grid_size, len(model.memories)
    places, empty = grid[0] * grid[1], features.embeddings.new_empty
    within, across = (RawScores(empty(n, memories, places), empty(n, places), empty(n, places)) for _ in range(2))
    similarity = empty(n)
    total = total_of(moments)
    neutral = neutral_statistics(len(total.counts), memories, len(shared), places, basis.device)._replace(basis=basis)
    for fold, own in zip(folds, moments, strict=True):
        rest = total.minus(own)
        for chunk, output in _outputs(fold, features):
            ids = features.class_ids[chunk]
            along = _residuals(output) @ basis
            others = own.of(ids).minus(Moments(along.mean(1), along.square().mean(1), along.new_ones(len(ids))))
            for kept, usual in ((within, others), (across, rest.of(ids))):
                variance = residual_variances(usual.variance(), usual.counts, shared)
                normal = neutral.of(ids)._replace(residual_mean=usual.mean(), residual_variance=variance)
                for all_images, these in zip(kept, raw_scores(output, normal, config, grid), strict=True):
                    all_images[chunk] = these
            similarity[chunk] = _own_similarity(fold, features, chunk)
    return _HeldOutMaps(within, across, similarity)
