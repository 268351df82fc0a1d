"""What a run that trains many models does once: decode the images, change them harmlessly, and encode them."""

from collections import ChainMap
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

from PIL import Image

from ltad.data import Dataset, Sample
from ltad.evaluation.harmless import harmlessly_changed
from ltad.foundation import FoundationModel
from ltad.foundation.features import ENCODE_BATCH, Encoder, Store
from ltad.foundation.store import FeatureFolder
from ltad.photos.frame import resize_mask
from ltad.progress import Progress, Stage


def shrink(dataset: Dataset, size: int) -> Dataset:
    """Bring photographs and masks to the side of a foundation model's input, each when first asked for, and keep them.

    Resizing them again changes nothing, so whoever reads them cannot tell the difference, but for what is measured of
    their pixels: that is measured on this square.
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
        read_mask=cache(lambda: resize_mask(read_mask(), size, size)) if read_mask else None,
        read_levels=None,
    )


def changed_once(dataset: Dataset, size: int, folder: Path) -> Dataset:
    """The test images as the evaluation changes them harmlessly, from photographs at their own size.

    Each is changed when first asked for, brought to the side of a foundation model's input, and kept in the folder:
    in memory they would take as much again as the test images do.
    """
    changed = [harmlessly_changed(sample) for sample in dataset.test]
    kept = (partial(_kept, sample.read, size, folder / f"{i}.png") for i, sample in enumerate(changed))
    return replace(dataset, test=tuple(replace(s, read=read) for s, read in zip(changed, kept, strict=True)))


def _kept(read: Callable[[], Image.Image], size: int, path: Path) -> Image.Image:
    if not path.exists():
        read().resize((size, size), Image.Resampling.BILINEAR).save(path, compress_level=1)
    with Image.open(path) as picture:
        return picture.convert("RGB")


def encode_once(
    foundation: FoundationModel, splits: Iterable[Dataset], progress: Progress, aside: Path | None = None
) -> Encoder:
    """Encode every image that one of the splits has, and give the encoder that remembers them.

    So what a method's training takes is measured without the encoding. aside: a folder for what is encoded later, about
    200 KB an image, which lies in memory otherwise.
    """
    store: Store = {}
    encoder = Encoder(foundation, store)
    samples = list(dict.fromkeys(sample for split in splits for sample in (*split.train, *split.test)))
    for start in range(0, len(samples), ENCODE_BATCH):
        chunk = samples[start : start + ENCODE_BATCH]
        encoder.encode(encoder.views([sample.read() for sample in chunk]))
        progress(Stage("encode once"), start + len(chunk), len(samples))
    return encoder if aside is None else Encoder(foundation, ChainMap(FeatureFolder(aside), store))
