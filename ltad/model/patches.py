"""From feature maps of several strides to one feature vector per patch."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate


def image_weights(class_ids: Tensor) -> Tensor:
    """Weights (n,) of n images that sum to 1, each class counting the same."""
    weights = (1.0 / class_ids.bincount().clamp(min=1)[class_ids]).double()
    return weights / weights.sum()


def channel_statistics(layer: Tensor, class_ids: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and spread (C,) of a map's channels (n, C, h, w), each class counting the same."""
    sums = torch.stack([torch.stack([m.double().mean((1, 2)), m.double().square().mean((1, 2))]) for m in layer])
    mean, square = (image_weights(class_ids)[:, None, None] * sums).sum(0)
    return mean, (square - mean.square()).clamp(min=1e-8).sqrt()


class PatchFeatures(nn.Module):
    """Choose maps, standardise them per channel, bring them to one grid, and join them.

    layers: which of the foundation model's maps; channels: how many each has. Standardising makes a channel's unit the
    same for every stride, which raw activations are far from.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, layers: Sequence[int], channels: Sequence[int], grid_size: tuple[int, int], *, pool: int
    ) -> None:
        super().__init__()
        self.layers = tuple(layers)
        self.channels = tuple(channels)
        self.grid_size = grid_size
        self.pool = pool
        self.register_buffer("mean", torch.zeros(sum(channels)))
        self.register_buffer("std", torch.ones(sum(channels)))

    @property
    def feature_dim(self) -> int:
        """D, the size of a patch's feature vector."""
        return sum(self.channels)

    def choose(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Those of the foundation model's maps that patches are made of."""
        return [maps[layer] for layer in self.layers]

    @torch.no_grad()
    def learn_channels(self, maps: Sequence[Tensor], groups: Tensor) -> None:
        """Set the mean and spread of every channel over n images' maps; each of the groups (n,) counts the same.

        It is done where the maps lie, in host memory: not every device has double precision.
        """
        statistics = [channel_statistics(layer, groups) for layer in self.choose(maps)]
        for buffer, parts in zip((self.mean, self.std), zip(*statistics, strict=True), strict=True):
            buffer.copy_(torch.cat(parts))

    def standardise(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Choose among the foundation model's maps and give every channel zero mean and unit spread."""
        means, stds = self.mean.split(self.channels), self.std.split(self.channels)
        chosen = zip(self.choose(maps), means, stds, strict=True)
        return [(m - mean[:, None, None]) / std[:, None, None] for m, mean, std in chosen]

    def forward(self, standardised_maps: Sequence[Tensor]) -> Tensor:
        """Join standardised maps into patch features (B, N, D), N = h·w of the finest map."""
        layers = [interpolate(m, self.grid_size, mode="bilinear", align_corners=False) for m in standardised_maps]
        joined = avg_pool2d(
            torch.cat(layers, dim=1), self.pool, stride=1, padding=self.pool // 2, count_include_pad=False
        )
        return joined.flatten(2).transpose(1, 2)  # (B, N, D)
