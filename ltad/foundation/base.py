"""What LTAD asks of a frozen image-text foundation model."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ltad.foundation.engine import Engine, start_engine
from ltad.foundation.pieces import Cutting, joined
from ltad.machine import CPU, in_words

PIECE = 1536  # our choice: pixels that a tower of any size sees at once along a side; it takes 0.4 GB for that by 1024
OVERLAP = 192  # pixels of such pieces; of those of a tower for one size a quarter overlaps


class ImageFeatures(NamedTuple):
    """What the image tower says of B images.

    maps: (B, C, h, w) each, from fine to coarse, h and w the image size // stride; the deepest comes last.
    embedding: (B, J), unit length, in the joint space of image and text. fine: a map (C, h, w) of each image's fine
    view, of its own size; none where nothing was seen finely.
    """

    maps: tuple[Tensor, ...]
    embedding: Tensor
    fine: tuple[Tensor, ...] = ()


class Detail(NamedTuple):
    """How finely pictures are seen: their shorter side, in image sizes of the tower, and by which of its maps."""

    times: int
    layer: int


@dataclass(frozen=True)
class Fingerprint:
    """Which frozen weights a checkpoint was trained on; other weights would give other features.

    The name says how they were found; the same weights found elsewhere are equal.
    """

    name: str = field(compare=False)
    sha256: str
    image_size: int

    def to_dict(self) -> dict[str, Any]:
        """The fingerprint as plain JSON values."""
        return {"name": self.name, "sha256": self.sha256, "image_size": self.image_size}


class FoundationModel(ABC):
    """A frozen pair of towers that meet in one joint space of J dimensions.

    strides and channels describe ``ImageFeatures.maps``, in the same order; several maps may have one stride.
    token_size is that of a word embedding. device: where both towers compute, and where what they give lies.
    image_tower: makes of images (B, 3, S, S) in [0, 1], S the image size, the maps of ``ImageFeatures``, then the
    embedding. any_size: whether it takes images of other sides, too, since all that it does is convolutions.
    """

    device: torch.device = CPU
    any_size: bool = False
    image_tower: nn.Module
    fingerprint: Fingerprint
    strides: tuple[int, ...]
    channels: tuple[int, ...]
    joint_dim: int
    token_size: int

    def layer_near(self, stride: int) -> int:
        """Which of the maps has the stride nearest to this one, in pixels; the finest of those that have."""
        return min(range(len(self.strides)), key=lambda layer: abs(self.strides[layer] - stride))

    @cached_property
    def engine(self) -> Engine:
        """What runs the image tower, started at first use."""
        fingerprint = self.fingerprint
        return start_engine(lambda: self.image_tower, fingerprint.image_size, fingerprint.sha256, self.device)

    @property
    def where(self) -> str:
        """What it computes on, in words."""
        return f"{in_words(self.device)}, image tower in {self.engine.name}"

    def encode_image(self, images: Tensor) -> ImageFeatures:
        """Encode (B, 3, S, S) images in [0, 1], wherever they lie. No gradient flows."""
        *maps, embedding = self.engine(images)
        return ImageFeatures(tuple(maps), embedding)

    @cached_property
    def fine_engine(self) -> Engine:
        """What runs the image tower on pieces of a fine view, started at first use."""
        if not self.any_size:
            return self.engine
        fingerprint = self.fingerprint
        return start_engine(
            lambda: self.image_tower, fingerprint.image_size, fingerprint.sha256, self.device, any_size=True
        )

    def fine_map(self, image: Tensor, layer: int) -> Tensor:
        """One of the tower's maps (C, h, w) of an image (3, H, W) in [0, 1] that may be larger than the tower's size.

        Its sides must be multiples of the map's stride, and where the tower takes no other, at least the image size.
        """
        stride, size = self.strides[layer], self.fingerprint.image_size
        if self.any_size:
            cutting = Cutting(PIECE // stride, OVERLAP // stride, is_exact=False)
        else:
            cutting = Cutting(size // stride, size // stride // 4, is_exact=True)
        return joined(lambda piece: self.fine_engine(piece[None])[layer][0], image, stride, cutting)

    @abstractmethod
    def embed_words(self, text: str) -> Tensor:
        """Look up the token embeddings of a text, without start and end marks: (tokens, token size)."""

    def unread_words(self, text: str) -> list[str]:
        """The words of a text that the text tower cannot read, such as those of another script.

        None where its tokens can spell whatever there is.
        """
        return []

    @abstractmethod
    def encode_prompts(self, prompts: Sequence[Tensor]) -> Tensor:
        """Encode P token-embedding sequences as sentences: (P, J), unit length.

        Gradient flows back to the token embeddings, so that learned vectors can stand among the words.
        """

    @abstractmethod
    def vocabulary(self) -> tuple[list[str], Tensor]:
        """Whole words that the text tower knows and their token embeddings, (words, token size)."""
