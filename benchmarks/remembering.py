"""What a run that trains many models does once: decode the images, and encode them."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ltad import images
from ltad.data import Dataset, Sample
from ltad.features import ENCODE_BATCH, Progress
from ltad.foundation import FoundationModel, ImageFeatures

Row = tuple[Tensor, ...]  # an image's maps, then its embedding


def shrink(dataset: Dataset, size: int) -> Dataset:
    """Bring photographs and masks to the side of a foundation model's input, each when first asked for, and keep them.

    Resizing them again changes nothing, so whoever reads them cannot tell the difference.
    """
    return replace(
        dataset,
        train=tuple(_shrunk(sample, size) for sample in dataset.train),
        test=tuple(_shrunk(sample, size) for sample in dataset.test),
    )


def samples_of(splits: Iterable[Dataset]) -> list[Sample]:
    """Every image that one of the splits has, once."""
    return list(dict.fromkeys(sample for split in splits for sample in (*split.train, *split.test)))


def _shrunk(sample: Sample, size: int) -> Sample:
    read, read_mask = sample.read, sample.read_mask
    return replace(
        sample,
        read=cache(lambda: read().resize((size, size), Image.Resampling.BILINEAR)),
        read_mask=cache(lambda: images.resize_mask(read_mask(), size)) if read_mask else None,
    )


class Remembering:
    """A foundation model that has seen a data set: whoever asks about one of its images gets the very same features.

    Everything that the foundation model is, with the features of the samples encoded once and kept.

    An image is known by its content and on its own, so that any batch of known ones is answered without the tower.
    Features are kept, and given, in the precision that training caches them in: half, about 200 KB an image. Images
    of no sample, such as turned copies, are encoded and not kept.
    """

    def __init__(self, foundation: FoundationModel, samples: Sequence[Sample], progress: Progress) -> None:
        self._foundation = foundation
        self._known: dict[bytes, Row] = {}
        size = foundation.fingerprint.image_size
        for start in range(0, len(samples), ENCODE_BATCH):
            chunk = samples[start : start + ENCODE_BATCH]
            batch = torch.stack([images.to_tensor(sample.read(), size) for sample in chunk])
            self._known |= zip(map(_key, batch), self._rows(batch), strict=True)
            progress("encode once", start + len(chunk), len(samples))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._foundation, name)

    def encode_image(self, batch: Tensor) -> ImageFeatures:
        """Recall the images (B, 3, S, S), and encode those that are new."""
        keys = [_key(image) for image in batch]
        new = [i for i, key in enumerate(keys) if key not in self._known]
        fresh = dict(zip(new, self._rows(batch[new]), strict=True)) if new else {}
        rows = [fresh[i] if i in fresh else self._known[key] for i, key in enumerate(keys)]
        *maps, embedding = (torch.stack(parts) for parts in zip(*rows, strict=True))
        return ImageFeatures(tuple(m.float() for m in maps), embedding)

    def _rows(self, batch: Tensor) -> Iterator[Row]:
        maps, embedding = self._foundation.encode_image(batch)
        for i in range(len(batch)):
            yield (*(m[i].half() for m in maps), embedding[i].clone())


def _key(image: Tensor) -> bytes:
    return hashlib.sha256(image.contiguous().numpy()).digest()
