"""The frozen foundation model's view of the training images, made once and kept."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from ltad import images
from ltad.data import Sample
from ltad.foundation.base import FoundationModel

ENCODE_BATCH = 16  # images


class Progress(Protocol):
    """Told after every step: the stage, steps done, steps in all, and the loss where there is one."""

    def __call__(self, stage: str, step: int, steps: int, loss: float | None = None) -> None:
        """Report one step."""


class Features(NamedTuple):
    """Cached features of n training images: maps per stride (n, C, h, w) in half precision, embeddings (n, J)."""

    maps: tuple[Tensor, ...]
    embeddings: Tensor
    class_ids: Tensor

    def take(self, indices: Tensor) -> "Features":
        """Some of the images, as they are stored."""
        return Features(tuple(m[indices] for m in self.maps), self.embeddings[indices], self.class_ids[indices])

    def batch(self, indices: Tensor) -> "Features":
        """Some of the images in full precision, to compute with."""
        taken = self.take(indices)
        return taken._replace(maps=tuple(m.float() for m in taken.maps))


def cache_features(
    samples: Sequence[Sample], class_names: Sequence[str], foundation: FoundationModel, progress: Progress
) -> Features:
    """Encode every training image once. About 180 KB an image at 256 px."""
    size = foundation.fingerprint.image_size
    batches = []
    for start in range(0, len(samples), ENCODE_BATCH):
        batch = samples[start : start + ENCODE_BATCH]
        encoded = foundation.encode_image(torch.stack([images.to_tensor(s.read(), size) for s in batch]))
        batches.append((tuple(m.half() for m in encoded.maps), encoded.embedding))
        progress("encode", start + len(batch), len(samples))
    maps = tuple(torch.cat(layer) for layer in zip(*(maps for maps, _ in batches), strict=True))
    ids = torch.tensor([class_names.index(s.class_name) for s in samples])
    return Features(maps, torch.cat([embedding for _, embedding in batches]), ids)
