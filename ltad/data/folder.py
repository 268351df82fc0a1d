"""Folders in the layout of MVTec AD, which VisA and others are also given in.

CLASS/train/good/*, CLASS/test/good/*, CLASS/test/DEFECT/*, and where there are masks
CLASS/ground_truth/DEFECT/STEM_mask.png or STEM.png. A folder with train/good in it is one class.
"""

import functools
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from ltad.data import GOOD, Dataset, Sample
from ltad.errors import DatasetError, ImageError
from ltad.images import open_photo

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})


def folder_dataset(root: str | os.PathLike[str]) -> Dataset:
    """List the images of a folder; none is opened yet, and the order is that of the names.

    Raises:
        DatasetError: no such folder, no class with training images, two masks for one image, or an image without its
            mask where its defect has masks, or a mask without its image.
    """
    root = Path(root)
    if not root.is_dir():
        raise DatasetError(f"There is no folder “{root}”. Give the folder that holds the classes.")
    folders = (
        [root] if (root / "train" / GOOD).is_dir() else [f for f in _sorted(root) if (f / "train" / GOOD).is_dir()]
    )
    train, test = [], []
    for folder in folders:
        names = {"class_name": folder.resolve().name, "prefix": "" if folder == root else f"{folder.name}/"}
        train += [_sample(path, folder, GOOD, None, **names) for path in _images(folder / "train" / GOOD)]
        test += _test_samples(folder, **names)
    if not train:
        looked_for = "a CLASS/train/good or a train/good with images in it"
        raise DatasetError(
            f"“{root}” holds no class: {looked_for} was looked for. Give the folder that holds the classes."
        )
    return Dataset(name=root.resolve().name, train=tuple(train), test=tuple(test))


def _test_samples(folder: Path, class_name: str, prefix: str) -> list[Sample]:
    """List one class's test images, the anomalous ones with their masks where there are any."""
    samples = []
    for kind in _sorted(folder / "test"):
        paths = _images(kind) if kind.is_dir() else []
        masks = {} if kind.name == GOOD else _masks(folder / "ground_truth" / kind.name, paths)
        for path in paths:
            read_mask = functools.partial(_read_mask, masks[path], path) if path in masks else None
            samples.append(_sample(path, folder, kind.name, read_mask, class_name, prefix))
    for kind in _sorted(folder / "ground_truth"):
        if kind.is_dir() and not (folder / "test" / kind.name).is_dir() and (masks := _images(kind)):
            raise DatasetError(f"The mask “{masks[0]}” has no image in “{folder / 'test' / kind.name}”. {_PAIR}")
    return samples


_PAIR = "Give each mask the name of its image, with or without “_mask”."


def _masks(folder: Path, images: list[Path]) -> dict[Path, Path]:
    """Pair the masks of one defect with its images; empty where the folder is missing."""
    if not folder.is_dir():
        return {}
    by_stem = {path.stem: path for path in images}
    pairs: dict[Path, Path] = {}
    for mask in _images(folder):
        image = by_stem.get(mask.stem) or by_stem.get(mask.stem.removesuffix("_mask"))
        if image is None:
            raise DatasetError(f"The mask “{mask}” has no image. {_PAIR}")
        if image in pairs:
            raise DatasetError(f"“{pairs[image]}” and “{mask}” are both masks of one image. Remove one of them.")
        pairs[image] = mask
    for image in images:
        if image not in pairs:
            raise DatasetError(f"“{image}” has no mask in “{folder}”. {_PAIR}")
    return pairs


def _sample(
    path: Path, folder: Path, defect: str, read_mask: Callable[[], np.ndarray] | None, class_name: str, prefix: str
) -> Sample:
    name = prefix + path.relative_to(folder).as_posix()
    read = functools.partial(_read, path)
    return Sample(name=name, class_name=class_name, defect=defect, read=read, read_mask=read_mask)


def _read(path: Path) -> Image.Image:
    return open_photo(path).image


def _read_mask(path: Path, image: Path) -> np.ndarray:
    """Return where the mask is over 0, after checking its size against the upright image's."""
    try:
        mask = np.asarray(open_photo(path).image).any(axis=2)
    except ImageError as error:
        raise DatasetError(f"The mask cannot be used: {error}") from error
    width, height = _read(image).size
    if mask.shape != (height, width):
        sizes = f"{mask.shape[1]} x {mask.shape[0]} pixels, its image {width} x {height}"
        raise DatasetError(f"The mask “{path}” has {sizes}. Make both the same size.")
    return mask


def _images(folder: Path) -> list[Path]:
    return [path for path in _sorted(folder) if path.suffix.lower() in EXTENSIONS and path.is_file()]


def _sorted(folder: Path) -> list[Path]:
    """List a folder by name, hidden entries left out; empty where it is missing."""
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if not path.name.startswith(".")), key=lambda path: path.name)
