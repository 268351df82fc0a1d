"""What a run that trains many models does once: decode the images, and encode them."""

from collections.abc import Iterable
from dataclasses import replace
from functools import cache

from PIL import Image

from ltad.data import Dataset, Sample
from ltad.foundation import FoundationModel
from ltad.foundation.features import ENCODE_BATCH, Encoder
from ltad.photos.frame import resize_mask
from ltad.progress import Progress, Stage


def shrink(dataset: Dataset, size: int) -> Dataset:
    """Bring photographs and masks to the side of a foundation model's input, each when first asked for, and keep them.

    Resizing them again changes nothing, so whoever reads them cannot tell the difference.
    """
    return replace(
        dataset,
        train=tuple(_shrunk(sample, size) for sample in dataset.train),
        test=tuple(_shrunk(sample, size) for sample in dataset.test),
    )


def _shrunk(sample: Sample, size: int) -> Sample:
    read, read_mask = sample.read, sample.read_mask
    return replace(
        sample,
        read=cache(lambda: read().resize((size, size), Image.Resampling.BILINEAR)),
        read_mask=cache(lambda: resize_mask(read_mask(), size)) if read_mask else None,
    )


def encode_once(foundation: FoundationModel, splits: Iterable[Dataset], progress: Progress) -> Encoder:
    """Encode every image that one of the splits has, and give the encoder that remembers them.

    So what a method's training takes is measured without the encoding.
    """
    encoder = Encoder(foundation, {})
    samples = list(dict.fromkeys(sample for split in splits for sample in (*split.train, *split.test)))
    for start in range(0, len(samples), ENCODE_BATCH):
        chunk = samples[start : start + ENCODE_BATCH]
        encoder.encode(encoder.tensors([sample.read() for sample in chunk]))
        progress(Stage("encode once"), start + len(chunk), len(samples))
    return encoder
