"""Folds: models that judge what they have not seen, beside the final one that has seen everything."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ltad.foundation.features import Features
from ltad.model.ltad import LTAD
from ltad.training.images import TrainingImages


class Fold(NamedTuple):
    """A model and the images (indices) that it has not seen."""

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
            shuffled = members[torch.randperm(len(members), generator=generator).to(members.device)]
            dealt[shuffled] = torch.arange(len(members), device=members.device) % folds
    return dealt


def fit_folds(
    images: TrainingImages, folds: int, seed: int, fit: Callable[[Features, int | None], LTAD]
) -> tuple[list[Fold], LTAD]:
    """Fit a model for each fold on the images outside it, and then the final one on all.

    fit: given the features that may be seen, and the number of the fold, from 1, or None for the final model.
    """
    dealt = deal_folds(images.features.class_ids, folds, seed)
    fitted = [
        Fold(fit(images.where(dealt != fold), fold + 1), (dealt == fold).nonzero()[:, 0]) for fold in range(folds)
    ]
    return fitted, fit(images.where(torch.ones_like(dealt, dtype=torch.bool)), None)
