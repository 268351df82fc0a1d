"""Folders in the layout of MVTec AD, which others are also given in.

CLASS/train/good/*, CLASS/test/good/*, CLASS/test/DEFECT/*, and where there are masks
CLASS/ground_truth/DEFECT/STEM_mask.png or STEM.png. A folder with train/good in it is one class.
"""

import os
from pathlib import Path

from ltad.data import GOOD, Dataset, Sample
from ltad.data.listing import existing_folder, file_sample, image_files, masks_of, visible
from ltad.errors import DatasetError
from ltad.photos.masks import MASK, how_to_name


def class_folders(root: Path) -> list[Path]:
    """List the folders that hold train/good: the root itself, or some of those in it."""
    if (root / "train" / GOOD).is_dir():
        return [root]
    return [folder for folder in visible(root) if (folder / "train" / GOOD).is_dir()]


def folder_dataset(root: str | os.PathLike[str]) -> Dataset:
    """List the images of a folder; none is opened yet, and the order is that of the names.

    Raises:
        DatasetError: no such folder, no class with training images, two masks for one image, or an image without its
            mask where its defect has masks, or a mask without its image.
    """
    root = existing_folder(root)
    train, test = [], []
    for folder in class_folders(root):
        class_name = folder.resolve().name
        train += [file_sample(path, root, class_name) for path in image_files(folder / "train" / GOOD)]
        test += _test_samples(folder, root, class_name)
    if not train:
        looked_for = "a CLASS/train/good or a train/good with images in it"
        raise DatasetError(
            f"“{root}” holds no class: {looked_for} was looked for. Give the folder that holds the classes."
        )
    return Dataset(name=root.resolve().name, train=tuple(train), test=tuple(test))


def _test_samples(folder: Path, root: Path, class_name: str) -> list[Sample]:
    """List one class's test images, the anomalous ones with their masks where there are any."""
    samples = []
    for kind in visible(folder / "test"):
        paths = image_files(kind)
        masks = {} if kind.name == GOOD else _masks(paths, folder / "ground_truth" / kind.name)
        samples += [file_sample(path, root, class_name, kind.name, masks.get(path)) for path in paths]
    for kind in visible(folder / "ground_truth"):
        if not (folder / "test" / kind.name).is_dir() and (alone := image_files(kind)):
            where = folder / "test" / kind.name
            raise DatasetError(f"The mask “{alone[0]}” has no image in “{where}”. {how_to_name(MASK)}")
    return samples


def _masks(images: list[Path], folder: Path) -> dict[Path, Path]:
    """Pair all images of one defect with their masks; empty where the folder is missing."""
    pairs = masks_of(images, folder, MASK)
    for image in images if folder.is_dir() else ():
        if image not in pairs:
            raise DatasetError(f"“{image}” has no mask in “{folder}”. {how_to_name(MASK)}")
    return pairs
