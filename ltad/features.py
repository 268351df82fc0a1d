"""The frozen foundation model's view of the training images, made once and kept."""

from collections.abc import Iterable, Sequence
from itertools import islice
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

    def join(self, other: "Features") -> "Features":
        """These images, then the others."""
        maps = tuple(torch.cat(layers) for layers in zip(self.maps, other.maps, strict=True))
        return Features(
            maps, torch.cat([self.embeddings, other.embeddings]), torch.cat([self.class_ids, other.class_ids])
        )

    def batch(self, indices: Tensor) -> "Features":
        """Some of the images in full precision, to compute with."""
        taken = self.take(indices)
        return taken._replace(maps=tuple(m.float() for m in taken.maps))


def cache_features(
    samples: Sequence[Sample], class_names: Sequence[str], foundation: FoundationModel, progress: Progress
) -> Features:
    """Encode every training image once. About 200 KB an image at 256 px."""
    size = foundation.fingerprint.image_size
    read = (images.to_tensor(sample.read(), size) for sample in samples)
    ids = torch.tensor([class_names.index(s.class_name) for s in samples])
    return encode(read, ids, foundation, "encode", progress)


def encode(
    tensors: Iterable[Tensor], class_ids: Tensor, foundation: FoundationModel, stage: str, progress: Progress
) -> Features:
    """Encode images (3, S, S) of the given classes (n,), a batch at a time as they come."""
    batches, rest, total = [], iter(tensors), len(class_ids)
    while batch := tuple(islice(rest, ENCODE_BATCH)):
        encoded = foundation.encode_image(torch.stack(batch))
        batches.append((tuple(m.half() for m in encoded.maps), encoded.embedding))
        progress(stage, min(len(batches) * ENCODE_BATCH, total), total)
    maps = tuple(torch.cat(layer) for layer in zip(*(maps for maps, _ in batches), strict=True))
    return Features(maps, torch.cat([embedding for _, embedding in batches]), class_ids)
