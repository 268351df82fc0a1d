"""The semantic module: is a patch nearer to "a normal s_c" or to "an abnormal s_c"?

Source: Ho et al. 2024, Figure 3: patches are projected into the joint space of image and text and compared with the
class's two prompts.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize


def _projection(feature_dim: int, joint_dim: int, hidden: int) -> nn.Module:
    if hidden == 0:
        return nn.Linear(feature_dim, joint_dim)
    return nn.Sequential(nn.Linear(feature_dim, hidden), nn.GELU(), nn.Linear(hidden, joint_dim))


class StrideProjection(nn.Module):
    """Project each stride's part of a patch by its own Φ_l and average what comes out."""

    def __init__(self, channels: Sequence[int], joint_dim: int, hidden: int) -> None:
        super().__init__()
        self.channels = tuple(channels)
        self.parts = nn.ModuleList(_projection(c, joint_dim, hidden) for c in channels)

    def forward(self, patch_features: Tensor) -> Tensor:
        """Project patches (B, N, D) into the joint space: (B, N, J)."""
        split = patch_features.split(self.channels, dim=-1)
        return torch.stack([project(part) for project, part in zip(self.parts, split, strict=True)]).mean(0)


class SemanticModule(nn.Module):
    """Project patches into the joint space and compare them with the normal and the abnormal prompt.

    channels: of each stride in a patch; by_stride: whether each has a projection of its own, or all have one together.
    """

    def __init__(
        self, channels: Sequence[int], joint_dim: int, *, by_stride: bool, hidden: int, temperature: float
    ) -> None:
        super().__init__()
        self.project: nn.Module
        if by_stride:
            self.project = StrideProjection(channels, joint_dim, hidden)
        else:
            self.project = _projection(sum(channels), joint_dim, hidden)
        self.temperature = temperature

    def forward(self, patch_features: Tensor, text_features: Tensor) -> Tensor:
        """Score patches (B, N, D) against [normal, abnormal] text features (B, 2, J).

        Returns the logit of "abnormal", (B, N); the probability is its sigmoid. Higher = more anomalous.
        """
        projected = normalize(self.project(patch_features), dim=-1)  # (B, N, J)
        towards_abnormal = text_features[:, 1] - text_features[:, 0]  # (B, J)
        return (projected @ towards_abnormal[..., None]).squeeze(-1) / self.temperature
