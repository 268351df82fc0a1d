"""Learn what is normal from images that the scoring model has not seen.

The normals are dealt into folds; for each fold a model is trained on the others, by the same recipe as the final one.
So every normal image, even of a class with three, gets a score that is not flattered by training on it.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ltad.calibration import Calibration
from ltad.config import LTADConfig
from ltad.features import ENCODE_BATCH, Features
from ltad.model.ltad import LTAD, LTADOutput
from ltad.scoring import (
    PLACED,
    MapSums,
    ScoreStatistics,
    class_spread,
    class_statistics,
    combine,
    fuse,
    image_scores,
    neutral_statistics,
    place_statistics,
    pooled_spread,
    raw_scores,
    residual_variances,
    standardised_parts,
)

DISTANCES, PLACES = slice(None, -PLACED), slice(-PLACED, None)  # of the parts
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
    folds: list[Fold], final: LTAD, features: Features, config: LTADConfig
) -> tuple[ScoreStatistics, list[Tensor], list[Tensor]]:
    """Fit the statistics of normal scores, and give each class's held-out image scores and name similarities.

    No image judges itself: its residuals are whitened, and its score standardised, by other images only. A class of
    one image is described by the final model, which has seen it, and by what it borrows; it has no held-out score.
    The statistics are exact in half precision.
    """
    alone = (features.class_ids.bincount()[features.class_ids] == 1).nonzero()[:, 0]
    judges = [*folds, Fold(final, alone)]
    if config.scoring.form == "paper":
        return _paper_statistics(judges, features, config)
    moments = [_class_moments(judge, features) for judge in judges]
    total = _sum(moments)
    shared, basis = torch.linalg.eigh(total.covariance().mean(0))
    along = [part.along(basis) for part in moments]
    raw = _raw_maps(judges, along, basis, shared, features, config)
    by_class = _members(features.class_ids)
    sums = [MapSums.of(raw.within[members]) for members in by_class]
    pooled = _Pooled.of(sums)
    normal = [pooled.statistics(each) for each in sums]
    memory_mean, memory_std, mean, std = (torch.stack(parts) for parts in zip(*normal, strict=True))
    total = _sum(along)
    variance = residual_variances(total.variance(), total.counts, shared)
    parts = (basis, total.mean(), variance, memory_mean, memory_std, mean, std)
    statistics = ScoreStatistics(*(part.half().float() for part in parts))
    scored = _with_others(by_class)
    scores = [_leave_one_out(raw.within[m], raw.across[m], pooled, config) for m in scored]
    return statistics, scores, [raw.similarity[m] for m in scored]


@torch.no_grad()
def fit_class_statistics(
    folds: list[Fold], features: Features, known: ScoreStatistics, config: LTADConfig
) -> tuple[ScoreStatistics, Tensor, Tensor]:
    """Fit the statistics of one class's images (two at least) beside those of the classes that are known.

    Gives them as a table of one class, its held-out image scores (n,) and name similarities (n,). What a class of few
    images borrows is the known classes' average; directions of residuals are the known ones.
    """
    if config.scoring.form == "paper":
        _, scores, similarities = _paper_statistics(folds, features, config)
        return known.of(torch.zeros(1, dtype=torch.long)), scores[-1], similarities[-1]
    shared = known.residual_variance.mean(0)
    along = [_class_moments(judge, features).along(known.basis) for judge in folds]
    raw = _raw_maps(folds, along, known.basis, shared, features, config)
    distances = known.memory_mean.mean(0), known.memory_std.square().mean(0)
    pooled = _Pooled(distances, (known.mean.mean((0, 2)), known.std.square().mean((0, 2))))
    normal = pooled.statistics(MapSums.of(raw.within))
    own = _sum(along).of(features.class_ids[:1])
    variance = residual_variances(own.variance(), own.counts, shared)
    parts = (known.basis, own.mean(), variance, *(part[None] for part in normal))
    statistics = ScoreStatistics(*(part.half().float() for part in parts))
    return statistics, _leave_one_out(raw.within, raw.across, pooled, config), raw.similarity


def _paper_statistics(
    judges: list[Fold], features: Features, config: LTADConfig
) -> tuple[ScoreStatistics, list[Tensor], list[Tensor]]:
    """Nothing is standardised in the paper's form; held-out scores are what thresholds are made of, all the same."""
    patches, memories = judges[0].model.patches, len(judges[0].model.memories)
    classes, places = int(features.class_ids.max()) + 1, patches.grid_size[0] * patches.grid_size[1]
    neutral = neutral_statistics(classes, memories, patches.feature_dim, places)
    scores, similarity = torch.empty(len(features.class_ids)), torch.empty(len(features.class_ids))
    for judge in judges:
        for chunk, output in _outputs(judge, features):
            ids = features.class_ids[chunk]
            parts = combine(raw_scores(output, neutral.of(ids), config, patches.grid_size), config)
            scores[chunk] = image_scores(fuse(parts, config.scoring.semantic_weight), config.scoring.top_fraction)
            similarity[chunk] = _own_similarity(judge, features, chunk)
    scored = _with_others(_members(features.class_ids))
    return neutral, [scores[m] for m in scored], [similarity[m] for m in scored]


def _members(class_ids: Tensor) -> list[Tensor]:
    """The images of each class."""
    return [(class_ids == k).nonzero()[:, 0] for k in range(int(class_ids.max()) + 1)]


def _with_others(by_class: list[Tensor]) -> list[Tensor]:
    """The images of each class that have a held-out score: none of a class of one."""
    return [members if len(members) > 1 else members[:0] for members in by_class]


def _own_similarity(judge: Fold, features: Features, chunk: Tensor) -> Tensor:
    """How similar images are to their own class's name: (B,)."""
    return judge.model.match(features.embeddings[chunk]).gather(1, features.class_ids[chunk, None])[:, 0]


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


def _outputs(judge: Fold, features: Features) -> Iterator[tuple[Tensor, LTADOutput]]:
    """Pass the images that a model has not seen through it, a chunk at a time."""
    for chunk in judge.unseen.split(ENCODE_BATCH):
        batch = features.batch(chunk)
        yield chunk, judge.model(batch.maps, batch.class_ids)


class Moments(NamedTuple):
    """Sums over images of the mean (..., D) and the mean square (..., D, D) of their residuals; counts (...), how many.

    Along the shared directions the mean square is (..., D) only. The leading dimension is that of the classes, or of
    the images of a batch.
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

    def along(self, basis: Tensor) -> "Moments":
        """The moments along the directions of a basis (D, D)."""
        return Moments(self.first @ basis, ((self.second @ basis) * basis).sum(-2), self.counts)

    def mean(self) -> Tensor:
        """Mean residual (..., D); zero where there is no image."""
        return self.first / self.counts.clamp(min=1)[..., None]

    def covariance(self) -> Tensor:
        """Covariance of the residuals (..., D, D)."""
        mean = self.mean()
        return self.second / self.counts.clamp(min=1)[..., None, None] - mean[..., :, None] * mean[..., None, :]

    def variance(self) -> Tensor:
        """Variances (..., D) along the shared directions."""
        return (self.second / self.counts.clamp(min=1)[..., None] - self.mean().square()).clamp(min=0)


def _residuals(output: LTADOutput) -> Tensor:
    return output.reconstructed_features - output.patch_features  # (B, N, D)


def _class_moments(judge: Fold, features: Features) -> Moments:
    """The moments of each class's images that a model has not seen."""
    classes, dim = int(features.class_ids.max()) + 1, judge.model.patches.feature_dim
    total = Moments(torch.zeros(classes, dim), torch.zeros(classes, dim, dim), torch.zeros(classes))
    for chunk, output in _outputs(judge, features):
        residuals = _residuals(output)
        each = residuals.mean(1), residuals.mT @ residuals / residuals.shape[1], torch.ones(len(residuals))
        for sums, parts in zip(total, each, strict=True):
            sums.index_add_(0, features.class_ids[chunk], parts)
    return total


class RawMaps(NamedTuple):
    """Raw score maps (n, S + 2, N) of held-out images, and the similarity (n,) of each to its own class's name.

    within: whitened by the residuals that the same model left on the class's other images: what is usual at a place.
    across: whitened by those of other models, as a new image will be: what its score will be like. This one is the
    higher, since models differ, so that a threshold made of it rather promises too little than too much.
    """

    within: Tensor
    across: Tensor
    similarity: Tensor


def _raw_maps(
    judges: list[Fold], moments: list[Moments], basis: Tensor, shared: Tensor, features: Features, config: LTADConfig
) -> RawMaps:
    """Score every held-out image; moments are those along the shared directions, shared their variances (D,)."""
    model, images = judges[0].model, len(features.class_ids)
    grid = model.patches.grid_size
    shape = images, len(model.memories) + PLACED, grid[0] * grid[1]
    raw = RawMaps(torch.empty(shape), torch.empty(shape), torch.empty(images))
    total = _sum(moments)
    neutral = neutral_statistics(len(total.counts), len(model.memories), len(shared), shape[2])._replace(basis=basis)
    for judge, own in zip(judges, moments, strict=True):
        rest = total.minus(own)
        for chunk, output in _outputs(judge, features):
            ids = features.class_ids[chunk]
            along = _residuals(output) @ basis
            others = own.of(ids).minus(Moments(along.mean(1), along.square().mean(1), torch.ones(len(ids))))
            for maps, known in ((raw.within, others), (raw.across, rest.of(ids))):
                variance = residual_variances(known.variance(), known.counts, shared)
                normal = neutral.of(ids)._replace(residual_mean=known.mean(), residual_variance=variance)
                maps[chunk] = raw_scores(output, normal, config, grid)
            raw.similarity[chunk] = _own_similarity(judge, features, chunk)
    return raw


def _sum(moments: list[Moments]) -> Moments:
    return Moments(*(torch.stack(parts).sum(0) for parts in zip(*moments, strict=True)))


class _Pooled(NamedTuple):
    """What classes of few images borrow: mean and variance of distances (S,), and of the placed parts (2,)."""

    distances: tuple[Tensor, Tensor]
    placed: tuple[Tensor, Tensor]

    @classmethod
    def of(cls, classes: list[MapSums]) -> "_Pooled":
        """Average over the classes."""
        spreads = [class_spread(sums.parts(DISTANCES)) for sums in classes if sums.count > 1]
        mean, variance = (torch.stack(parts).mean(0) for parts in zip(*spreads, strict=True))
        return cls((mean, variance), pooled_spread([sums.parts(PLACES) for sums in classes]))

    def statistics(self, sums: MapSums) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Mean and spread of a class's distances, and of its placed parts."""
        by_class = class_statistics(sums.parts(DISTANCES), self.distances)
        return *by_class, *place_statistics(sums.parts(PLACES), self.placed)


def _leave_one_out(within: Tensor, across: Tensor, pooled: _Pooled, config: LTADConfig) -> Tensor:
    """Image scores (n,) of a class's raw maps (n, S + 2, N), each standardised by what is usual for the others."""
    scoring, scores, sums = config.scoring, torch.empty(len(across)), MapSums.of(within)
    for i in range(len(across)):
        others = pooled.statistics(sums.without(within[i]))
        parts = combine(standardised_parts(across[i : i + 1], *others), config)
        scores[i] = image_scores(fuse(parts, scoring.semantic_weight), scoring.top_fraction)
    return scores
