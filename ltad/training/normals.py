"""Learn what is normal from images that the scoring model has not seen.

The normals are dealt into folds; for each fold a model is trained on the others, by the same recipe as the final one.
So every normal image, even of a class with three, gets a score that is not flattered by training on it. Where harmless
change is normal, it is judged as it is and changed.
"""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from ltad.config import LTADConfig
from ltad.foundation.features import ENCODE_BATCH
from ltad.judging.calibration import FAMILIAR_BY, HeldOut
from ltad.judging.detail import usual_gain
from ltad.judging.scoring import FORMS, RawScores, ScoreStatistics, neutral_statistics, raw_scores, score_images
from ltad.judging.statistics import HeldOutScores, Pooled, ScoreSums, leave_one_out, residual_variances
from ltad.machine import CPU
from ltad.model.ltad import LTAD, LTADOutput
from ltad.training.folds import Fold
from ltad.training.images import Judged
from ltad.training.moments import Moments, total_of


class Normals(NamedTuple):
    """What is normal: the statistics of classes, and the held-out figures of each; a class of one image has none.

    across: raw scores of all rows that were judged, by models that had not seen them, and pooled: what classes of few
    borrow; None where scores are not standardised.
    """

    statistics: ScoreStatistics
    held_out: list[HeldOut]
    across: RawScores | None
    pooled: Pooled | None

    def by_class(self, class_names: tuple[str, ...]) -> dict[str, HeldOut]:
        """The held-out figures under their classes' names."""
        return dict(zip(class_names, self.held_out, strict=True))


@torch.no_grad()
def fit_statistics(folds: list[Fold], final: LTAD, judged: Judged, config: LTADConfig) -> Normals:
    """Fit the statistics of normal scores, and give each class's held-out figures.

    No image judges itself: its residuals are whitened, and its score standardised, by other images only. A class of
    one image is described by the final model, which has seen it, and by what it borrows; it has no held-out score.
    The models score on their device; what is counted is counted in host memory, since not every device has double
    precision. The statistics are exact in half precision.
    """
    class_ids = judged.images.class_ids
    alone = (class_ids.bincount()[class_ids] == 1).nonzero()[:, 0]
    everyone = [*folds, Fold(final, alone)]
    members = [(class_ids == k).nonzero()[:, 0] for k in range(int(class_ids.max()) + 1)]
    scored = [images if len(images) > 1 else images[:0] for images in members]
    if not FORMS[config.scoring.form].is_standardised:
        scores, familiarity = _unstandardised(everyone, judged, config, FAMILIAR_BY[0])
        held_out = [_figures(judged, m, scores[judged.rows(m)], familiarity) for m in scored]
        return Normals(_neutral(everyone, judged), held_out, None, None)
    moments = [_class_moments(fold, judged) for fold in everyone]
    shared, basis = torch.linalg.eigh(total_of(moments).covariance().mean(0))
    along = [part.along(basis) for part in moments]
    maps = _held_out_maps(everyone, along, basis, shared, judged, config, FAMILIAR_BY[0])
    rows = [judged.rows(images) for images in members]
    sums = [ScoreSums.of(maps.within.of(each), judged.versions) for each in rows]
    pooled = Pooled.of(sums)
    held = [maps.scores(judged.rows(images), pooled, config, judged.versions) for images in scored]
    gains = [each.gain(pooled, judged.versions) for each in held if len(each.whole)]
    pooled = pooled._replace(gain=usual_gain(gains))
    total = total_of(along)
    variance = residual_variances(total.variance(), total.counts, shared)
    normal = [_rows(pooled, own, each, judged.versions) for own, each in zip(sums, held, strict=True)]
    by_class = (torch.stack(parts) for parts in zip(*normal, strict=True))
    statistics = _in_half(basis, total.mean(), variance, *by_class)
    held_out = [_standardised(judged, m, maps, each, pooled) for m, each in zip(scored, held, strict=True)]
    return Normals(statistics, held_out, maps.across, pooled)


@torch.no_grad()
def fit_class_statistics(
    folds: list[Fold], judged: Judged, parent: ScoreStatistics, config: LTADConfig, familiar_by: str = FAMILIAR_BY[0]
) -> Normals:
    """Fit the statistics of one class's images (two at least) beside those of a parent's classes.

    Gives them as a table of one class, and its held-out figures. What a class of few images borrows is the average of
    the parent's classes; directions of residuals are the parent's. familiar_by: as in the parent's calibration.
    """
    everyone, first = torch.arange(len(judged.images.class_ids), device=CPU), judged.class_ids[:1]
    if not FORMS[config.scoring.form].is_standardised:
        scores, familiarity = _unstandardised(folds, judged, config, familiar_by)
        own = parent.of(torch.zeros_like(first))
        return Normals(own, [_figures(judged, everyone, scores, familiarity)], None, None)
    shared = parent.residual_variance.mean(0)
    along = [_class_moments(fold, judged).along(parent.basis) for fold in folds]
    maps = _held_out_maps(folds, along, parent.basis, shared, judged, config, familiar_by)
    memory, fine = ((mean.mean(0), std.square().mean(0)) for mean, std in (parent.usual.memory, parent.usual.fine))
    placed = parent.mean.mean((0, 2)), parent.std.square().mean((0, 2))
    pooled = Pooled(memory, placed, fine, usual_gain(parent.fine_gain.flatten().tolist()))
    sums, rows = ScoreSums.of(maps.within, judged.versions), judged.rows(everyone)
    held = maps.scores(rows, pooled, config, judged.versions)
    total = total_of(along).of(first)
    variance = residual_variances(total.variance(), total.counts, shared)
    normal = (part[None] for part in _rows(pooled, sums, held, judged.versions))
    statistics = _in_half(parent.basis, total.mean(), variance, *normal)
    return Normals(statistics, [_standardised(judged, everyone, maps, held, pooled)], maps.across, pooled)


def _rows(pooled: Pooled, sums: ScoreSums, scores: HeldOutScores, versions: int) -> Iterator[Tensor]:
    """What is normal for a class: its rows of ``ScoreStatistics``, from ``memory_mean`` on."""
    for mean, std in pooled.usual(sums):
        yield from (mean, std)
    finely = len(sums.fine.first)
    yield mean.new_full((min(1, finely),), scores.gain(pooled, versions))


def _standardised(
    judged: Judged, images: Tensor, maps: "_HeldOutMaps", scores: HeldOutScores, pooled: Pooled
) -> HeldOut:
    """The figures of a class's images, of which these scores are known, each standardised by the others."""
    image = scores.image(scores.gain(pooled, judged.versions))
    return _figures(judged, images, image, maps.familiarity)


def _figures(judged: Judged, images: Tensor, scores: Tensor, familiarity: Tensor) -> HeldOut:
    """A class's held-out figures: scores are those of its rows, familiarity that of all rows."""
    by_version = scores.view(-1, judged.versions).T
    return HeldOut(
        scores=tuple(by_version[0].tolist()),
        changed=tuple(by_version[1:].flatten().tolist()),
        familiarity=tuple(familiarity[judged.rows(images)].tolist()),
    )


def _in_half(*parts: Tensor) -> ScoreStatistics:
    """Statistics as a checkpoint keeps them, exact in half precision."""
    return ScoreStatistics(*(part.half().float() for part in parts))


def _neutral(folds: list[Fold], judged: Judged) -> ScoreStatistics:
    model, classes = folds[0].model, int(judged.class_ids.max()) + 1
    (h, w), dim = model.patches.grid_size, model.patches.feature_dim
    return neutral_statistics(classes, len(model.memories), dim, h * w, CPU, fine=len(model.fine_memories))


def _unstandardised(folds: list[Fold], judged: Judged, config: LTADConfig, familiar_by: str) -> tuple[Tensor, Tensor]:
    """Held-out image scores, and how familiar images are, of all rows, where nothing is standardised."""
    neutral, grid, class_ids = _neutral(folds, judged), folds[0].model.patches.grid_size, judged.class_ids
    scores, familiarity = (torch.empty(len(class_ids), device=CPU) for _ in range(2))
    for fold in folds:
        for chunk, output in _outputs(fold, judged):
            raw = raw_scores(output, neutral.of(class_ids[chunk]), config, grid)
            scores[chunk] = score_images(raw, config).image
            familiarity[chunk] = _familiarity(fold, judged, chunk, familiar_by)
    return scores, familiarity


def _familiarity(fold: Fold, judged: Judged, chunk: Tensor, by: str) -> Tensor:
    """How similar rows are to what their own class is recognised by: (B,)."""
    some = judged.batch(chunk, fold.model.device)
    return fold.model.familiarity(some.embeddings, some.class_ids, by).cpu()


def _outputs(fold: Fold, judged: Judged) -> Iterator[tuple[Tensor, LTADOutput]]:
    """Pass what a model has not seen through it, some rows at a time; what comes out lies in host memory.

    The versions of an image are always together.
    """
    for chunk in judged.rows(fold.unseen).split(ENCODE_BATCH - ENCODE_BATCH % judged.versions):
        batch = judged.batch(chunk, fold.model.device)
        patches, rebuilt, distances, logits, fine = fold.model(batch.maps, batch.class_ids, batch.fine)
        finely = tuple(each.cpu() for each in fine)
        yield chunk, LTADOutput(patches.cpu(), rebuilt.cpu(), distances.cpu(), logits.cpu(), finely)


def _residuals(output: LTADOutput) -> Tensor:
    return output.reconstructed_features - output.patch_features  # (B, N, D)


def _class_moments(fold: Fold, judged: Judged) -> Moments:
    """The moments of each class's images that a model has not seen; the versions of an image count as one."""
    class_ids = judged.class_ids
    classes, dim = int(class_ids.max()) + 1, fold.model.patches.feature_dim
    total = Moments(*(torch.zeros(shape, device=CPU) for shape in ((classes, dim), (classes, dim, dim), (classes,))))
    for chunk, output in _outputs(fold, judged):
        residuals = _residuals(output)
        each = residuals.mean(1), residuals.mT @ residuals / residuals.shape[1], residuals.new_ones(len(residuals))
        for sums, parts in zip(total, each, strict=True):
            sums.index_add_(0, class_ids[chunk], parts / judged.versions)
    return total


class _HeldOutMaps(NamedTuple):
    """Raw scores of all rows that are judged, and how familiar each is (n · versions,).

    within: whitened by the residuals that the same model left on the class's other images: what is usual at a place.
    across: whitened by those of other models, as a new image will be: what its score will be like. This one is the
    higher, since models differ, so that a threshold made of it rather promises too little than too much.
    """

    within: RawScores
    across: RawScores
    familiarity: Tensor

    def scores(self, rows: Tensor, pooled: Pooled, config: LTADConfig, versions: int) -> HeldOutScores:
        """What rows score, each image's where the others say what is usual."""
        return leave_one_out(self.within.of(rows), self.across.of(rows), pooled, config, versions)


def _held_out_maps(
    folds: list[Fold],
    moments: list[Moments],
    basis: Tensor,
    shared: Tensor,
    judged: Judged,
    config: LTADConfig,
    familiar_by: str,
) -> _HeldOutMaps:
    """Score everything that is held out; moments are those along the shared directions, shared their variances (D,)."""
    model, class_ids = folds[0].model, judged.class_ids
    n, grid, memories = len(class_ids), model.patches.grid_size, len(model.memories)
    places, empty = grid[0] * grid[1], partial(torch.empty, device=CPU)
    within, across = (RawScores(empty(n, memories, places), empty(n, places), empty(n, places)) for _ in range(2))
    familiarity, fine = empty(n), dict[int, Tensor]()
    total = total_of(moments)
    neutral = neutral_statistics(len(total.counts), memories, len(shared), places, basis.device)._replace(basis=basis)
    for fold, own in zip(folds, moments, strict=True):
        rest = total.minus(own)
        for chunk, output in _outputs(fold, judged):
            ids = class_ids[chunk]
            others = own.of(ids).minus(_of_images(_residuals(output) @ basis, judged.versions))
            for kept, usual in ((within, others), (across, rest.of(ids))):
                variance = residual_variances(usual.variance(), usual.counts, shared)
                normal = neutral.of(ids)._replace(residual_mean=usual.mean(), residual_variance=variance)
                these = raw_scores(output, normal, config, grid)
                kept.memory[chunk], kept.residual[chunk], kept.logit[chunk] = these.memory, these.residual, these.logit
            fine |= zip(chunk.tolist(), these.fine, strict=False)  # the same, whatever whitens the residuals
            familiarity[chunk] = _familiarity(fold, judged, chunk, familiar_by)
    of_all = tuple(fine[row] for row in range(len(fine)))
    return _HeldOutMaps(within._replace(fine=of_all), across._replace(fine=of_all), familiarity)


def _of_images(along: Tensor, versions: int) -> Moments:
    """Moments along the shared directions of the image that each of the rows (B, N, D) is a version of."""
    first, second = along.mean(1), along.square().mean(1)
    first, second = (m.unflatten(0, (-1, versions)).mean(1).repeat_interleave(versions, 0) for m in (first, second))
    return Moments(first, second, along.new_ones(len(along)))
