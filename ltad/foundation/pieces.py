"""A picture larger than a tower sees at once: pieces of it that overlap, and one map of theirs, without seams.

Lengths are counted in cells, the patches of a tower's map. What a tower says of the edge of a piece it would not say of
the same place in the middle of another, where it sees beyond it: there, each piece counts the less the nearer its edge
is, and its outermost cells count nothing.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

EDGE = 0.25  # our choice: of the overlap, how much of each piece's edge counts nothing


class Cutting(NamedTuple):
    """How a picture is cut: into pieces of so many cells a side at most, which overlap by so many at least.

    is_exact: whether every piece is as long as that, as a tower for one size of picture wants it; else pieces are as
    short as they may be.
    """

    most: int
    overlap: int
    is_exact: bool

    def pieces(self, length: int) -> list[slice]:
        """Equal pieces that cover a length, from its beginning to its end."""
        if length < self.most and self.is_exact:
            raise ValueError(f"a side must have {self.most} cells at least, got {length}")
        count = 1 if length <= self.most else -(-(length - self.overlap) // (self.most - self.overlap))
        size = self.most if self.is_exact else -(-(length + (count - 1) * self.overlap) // count)
        starts = [round(i * (length - size) / max(1, count - 1)) for i in range(count)]
        return [slice(start, start + size) for start in starts]

    def weights(self, piece: slice, length: int) -> Tensor:
        """How much each cell of a piece of a length counts: all of it where no other piece is."""
        cells, edge = torch.arange(piece.stop - piece.start) + 0.5, EDGE * self.overlap
        ones = torch.ones_like(cells)
        rising = ((cells - edge) / (self.overlap - 2 * edge)).clamp(0, 1)
        return (rising if piece.start else ones) * (rising.flip(0) if piece.stop < length else ones)


def joined(see: Callable[[Tensor], Tensor], image: Tensor, stride: int, cutting: Cutting) -> Tensor:
    """One map (C, h, w) of an image (3, H, W), whose sides are whole cells of ``stride`` pixels.

    see: makes of a piece (3, H', W') its map (C, h', w').
    """
    height, width = (side // stride for side in image.shape[1:])
    if (height * stride, width * stride) != image.shape[1:]:
        raise ValueError(f"an image's sides must be multiples of {stride}, got {tuple(image.shape[1:])}")
    strips = []
    for rows in cutting.pieces(height):
        pixels = image[:, rows.start * stride : rows.stop * stride]
        beside = [see(pixels[:, :, part.start * stride : part.stop * stride]) for part in cutting.pieces(width)]
        strips.append(_blended(beside, cutting, width, 2))
    return _blended(strips, cutting, height, 1)


def _blended(parts: Sequence[Tensor], cutting: Cutting, length: int, dim: int) -> Tensor:
    """Maps of the pieces of a length, blended into one along a dimension."""
    shape = list(parts[0].shape)
    shape[dim] = length
    total, counted = parts[0].new_zeros(shape), parts[0].new_zeros(length)
    for part, piece in zip(parts, cutting.pieces(length), strict=True):
        weights = cutting.weights(piece, length).to(part)
        weighed = part * (weights[:, None] if dim == 1 else weights)
        total.narrow(dim, piece.start, len(weights)).add_(weighed)
        counted[piece] += weights
    return total / (counted[:, None] if dim == 1 else counted)
