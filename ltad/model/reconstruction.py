"""The reconstruction module: a transformer that rebuilds each patch from the patches around it.

Source: UniAD (You et al. 2022), which the paper's reconstruction branch builds on: post-norm encoder, decoder with
a learned query per layer, neighbour-masked attention. Packing several patches into one token is ours.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention


def neighbour_mask(grid_size: tuple[int, int], side: int) -> Tensor:
    """Which token may look at which: (N, N) bool, False inside the ``side`` x ``side`` window around itself.

    With side 0 every token may look everywhere.
    """
    h, w = grid_size
    rows, columns = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    row_distance = (rows.flatten()[:, None] - rows.flatten()).abs()
    column_distance = (columns.flatten()[:, None] - columns.flatten()).abs()
    return torch.maximum(row_distance, column_distance) >= (side + 1) // 2


class Attention(nn.Module):
    """Multi-head attention; positions are added to queries and keys, never to values."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_query, self.to_key, self.to_value, self.out = (nn.Linear(dim, dim) for _ in range(4))

    def forward(self, query: Tensor, memory: Tensor, position: Tensor, mask: Tensor) -> Tensor:
        """Let query (B, N, d) look at memory (B, N, d) where mask (N, N) is 0, and not where it is -inf."""
        parts = self.to_query(query + position), self.to_key(memory + position), self.to_value(memory)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)  # (B, heads, N, d/heads)
        attended = scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.out(attended.transpose(1, 2).flatten(2))


def _feed_forward(dim: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(dim, 4 * dim), nn.ReLU(), nn.Linear(4 * dim, dim))


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward, each followed by a norm."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.attention, self.feed_forward = Attention(dim, heads), _feed_forward(dim)
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(2))

    def forward(self, tokens: Tensor, position: Tensor, mask: Tensor) -> Tensor:
        """Mix the tokens (B, N, d)."""
        tokens = self.norms[0](tokens + self.attention(tokens, tokens, position, mask))
        return self.norms[1](tokens + self.feed_forward(tokens))


class DecoderLayer(nn.Module):
    """A learned query, its own or an earlier layer's, asks the encoder's memory, then the layer before it.

    The residual path starts at the learned query, so that the input never flows straight to the output.
    """

    def __init__(self, tokens: int, dim: int, heads: int) -> None:
        super().__init__()
        self.query: nn.Parameter | None = nn.Parameter(0.02 * torch.randn(tokens, dim))
        self.ask_memory, self.ask_previous = Attention(dim, heads), Attention(dim, heads)
        self.feed_forward = _feed_forward(dim)
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(3))

    def forward(self, query: Tensor, previous: Tensor, memory: Tensor, position: Tensor, mask: Tensor) -> Tensor:
        """Give the next decoder state (B, N, d) from a query (N, d)."""
        query = query.expand_as(memory)
        state = self.norms[0](query + self.ask_memory(query, memory, position, mask))
        state = self.norms[1](state + self.ask_previous(state, previous, position, mask))
        return self.norms[2](state + self.feed_forward(state))


class ReconstructionModule(nn.Module):
    """Rebuild patch features (B, N, D); what cannot be rebuilt from its surroundings is anomalous."""

    def __init__(
        self,
        feature_dim: int,
        grid_size: tuple[int, int],
        *,
        dim: int,
        depth: int,
        heads: int,
        pack: int,
        neighbourhood: int,
        layer_queries: bool,
    ) -> None:
        super().__init__()
        if grid_size[0] % pack or grid_size[1] % pack:
            raise ValueError(f"pack must divide the patch grid {grid_size}, got {pack}")
        self.grid_size, self.pack = grid_size, pack
        h, w = grid_size[0] // pack, grid_size[1] // pack
        self.embed = nn.Linear(feature_dim * pack * pack, dim)
        self.rows, self.columns = (nn.Parameter(torch.rand(n, dim // 2)) for n in (h, w))
        self.encoder = nn.ModuleList(EncoderLayer(dim, heads) for _ in range(depth))
        decoder = [DecoderLayer(h * w, dim, heads) for _ in range(depth)]
        if not layer_queries:
            for later in decoder[1:]:
                later.query = None
        self.decoder = nn.ModuleList(decoder)
        self.norm = nn.LayerNorm(dim)
        self.unembed = nn.Linear(dim, feature_dim * pack * pack)
        allowed = torch.where(neighbour_mask((h, w), neighbourhood), 0.0, -math.inf)  # as attention adds it
        self.register_buffer("mask", allowed, persistent=False)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)

    @property
    def hidden_matrices(self) -> list[nn.Parameter]:
        """The weights of the layers within the transformer, which are neither its input nor its output."""
        layers = [*self.encoder.modules(), *self.decoder.modules()]
        linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
        return [parameter for layer in linear for parameter in layer.parameters() if parameter.ndim == 2]

    @property
    def position(self) -> Tensor:
        """Where a token stands: (tokens, dim), half from its row, half from its column."""
        h, w = len(self.rows), len(self.columns)
        rows, columns = self.rows[:, None].expand(h, w, -1), self.columns[None].expand(h, w, -1)
        return torch.cat([rows, columns], dim=-1).flatten(0, 1)

    def forward(self, patch_features: Tensor) -> Tensor:
        """Reconstruct (B, N, D) patch features; while training, the caller adds the noise."""
        position = self.position
        memory = self.embed(self._pack(patch_features))
        for encoder_layer in self.encoder:
            memory = encoder_layer(memory, position, self.mask)
        state, query = memory, None
        for decoder_layer in self.decoder:
            query = query if decoder_layer.query is None else decoder_layer.query
            state = decoder_layer(query, state, memory, position, self.mask)
        return self._unpack(self.unembed(self.norm(state)))

    def _pack(self, patches: Tensor) -> Tensor:
        """Join pack x pack neighbours into one token: (B, N, D) to (B, N/pack², D·pack²)."""
        (h, w), p = self.grid_size, self.pack
        blocks = patches.unflatten(1, (h // p, p, w // p, p)).permute(0, 1, 3, 2, 4, 5)
        return blocks.flatten(3).flatten(1, 2)

    def _unpack(self, tokens: Tensor) -> Tensor:
        """Undo ``_pack``."""
        (h, w), p = self.grid_size, self.pack
        blocks = tokens.unflatten(1, (h // p, w // p)).unflatten(3, (p, p, -1))
        return blocks.permute(0, 1, 3, 2, 4, 5).flatten(1, 4)
