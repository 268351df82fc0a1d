"""The files of a data set on disk: which there are, which belong together, and samples that read them when asked."""

import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath

import numpy as np
from PIL import Image

from ltad.data import GOOD, Fault, Sample
from ltad.errors import DatasetError, ImageError
from ltad.photos.clutter import is_clutter, is_result, photographs_below
from ltad.photos.content import content_of
from ltad.photos.decode import SUFFIXES, open_photo, read_levels
from ltad.photos.levels import Levels
from ltad.photos.masks import MASK, pair_masks, read_mask
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


def shown_name(folder: Path) -> str:
    """A folder's name as its user sees it: a link's is its own, and “.” and “..” are called what they stand for."""
    return folder.resolve().name if folder.name in ("", "..") else folder.name


def visible(folder: Path) -> list[Path]:
    """List a folder by name, clutter left out; empty where it is missing."""
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if not is_clutter([path.name])), key=lambda path: path.name)


def image_files(folder: Path) -> list[Path]:
    """List the images directly in a folder by name, told by their suffixes; none is opened.

    A link that leads nowhere is one, too: whoever reads it says so.
    """
    named = (path for path in visible(folder) if path.suffix.lower() in SUFFIXES and not path.is_dir())
    return [path for path in named if not is_result(path)]


def images_below(folder: Path) -> list[Path]:
    """List the images anywhere below a folder by path, as ``image_files`` does; empty where it is missing."""
    return photographs_below(folder, SUFFIXES)


def masks_of(
    images: Mapping[PurePath, Path],
    folder: Path,
    root: Path,
    suffix: str = MASK,
    place: Callable[[PurePath], PurePath] = PurePath,
) -> tuple[dict[Path, Path], list[Fault]]:
    """Map images to their masks, which lie below a folder that holds nothing else.

    images: by the paths that masks have below the folder, as ``pair_masks`` compares them; where all masks lie directly
    in the folder, only names are. Returns, too, what is wrong: a mask without its image or of two images, or two masks
    of one image.
    """
    masks, paths = images_below(folder), [*images]
    named = [mask.relative_to(folder) for mask in masks]
    beside = any(len(name.parts) > 1 for name in named)
    pairs, problems = pair_masks(paths, named, suffix, beside=beside, place=place)
    faults = [fault_of(masks[mark], root, reason) for mark, reason in problems]
    return {images[paths[own]]: masks[mark] for own, mark in pairs.items()}, faults


def fault_of(path: Path, root: Path, reason: str) -> Fault:
    """What is wrong with a file or folder somewhere in the folder ``root``, or with that itself."""
    return Fault(path.relative_to(root).as_posix() if path != root else shown_name(root), path, reason)


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
        read=functools.partial(_read, path),
        read_mask=functools.partial(_read_mask, mask, path) if mask else None,
        read_levels=functools.partial(read_levels, path),
        file=photograph,
    )


def _read(path: Path, levels: Levels | None = None) -> Image.Image:
    try:
        return open_photo(content_of(path), levels).image
    except ImageError as error:
        raise ImageError(f"“{path}” cannot be used: {error}") from error


def _read_mask(mask: Path, path: Path) -> np.ndarray:
    size = _read(path).size
    try:
        return read_mask(mask, size)
    except DatasetError as error:
        raise DatasetError(f"“{mask}” cannot be used: {error}") from error
