"""Means and covariances of residuals, as sums that can be added up and taken apart again."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


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


def total_of(moments: Sequence[Moments]) -> Moments:
    """The moments of all images together."""
    return Moments(*(torch.stack(parts).sum(0) for parts in zip(*moments, strict=True)))
