"""The files of a data set on disk: which there are, which belong together, and samples that read them when asked."""

import functools
import os
from pathlib import Path

import numpy as np

from ltad.data import GOOD, Sample
from ltad.errors import DatasetError
from ltad.photos.decode import SUFFIXES, read_image, read_levels
from ltad.photos.masks import pair_masks, read_mask
from ltad.photos.pile import Photograph


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
    """List the images directly in a folder by name, told by their suffixes; none is opened."""
    return [path for path in visible(folder) if path.suffix.lower() in SUFFIXES and path.is_file()]


def masks_of(images: list[Path], folder: Path, suffix: str) -> dict[Path, Path]:
    """Map images to their masks in a folder that holds nothing else.

    Raises:
        DatasetError: a mask without its image or of two images, or two masks of one image.
    """
    masks = image_files(folder)
    pairs, problems = pair_masks(images, masks, suffix, beside=False)
    for _, problem in problems:
        raise DatasetError(problem)
    return {images[i]: masks[j] for i, j in pairs.items()}


def file_sample(path: Path, root: Path, class_name: str, defect: str = GOOD, mask: Path | None = None) -> Sample:
    """Make a sample of an image file somewhere in the folder ``root``, and of its mask where there is one."""
    return photograph_sample(Photograph(path.relative_to(root).as_posix(), path, mask), class_name, defect)


def photograph_sample(photograph: Photograph, class_name: str, defect: str = GOOD) -> Sample:
    """Make a sample of a photograph, under its name, and of its mask where it has one."""
    name, path, mask = photograph
    return Sample(
        name=name,
        class_name=class_name,
        defect=defect,
        read=functools.partial(read_image, path),
        read_mask=functools.partial(_read_mask, mask, path) if mask else None,
        read_levels=functools.partial(read_levels, path),
    )


def _read_mask(mask: Path, path: Path) -> np.ndarray:
    return read_mask(mask, read_image(path).size)
