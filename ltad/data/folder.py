"""Folders as people have them: a class, or several in one folder.

A class is a folder in one of these shapes, where GOOD stands for good, OK or normal, DEFECT for whatever else a folder
is called, and letter case for nothing:

- train/GOOD, test/GOOD, test/DEFECT, as in MVTec AD;
- GOOD, DEFECT: a share of the good photographs is held out for testing;
- photographs, all good, and no folders: the same. The folder of several classes cannot tell such from others.

Where there are masks, they are ground_truth/DEFECT/STEM_mask.png or STEM.png, or beside their photograph STEM_mask.png.
"""

import os
from pathlib import Path

from ltad.data import Dataset, Fault, Sample
from ltad.data.held_out import in_words
from ltad.data.listing import existing_folder, fault_of, image_files, images_below, shown_name, visible
from ltad.data.parts import flat_parts, is_sorted, parts_of
from ltad.errors import DatasetError


def class_folders(root: Path) -> list[Path]:
    """List the folders that are classes: the root itself, or some of those in it."""
    if is_sorted(root):
        return [root]
    return [folder for folder in visible(root) if is_sorted(folder)] or ([root] if image_files(root) else [])


def folder_dataset(root: str | os.PathLike[str]) -> Dataset:
    """List the images of a folder; none is opened yet, and the order is that of the names.

    Its faults are masks that fit no image or more than one, classes without images, and folders of images that are no
    class. Raises DatasetError where there is no such folder, or no class with good images in it.
    """
    root = existing_folder(root)
    folders = class_folders(root)
    train: list[Sample] = []
    test: list[Sample] = []
    faults = _foreign(root, folders)
    held_out: dict[str, tuple[int, int]] = {}
    for folder in folders:
        name, parts = shown_name(folder), parts_of(folder, root) if is_sorted(folder) else flat_parts(folder)
        faults += parts.faults
        if not parts.train:
            faults.append(fault_of(folder, root, "This class has no good photographs. Add some, or move it elsewhere."))
            continue
        if not parts.is_split:
            parts, held_out[name] = parts.held_out()
        own = parts.samples(name, folder.relative_to(root))
        train, test = [*train, *own[0]], [*test, *own[1]]
    if not train:
        looked_for = "good photographs in OK, good or train/good, of it or of each class in it,"
        raise DatasetError(
            f"“{root}” holds no class: {looked_for} were looked for. Give the folder that holds the classes."
        )
    notes = (in_words(held_out),) if held_out else ()
    return Dataset(name=shown_name(root), train=tuple(train), test=tuple(test), faults=tuple(faults), notes=notes)


def _foreign(root: Path, folders: list[Path]) -> list[Fault]:
    """The folders of images beside those that are classes."""
    others = [path for path in visible(root) if path.is_dir() and path not in folders] if root not in folders else []
    reason = "It holds photographs, but not as a class. Put its good ones into a folder “OK” there, or move it away."
    return [fault_of(path, root, reason) for path in others if images_below(path)]
