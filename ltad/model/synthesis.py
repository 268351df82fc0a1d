"""A conditional VAE that draws the feature maps of a class, so that the tail has more than its few images.

Source: Ho et al. 2024, Figure 3, phase 1: mu and sigma from the frozen encoder's last output, a decoder that also
sees the class name t_c, one synthesised map per stride. The decoder's layers, the latent's size and its layout are
our choice: a single global vector can only return class means, a latent with a layout keeps where things are, and
layouts that a name mixes say where its class has what, which a name that is alike everywhere hardly can.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, gelu, interpolate

from ltad.model.noise import normal_noise

MIXED = 4.0  # our choice: times a name's unit vector, of which each entry is small


class Synthesis(NamedTuple):
    """maps: synthesised, standardised, (B, C, h, w) per stride; mean, log_variance: of the latent."""

    maps: list[Tensor]
    mean: Tensor
    log_variance: Tensor


class FeatureVAE(nn.Module):
    """Encode the deepest map to a latent of ``layout`` x ``layout`` cells; decode it under a class name.

    layouts: how many learned ones the name mixes; 0 = none (the paper).
    """

    def __init__(
        self,
        *,
        deepest_channels: int,
        joint_dim: int,
        channels: Sequence[int],
        grids: Sequence[tuple[int, int]],
        latent: int,
        layout: int,
        layouts: int,
        width: int,
    ) -> None:
        super().__init__()
        self.latent = latent
        self.layout = layout
        self.grids = tuple(grids)
        self.norm = nn.GroupNorm(1, deepest_channels)
        self.to_latent = nn.Conv2d(deepest_channels, 2 * latent, 1)  # F_mu and F_sigma
        self.from_latent = nn.Conv2d(latent + joint_dim, width, 1)
        # Without a position of its own every cell of a global latent would decode alike.
        self.position = nn.Parameter(0.02 * torch.randn(width, *min(grids)))
        self.mix = nn.Linear(joint_dim, layouts) if layouts else None
        if layouts:
            self.layouts = nn.Parameter(0.02 * torch.randn(layouts, width, *min(grids)))
        self.blocks = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in grids)
        self.heads = nn.ModuleList(nn.Conv2d(width, c, 1) for c in channels)

    def encode(self, deepest_map: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the latent: two (B, Z, layout, layout)."""
        pooled = adaptive_avg_pool2d(self.norm(deepest_map), self.layout)
        mean, log_variance = self.to_latent(pooled).chunk(2, dim=1)
        return mean, log_variance.clamp(-10, 10)

    def decode(self, latent: Tensor, name_features: Tensor) -> list[Tensor]:
        """Draw standardised maps, one per stride, from a latent and the names t_c (B, J)."""
        names = name_features[:, :, None, None].expand(-1, -1, *latent.shape[2:])
        hidden = self.from_latent(torch.cat([latent, names], dim=1))
        hidden = interpolate(hidden, self.position.shape[1:], mode="bilinear") + self.position
        if self.mix is not None:
            hidden = hidden + torch.einsum("bl,lwyx->bwyx", self.mix(MIXED * name_features), self.layouts)
        maps = [hidden] * len(self.grids)
        for block, index in zip(self.blocks, sorted(range(len(self.grids)), key=self.grids.__getitem__), strict=True):
            hidden = interpolate(hidden, self.grids[index], mode="bilinear")
            hidden = hidden + gelu(block(hidden))
            maps[index] = self.heads[index](hidden)
        return maps

    def draw(self, name_features: Tensor, generator: torch.Generator) -> list[Tensor]:
        """Draw standardised maps of B images, one per stride, from the prior N(0, I) and the names t_c (B, J) alone."""
        shape = len(name_features), self.latent, self.layout, self.layout
        return self.decode(normal_noise(shape, generator, name_features.device), name_features)

    def forward(self, deepest_map: Tensor, name_features: Tensor, generator: torch.Generator) -> Synthesis:
        """Reconstruct B images' maps through a posterior sample of the latent."""
        mean, log_variance = self.encode(deepest_map)
        latent = mean + (log_variance / 2).exp() * normal_noise(mean.shape, generator, mean.device)
        return Synthesis(self.decode(latent, name_features), mean, log_variance)
