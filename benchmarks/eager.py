"""The image tower as torch runs it by itself, operation by operation: what costs are measured against."""

import copy

import torch
from torch import Tensor, nn
from typing_extensions import override

from ltad.foundation import FoundationModel
from ltad.foundation.engine import Engine


class Eager(Engine):
    """A tower as it is."""

    def __init__(self, tower: nn.Module, device: torch.device) -> None:
        self.name, self.device = f"torch {torch.__version__}, eager", device
        self._tower = tower.eval().to(device)

    @override
    @torch.no_grad()
    def __call__(self, images: Tensor) -> tuple[Tensor, ...]:
        return self._tower(images.to(self.device))


def eagerly(foundation: FoundationModel) -> FoundationModel:
    """The same foundation model with an image tower that runs so."""
    other = copy.copy(foundation)
    other.engine = Eager(foundation.image_tower, foundation.device)
    return other
