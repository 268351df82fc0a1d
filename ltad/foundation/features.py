"""From pictures to what the frozen image tower sees of them: the one place that asks it, and asks only once.

What the tower says of a picture depends on the picture and the tower alone, so it can be remembered under both.
"""

import hashlib
from collections.abc import Iterable, MutableMapping, Sequence
from itertools import islice
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from ltad.foundation.base import FoundationModel, ImageFeatures
from ltad.machine import CPU
from ltad.photos.frame import to_tensor
from ltad.progress import Progress, Stage

ENCODE_BATCH = 16  # images

Row = tuple[Tensor, ...]  # one image's maps (C, h, w) in half precision, then its embedding (J,)
Store = MutableMapping[str, Row]


class Features(NamedTuple):
    """Features of n images of given classes: maps per stride (n, C, h, w) in half precision, embeddings (n, J).

    They lie in host memory, however many there are, and go to a device batch by batch.
    """

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

    def batch(self, indices: Tensor, device: torch.device = CPU) -> "Features":
        """Some of the images in full precision on a device, to compute with."""
        maps, embeddings, class_ids = self.take(indices)
        return Features(tuple(m.to(device).float() for m in maps), embeddings.to(device), class_ids.to(device))


class Encoder:
    """The image tower of a foundation model, and what it has said before.

    store: where features are kept, about 200 KB an image at 256 px, in host memory or on disk; None = nowhere. With
    one, every answer is given in the precision in which training caches features: half.
    """

    def __init__(self, foundation: FoundationModel, store: Store | None = None) -> None:
        self.foundation = foundation
        self.store = store

    def tensors(self, pictures: Sequence[Image.Image]) -> Tensor:
        """B upright RGB pictures as the tower takes them: (B, 3, S, S) in [0, 1], in host memory."""
        return torch.stack([to_tensor(picture, self.foundation.fingerprint.image_size) for picture in pictures])

    def encode(self, images: Tensor) -> ImageFeatures:
        """What the tower says of images (B, 3, S, S) in [0, 1], on its device; those in the store it sees no more."""
        if self.store is None:
            return self.foundation.encode_image(images)
        keys = [self._key(image) for image in images]
        new = {key: i for i, key in enumerate(keys) if key not in self.store}
        if new:
            for key, row in zip(new, _rows(self.foundation.encode_image(images[list(new.values())])), strict=True):
                self.store[key] = row
        rows = zip(*(self.store[key] for key in keys), strict=True)
        *maps, embedding = (torch.stack(parts).to(self.foundation.device) for parts in rows)
        return ImageFeatures(tuple(m.float() for m in maps), embedding)

    def features(
        self, images: Iterable[Tensor], class_ids: Tensor, stage: Stage, progress: Progress, *, keep: bool = True
    ) -> Features:
        """Encode images (3, S, S) of the given classes (n,), a batch at a time as they come.

        keep: whether they go into the store; not where nobody will ask for them again.
        """
        encoder = self if keep else Encoder(self.foundation)
        batches, rest, total = [], iter(images), len(class_ids)
        while batch := tuple(islice(rest, ENCODE_BATCH)):
            encoded = encoder.encode(torch.stack(batch))
            batches.append((tuple(m.half().cpu() for m in encoded.maps), encoded.embedding.cpu()))
            progress(stage, min(len(batches) * ENCODE_BATCH, total), total)
        maps = tuple(torch.cat(layer) for layer in zip(*(maps for maps, _ in batches), strict=True))
        return Features(maps, torch.cat([embedding for _, embedding in batches]), class_ids)

    def _key(self, image: Tensor) -> str:
        fingerprint = self.foundation.fingerprint
        digest = hashlib.sha256(f"{fingerprint.sha256}/{fingerprint.image_size}/".encode())
        digest.update(image.cpu().contiguous().numpy().data)
        return digest.hexdigest()


def _rows(encoded: ImageFeatures) -> list[Row]:
    maps, embeddings = [m.half().cpu() for m in encoded.maps], encoded.embedding.cpu()
    return [(*(m[i].clone() for m in maps), embeddings[i].clone()) for i in range(len(embeddings))]
