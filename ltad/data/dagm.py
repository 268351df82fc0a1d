"""DAGM 2007: CLASS/Train/*.PNG and CLASS/Test/*.PNG, beside them Label/STEM_label.PNG of each defective image.

The classes are the folders Class1, Class2 and so on; some copies hold each once more, as in Class1/Class1/Train. The
labels are coarse ellipses around the defects.

Source: Wieler and Hahn, Weakly Supervised Learning for Industrial Optical Inspection, DAGM 2007.
"""

import os
from pathlib import Path, PurePath

from ltad.data import DEFECTIVE, GOOD, Dataset, Fault, Sample
from ltad.data.listing import existing_folder, fault_of, file_sample, image_files, masks_of, shown_name, visible
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

    Its faults are labels that fit no image or more than one, and classes without defect-free training images.

    Raises:
        DatasetError: no such folder, no class with defect-free training images, a part without its folder Label, or a
            Labels.txt that says otherwise than the label files.
    """
    root = existing_folder(root)
    train: list[Sample] = []
    test: list[Sample] = []
    faults: list[Fault] = []
    for folder in class_folders(root):
        (known, wrong), (tested, also) = (_samples(folder / part, root) for part in ("Train", "Test"))
        good = [sample for sample in known if not sample.label]
        faults += [*wrong, *also]
        if not good:
            faults.append(fault_of(folder, root, "This class has no defect-free training images. Copy it again."))
            continue
        train, test = [*train, *good], [*test, *tested]
    if not train:
        looked_for = "a Class1/Train with defect-free images in it"
        raise DatasetError(
            f"“{root}” holds no class: {looked_for} was looked for. Give the folder that holds the classes."
        )
    return Dataset(name=shown_name(root), train=tuple(train), test=tuple(test), faults=tuple(faults))


def _samples(part: Path, root: Path) -> tuple[list[Sample], list[Fault]]:
    """List the images of one class's Train or Test, and what is wrong with their labels."""
    images, labels = image_files(part), part / "Label"
    if images and not labels.is_dir():
        raise DatasetError(f"“{part}” has no folder “Label” to tell which images are defective. Copy it there.")
    masks, faults = masks_of({PurePath(image.name): image for image in images}, labels, root, "_label")
    doubtful = {fault.path.stem.removesuffix("_label") for fault in faults}  # or a defective one would be learned from
    sure = [image for image in images if image in masks or image.stem not in doubtful]
    if (labels / "Labels.txt").is_file():
        _check(labels / "Labels.txt", {image.stem: image in masks for image in sure})
    name = part.parent.name
    kinds = {image: DEFECTIVE if image in masks else GOOD for image in sure}
    return [file_sample(image, root, name, kind, masks.get(image)) for image, kind in kinds.items()], faults


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
