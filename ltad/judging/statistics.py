"""What is normal for a class: statistics of raw scores, and what a class of few images borrows from the others."""

from typing import NamedTuple

import torch
from torch import Tensor

from ltad.config import LTADConfig
from ltad.judging.detail import gain
from ltad.judging.scoring import FINE, RawScores, Usual, score_images, standardise

RIDGE = 0.02  # of the mean variance, added to a residual's variances so that whitening stays stable
PRIOR_COVARIANCE = 3.0  # our choice: a class's own residual variances count as much as all classes' at 3 images
PRIOR_SPREAD = 5.0  # our choice: a class's own spread at a place counts as much as its overall spread at 5 images


def residual_variances(own: Tensor, counts: Tensor, shared: Tensor) -> Tensor:
    """Variances (K, D) of residuals along the shared directions, from a class's own (K, D) and those of all (D,).

    A class of few images, counts (K,), leans on the shared ones: whole covariances of its own would be 56 KB a class.
    """
    trust = (counts / (counts + PRIOR_COVARIANCE))[:, None]
    blended = trust * own + (1 - trust) * shared
    return blended + RIDGE * blended.mean(1, keepdim=True)


class MapSums(NamedTuple):
    """Sums over maps (P, N) of a class's images, of P scores each, and over their squares; in double precision.

    Of several versions of an image it is their mean that counts, and the mean of their squares.
    """

    images: int
    first: Tensor
    second: Tensor

    @classmethod
    def of(cls, maps: Tensor, versions: int = 1) -> "MapSums":
        """Add up maps (n · versions, P, N), the versions of an image one after the other."""
        maps = maps.double()
        return cls(len(maps) // versions, maps.sum(0) / versions, maps.square().sum(0) / versions)

    def minus(self, others: "MapSums") -> "MapSums":
        """The sums over the images that are not among the others."""
        return MapSums(self.images - others.images, self.first - others.first, self.second - others.second)

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


class ScoreSums(NamedTuple):
    """Sums over a class's maps: of the distances, of what is standardised by place, and of the fine distances.

    The fine ones, of maps of any size, are over the mean of each map and over that of its squares.
    """

    memory: MapSums
    placed: MapSums
    fine: MapSums

    @classmethod
    def of(cls, raw: RawScores, versions: int = 1) -> "ScoreSums":
        """Add up the raw scores of n images, in so many versions each."""
        memory, placed = (MapSums.of(maps, versions) for maps in (raw.memory, raw.placed))
        fine = [each.double().flatten(1) for each in raw.fine] or [raw.memory.new_zeros(0, 1).double()]
        first, second = (sum(m.mean(1, keepdim=True) for m in maps) for maps in (fine, [m.square() for m in fine]))
        return cls(memory, placed, MapSums(memory.images, first / versions, second / versions))  # type: ignore[arg-type]

    def minus(self, others: "ScoreSums") -> "ScoreSums":
        """The sums over the images that are not among the others."""
        return ScoreSums(*(mine.minus(its) for mine, its in zip(self, others, strict=True)))


class Pooled(NamedTuple):
    """What classes of few images borrow.

    memory, fine: mean and variance of distances (S,), (T,). placed: the same of the placed scores (2,). gain: what fine
    scores are multiplied by.
    """

    memory: tuple[Tensor, Tensor]
    placed: tuple[Tensor, Tensor]
    fine: tuple[Tensor, Tensor]
    gain: float = 1.0

    @classmethod
    def of(cls, classes: list[ScoreSums]) -> "Pooled":
        """Average over the classes."""
        several = [sums for sums in classes if sums.memory.images > 1]
        spreads = (
            [class_spread(own) for own in part] for part in zip(*((s.memory, s.fine) for s in several), strict=True)
        )
        memory, fine = (tuple(torch.stack(parts).mean(0) for parts in zip(*each, strict=True)) for each in spreads)
        return cls(memory, pooled_spread([sums.placed for sums in classes]), fine)  # type: ignore[arg-type]  # of two

    def usual(self, sums: ScoreSums) -> Usual:
        """Mean and spread of a class's distances (S,), of what is placed (2, N), and of the fine distances (T,)."""
        memory, fine = class_statistics(sums.memory, self.memory), class_statistics(sums.fine, self.fine)
        return Usual(memory, place_statistics(sums.placed, self.placed), fine)


class HeldOutScores(NamedTuple):
    """What n images score whole and finely (n,) where others say what is usual; finely: None where nothing is."""

    whole: Tensor
    finely: Tensor | None

    def gain(self, pooled: Pooled, versions: int) -> float:
        """What fine scores are multiplied by, as the images say, in so many versions each, as they are."""
        if self.finely is None:  # as of no images
            return pooled.gain
        return gain(self.whole[::versions], self.finely[::versions], pooled.gain)

    def image(self, gain: float) -> Tensor:
        """One number of each."""
        return self.whole if self.finely is None else torch.maximum(self.whole, gain * self.finely)


def leave_one_out(
    within: RawScores, across: RawScores, pooled: Pooled, config: LTADConfig, versions: int = 1
) -> HeldOutScores:
    """Image scores (n · versions,) of a class's images, each standardised by what is usual for the others.

    within: what is usual at a place is learned from. across: what is scored. Both hold the versions of an image one
    after the other.
    """
    whole, finely = (across.residual.new_empty(len(across.residual)) for _ in range(2))
    sums = ScoreSums.of(within, versions)
    for rows in torch.arange(len(whole), device=whole.device).view(-1, versions):
        usual = pooled.usual(sums.minus(ScoreSums.of(within.of(rows), versions)))
        scores = score_images(standardise(across.of(rows), usual), config)
        whole[rows] = scores.whole
        if FINE in scores.image_by_part:
            finely[rows] = scores.image_by_part[FINE]
    return HeldOutScores(whole, finely if across.fine else None)
