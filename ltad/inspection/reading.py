"""Photographs on their way to a predictor: decoded a few at a time, while those before them are scored."""

import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO, NamedTuple

import torch
from PIL import Image

from ltad.errors import ImageError
from ltad.foundation.features import Encoder, Views
from ltad.machine import CPU
from ltad.photos.decode import MAX_PIXELS, Photo, open_photo
from ltad.photos.levels import Levels

Source = str | os.PathLike[str] | bytes | BinaryIO | Image.Image  # of a photograph
BATCH = 8  # photographs that are scored together; more would make the first ones wait
BATCH_PIXELS = MAX_PIXELS  # of photographs that are scored together: of large ones fewer are


class Opened(NamedTuple):
    """What was read together: photographs, and in the place of what is none, what is wrong with it.

    sources, photos: of those that are photographs. views: as the tower takes them. seconds: that all
    this took.
    """

    read: list[Photo | ImageError]
    sources: list[Source]
    photos: list[Photo]
    views: Views
    seconds: float

    @classmethod
    def of(cls, sources: Iterable[Source], encoder: Encoder, levels: Levels | None = None) -> "Opened":
        """Read as many as may be scored together; levels: by which those of more than 8 bits are shown."""
        start, read, pixels = time.perf_counter(), list[Photo | ImageError](), 0
        good: list[Source] = []
        for source in sources:
            try:
                photo = open_photo(source, levels)
                pixels += photo.image.width * photo.image.height
                read.append(photo)
                good.append(source)
            except ImageError as error:
                read.append(error)
            if len(read) == BATCH or pixels >= BATCH_PIXELS:
                break
        photos = [each for each in read if isinstance(each, Photo)]
        views = encoder.views([photo.image for photo in photos]) if photos else Views(torch.empty(0, device=CPU))
        return cls(read, good, photos, views, time.perf_counter() - start)

    def again(self, i: int, encoder: Encoder, levels: Levels) -> "Opened":
        """Read the i-th photograph once more, by other levels."""
        source = self.sources[i]
        if not isinstance(source, str | os.PathLike | bytes | Image.Image):
            source.seek(0)
        return Opened.of([source], encoder, levels)


def read_ahead(sources: Iterable[Source], encoder: Encoder, levels: Levels | None) -> Iterator[Opened]:
    """Read photographs by batches; while one batch is used, the next one is read. levels: as in ``Opened.of``."""
    remaining = iter(sources)
    with ThreadPoolExecutor(1, thread_name_prefix="read") as reader:
        opened = Opened.of(remaining, encoder, levels)
        while opened.read:
            coming = reader.submit(Opened.of, remaining, encoder, levels)
            yield opened
            opened = coming.result()
