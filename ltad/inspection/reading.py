"""Photographs on their way to a predictor: decoded a few at a time, while those before them are scored."""

import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from ltad.errors import ImageError
from ltad.foundation.features import Encoder
from ltad.machine import CPU
from ltad.photos.decode import MAX_PIXELS, Photo, open_photo

Source = str | os.PathLike[str] | bytes | BinaryIO | Image.Image  # of a photograph
BATCH = 8  # photographs that are scored together; more would make the first ones wait
BATCH_PIXELS = MAX_PIXELS  # of photographs that are scored together: of large ones fewer are


class Opened(NamedTuple):
    """What was read together: photographs, and in the place of what is none, what is wrong with it.

    photos: those that are photographs. images: (B, 3, S, S), as the tower takes them. seconds: that all this took.
    """

    read: list[Photo | ImageError]
    photos: list[Photo]
    images: Tensor
    seconds: float

    @classmethod
    def of(cls, sources: Iterable[Source], encoder: Encoder) -> "Opened":
        """Read as many as may be scored together."""
        start, read, pixels = time.perf_counter(), list[Photo | ImageError](), 0
        for source in sources:
            try:
                photo = open_photo(source)
                pixels += photo.image.width * photo.image.height
                read.append(photo)
            except ImageError as error:
                read.append(error)
            if len(read) == BATCH or pixels >= BATCH_PIXELS:
                break
        photos = [each for each in read if isinstance(each, Photo)]
        images = encoder.tensors([photo.image for photo in photos]) if photos else torch.empty(0, device=CPU)
        return cls(read, photos, images, time.perf_counter() - start)


def read_ahead(sources: Iterable[Source], encoder: Encoder) -> Iterator[Opened]:
    """Read photographs by batches; while one batch is used, the next one is read."""
    remaining = iter(sources)
    with ThreadPoolExecutor(1, thread_name_prefix="read") as reader:
        opened = Opened.of(remaining, encoder)
        while opened.read:
            coming = reader.submit(Opened.of, remaining, encoder)
            yield opened
            opened = coming.result()
