"""DAGM 2007: CLASS/Train/*.PNG and CLASS/Test/*.PNG, beside them Label/STEM_label.PNG of each defective image.

The classes are the folders Class1, Class2 and so on; some copies hold each once more, as in Class1/Class1/Train. The
labels are coarse ellipses around the defects.

Source: Wieler and Hahn, Weakly Supervised Learning for Industrial Optical Inspection, DAGM 2007.
"""

import os
from pathlib import Path

from ltad.data import DEFECTIVE, GOOD, Dataset, Sample
from ltad.data.listing import existing_folder, file_sample, image_files, masks_of, visible
from ltad.errors import DatasetError


def class_folders(root: Path) -> list[Path]:
    """List the folders that hold Train: those named Class… or, in each, another of the same name.

    Names are compared letter by letter, also where the file system would not: “train” is MVTec AD's.
    """
    outer = [folder for folder in visible(root) if folder.name.startswith("Class")]
    both = [inner for folder in outer for inner in (folder, folder / folder.name)]
    return [folder for folder in both if folder / "Train" in visible(folder)]


def dagm_dataset(root: str | os.PathLike[str]) -> Dataset:
    """List the images, by name; none is opened yet, and the only kind of defect is ``DEFECTIVE``.

    An image with a label file is defective. Defective images in Train are left out.

    Raises:
        DatasetError: no such folder, no class with defect-free training images, a part without its folder Label, a
            label without its image, or a Labels.txt that says otherwise than the label files.
    """
    root = existing_folder(root)
    train, test = [], []
    for folder in class_folders(root):
        train += [sample for sample in _samples(folder / "Train", root) if not sample.label]
        test += _samples(folder / "Test", root)
    if not train:
        looked_for = "a Class1/Train with defect-free images in it"
        raise DatasetError(
            f"“{root}” holds no class: {looked_for} was looked for. Give the folder that holds the classes."
        )
    return Dataset(name=root.resolve().name, train=tuple(train), test=tuple(test))


def _samples(part: Path, root: Path) -> list[Sample]:
    """List the images of one class's Train or Test."""
    images, labels = image_files(part), part / "Label"
    if images and not labels.is_dir():
        raise DatasetError(f"“{part}” has no folder “Label” to tell which images are defective. Copy it there.")
    masks = masks_of(images, labels, "_label")
    if (labels / "Labels.txt").is_file():
        _check(labels / "Labels.txt", {image.stem: image in masks for image in images})
    name = part.parent.name
    return [file_sample(image, root, name, DEFECTIVE if image in masks else GOOD, masks.get(image)) for image in images]


def _check(path: Path, has_label: dict[str, bool]) -> None:
    """Compare Labels.txt with the label files, for the images that are there.

    After a first line with a number, its columns are a number, 1 for defective or 0, the image, and others.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"“{path}” cannot be read. Copy it from the data set again.") from error
    for number, columns in enumerate(map(str.split, lines), start=1):
        if number == 1 or not columns:
            continue
        if len(columns) < 3 or columns[1] not in ("0", "1"):
            expected = "a number, 1 for defective or 0, and the name of an image"
            raise DatasetError(f"Line {number} of “{path}” is not {expected}. Copy it from the data set again.")
        is_defective = columns[1] == "1"
        if has_label.get(Path(columns[2]).stem, is_defective) != is_defective:
            said, there = ("defective", "no label file") if is_defective else ("free of defects", "a label file")
            message = f"Line {number} of “{path}” calls “{columns[2]}” {said}, but it has {there}"
            raise DatasetError(f"{message}. Copy both from the data set again.")
