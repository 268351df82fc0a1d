"""The files of a data set on disk: which there are, which belong together, and samples that read them when asked."""

import functools
import os
from pathlib import Path

import numpy as np
from PIL import Image

from ltad.data import GOOD, Sample
from ltad.errors import DatasetError, ImageError
from ltad.images import open_photo

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})


def existing_folder(root: str | os.PathLike[str]) -> Path:
    """Return the folder of a data set.

    Raises:
        DatasetError: it is not there, or no folder.
    """
    root = Path(root)
    if not root.is_dir():
        raise DatasetError(f"There is no folder “{root}”. Give the folder that holds the classes.")
    return root


def visible(folder: Path) -> list[Path]:
    """List a folder by name, hidden entries left out; empty where it is missing."""
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if not path.name.startswith(".")), key=lambda path: path.name)


def image_files(folder: Path) -> list[Path]:
    """List the images directly in a folder by name, told by ``EXTENSIONS``; none is opened."""
    return [path for path in visible(folder) if path.suffix.lower() in EXTENSIONS and path.is_file()]


def pair_masks(images: list[Path], folder: Path, suffix: str) -> dict[Path, Path]:
    """Map images to their masks in a folder: those of the same stem, with or without the suffix.

    Raises:
        DatasetError: a mask without its image, two masks of one image, or two images of one stem.
    """
    masks = image_files(folder)
    by_stem: dict[str, Path] = {}
    for image in images if masks else ():
        if by_stem.setdefault(image.stem, image) != image:
            both = f"“{by_stem[image.stem]}” and “{image}”"
            raise DatasetError(f"The masks in “{folder}” cannot tell {both} apart. Rename or remove one of them.")
    pairs: dict[Path, Path] = {}
    for mask in masks:
        image = by_stem.get(mask.stem) or by_stem.get(mask.stem.removesuffix(suffix))
        if image is None:
            raise DatasetError(f"The mask “{mask}” has no image. {how_to_name(suffix)}")
        if image in pairs:
            raise DatasetError(f"“{pairs[image]}” and “{mask}” are both masks of one image. Remove one of them.")
        pairs[image] = mask
    return pairs


def how_to_name(suffix: str) -> str:
    """Return the sentence that tells what ``pair_masks`` expects."""
    return f"Give each mask the name of its image, with or without “{suffix}”."


def file_sample(path: Path, root: Path, class_name: str, defect: str = GOOD, mask: Path | None = None) -> Sample:
    """Make a sample of an image file somewhere in the folder ``root``, and of its mask where there is one."""
    return Sample(
        name=path.relative_to(root).as_posix(),
        class_name=class_name,
        defect=defect,
        read=functools.partial(_read, path),
        read_mask=functools.partial(_read_mask, mask, path) if mask else None,
    )


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
