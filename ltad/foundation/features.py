"""From pictures to what the frozen image tower sees of them: the one place that asks it, and asks only once.

What the tower says of a picture depends on the picture and the tower alone, so it can be remembered under both.
"""

import hashlib
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from itertools import islice
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from ltad.foundation.base import Detail, FoundationModel, ImageFeatures
from ltad.machine import CPU
from ltad.photos.frame import fine_size, to_bytes
from ltad.progress import Progress, Stage

ENCODE_BATCH = 16  # images

Row = tuple[Tensor, ...]  # one image's maps (C, h, w) in half precision, then its embedding (J,); or a fine map alone
Store = MutableMapping[str, Row]


class Views(NamedTuple):
    """B pictures as a tower takes them: whole (B, 3, S, S) in [0, 1], and each finely (3, H, W), if it is asked for.

    A fine view keeps the picture's proportions, and is larger; its values are bytes. It has no pixels where a picture
    is not looked at finely.
    """

    whole: Tensor
    fine: tuple[Tensor, ...] = ()

    @classmethod
    def joined(cls, views: Sequence["Views"]) -> "Views":
        """All of them, one after the other."""
        return cls(torch.cat([each.whole for each in views]), tuple(fine for each in views for fine in each.fine))

    def map(self, change: Callable[[Tensor], Tensor]) -> "Views":
        """The same views, each (3, H, W) changed."""
        return Views(torch.stack([change(image) for image in self.whole]), tuple(map(change, self.fine)))


class Features(NamedTuple):
    """Features of n images of given classes: maps per stride (n, C, h, w) in half precision, embeddings (n, J).

    fine: n maps (C, h, w) of what was seen finely, each of its own size, or of none; no maps where nothing was.
    They lie in host memory, however many there are, and go to a device batch by batch.
    """

    maps: tuple[Tensor, ...]
    embeddings: Tensor
    class_ids: Tensor
    fine: tuple[Tensor, ...] = ()

    def take(self, indices: Tensor) -> "Features":
        """Some of the images, as they are stored."""
        fine = tuple(self.fine[i] for i in indices.tolist()) if self.fine else ()
        return Features(tuple(m[indices] for m in self.maps), self.embeddings[indices], self.class_ids[indices], fine)

    def join(self, other: "Features") -> "Features":
        """These images, then the others."""
        maps = tuple(torch.cat(layers) for layers in zip(self.maps, other.maps, strict=True))
        embeddings, class_ids = (
            torch.cat([self.embeddings, other.embeddings]),
            torch.cat([self.class_ids, other.class_ids]),
        )
        return Features(maps, embeddings, class_ids, self.fine + other.fine)

    def batch(self, indices: Tensor, device: torch.device = CPU) -> "Features":
        """Some of the images in full precision on a device, to compute with."""
        maps, embeddings, class_ids, fine = self.take(indices)
        moved = (tuple(m.to(device).float() for m in several) for several in (maps, fine))
        return Features(next(moved), embeddings.to(device), class_ids.to(device), next(moved))


class Encoder:
    """The image tower of a foundation model, and what it has said before.

    store: where features are kept, about 200 KB an image at 256 px, in host memory or on disk; None = nowhere. With
    one, every answer is given in the precision in which training caches features: half. detail: how finely pictures
    are seen, too; None = only whole.
    """

    def __init__(
        self, foundation: FoundationModel, store: Store | None = None, *, detail: Detail | None = None
    ) -> None:
        self.foundation, self.store, self.detail = foundation, store, detail

    @property
    def whole(self) -> "Encoder":
        """The same that sees pictures only whole."""
        return Encoder(self.foundation, self.store) if self.detail else self

    def views(self, pictures: Sequence[Image.Image], finely: Sequence[Image.Image] | None = None) -> Views:
        """B upright RGB pictures as the tower takes them, in host memory.

        finely: B others that are seen finely in their place; where they are none, these are not looked at finely.
        """
        side, shown = self.foundation.fingerprint.image_size, pictures if finely is None else finely
        if self.detail:
            fine = tuple(to_bytes(picture, *self.fine_size(picture.size)) for picture in shown)
            fine = fine or (torch.empty(3, 0, 0, dtype=torch.uint8),) * len(pictures)
        else:
            fine = ()
        return Views(torch.stack([to_bytes(picture, side, side) for picture in pictures]).float() / 255, fine)

    def fine_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """The size (width, height) at which a picture of a size is seen finely."""
        if self.detail is None:
            raise ValueError("nothing is seen finely where no detail is asked for")
        side, stride = self.foundation.fingerprint.image_size, self.foundation.strides[self.detail.layer]
        return fine_size(size, self.detail.times * side, stride)

    def encode(self, views: Views) -> ImageFeatures:
        """What the tower says of pictures, on its device; those in the store it sees no more."""
        whole = self._encode_whole(views.whole)
        return whole._replace(fine=tuple(self._encode_finely(image) for image in views.fine))

    def _encode_whole(self, images: Tensor) -> ImageFeatures:
        if self.store is None:
            return self.foundation.encode_image(images)
        keys = [self.key(image) for image in images]
        new = {key: i for i, key in enumerate(keys) if key not in self.store}
        if new:
            for key, row in zip(new, _rows(self.foundation.encode_image(images[list(new.values())])), strict=True):
                self.store[key] = row
        rows = zip(*(self.store[key] for key in keys), strict=True)
        *maps, embedding = (torch.stack(parts).to(self.foundation.device) for parts in rows)
        return ImageFeatures(tuple(m.float() for m in maps), embedding)

    def _encode_finely(self, image: Tensor) -> Tensor:
        if self.detail is None:
            raise ValueError("a fine view needs a detail")
        if not image.numel():
            return torch.empty(self.foundation.channels[self.detail.layer], 0, 0, device=self.foundation.device)
        if self.store is None:
            return self.foundation.fine_map(image.float() / 255, self.detail.layer)
        key = self.key(image, f"layer {self.detail.layer}/")
        if key not in self.store:
            self.store[key] = (self.foundation.fine_map(image.float() / 255, self.detail.layer).half().cpu(),)
        return self.store[key][0].to(self.foundation.device).float()

    def features(
        self, views: Iterable[Views], class_ids: Tensor, stage: Stage, progress: Progress, *, keep: bool = True
    ) -> Features:
        """Encode views, each of one picture, of the given classes (n,), a batch at a time as they come.

        keep: whether they go into the store; not where nobody will ask for them again.
        """
        encoder = self if keep else Encoder(self.foundation, detail=self.detail)
        seen, rest, total = list[ImageFeatures](), iter(views), len(class_ids)
        while batch := tuple(islice(rest, ENCODE_BATCH)):
            maps, embedding, fine = encoder.encode(Views.joined(batch))
            kept = (tuple(m.half().cpu() for m in several) for several in (maps, fine))
            seen.append(ImageFeatures(next(kept), embedding.cpu(), next(kept)))
            progress(stage, min(len(seen) * ENCODE_BATCH, total), total)
        maps = tuple(torch.cat(layer) for layer in zip(*(each.maps for each in seen), strict=True))
        fine = tuple(fine for each in seen for fine in each.fine)
        return Features(maps, torch.cat([each.embedding for each in seen]), class_ids, fine)

    def key(self, image: Tensor, what: str = "") -> str:
        """Under what the store has an image (3, h, w); what: is asked of it, if not all."""
        fingerprint = self.foundation.fingerprint
        digest = hashlib.sha256(f"{fingerprint.sha256}/{fingerprint.image_size}/{what}".encode())
        if what:
            digest.update(f"{tuple(image.shape)}/".encode())
        digest.update(image.cpu().contiguous().numpy().data)
        return digest.hexdigest()


def _rows(encoded: ImageFeatures) -> list[Row]:
    maps, embeddings = [m.half().cpu() for m in encoded.maps], encoded.embedding.cpu()
    return [(*(m[i].clone() for m in maps), embeddings[i].clone()) for i in range(len(embeddings))]
