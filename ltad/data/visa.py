"""VisA as published: split_csv/1cls.csv lists the images and their masks, by paths inside the folder.

Its columns are object, split (train or test), label (normal or anomaly), image and mask (empty for a normal image). A
mask holds the number of the kind of defect, 0 where there is none.

Source: Zou et al., SPot-the-Difference Self-Supervised Pre-training for Anomaly Detection and Segmentation, ECCV 2022.
"""

import csv
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ltad.data import GOOD, Dataset, Fault, Sample
from ltad.data.listing import existing_folder, fault_of, file_sample, shown_name
from ltad.errors import DatasetError

LISTING = "split_csv/1cls.csv"
ANOMALY = "anomaly"
_COLUMNS = ("object", "split", "label", "image", "mask")
_VALUES = {"split": ("train", "test"), "label": ("normal", ANOMALY)}


def visa_dataset(root: str | os.PathLike[str]) -> Dataset:
    """List the images of VisA's one-class split, sorted by name; none is opened yet.

    The classes are the objects, and the only kind of defect is ``ANOMALY``. Its faults are the lines that name a file
    that is not there, list an image twice, have an unknown split or label, or an anomalous training image.

    Raises:
        DatasetError: no such folder, or the list cannot be read or has no training image.
    """
    root = existing_folder(root)
    names: set[str] = set()
    train: list[Sample] = []
    test: list[Sample] = []
    faults: list[Fault] = []
    for line, row in _rows(root / LISTING):
        try:
            sample = _sample(root, row, line)
            if sample.name in names:
                raise DatasetError(f"{line} lists “{sample.name}” a second time. Remove one of the lines.")
        except DatasetError as error:
            faults.append(fault_of(root / LISTING, root, str(error)))
            continue
        names.add(sample.name)
        (train if row["split"] == "train" else test).append(sample)
    if not train:
        raise DatasetError(f"“{root / LISTING}” lists no training image. Copy it from the data set again.")
    first, second = (tuple(sorted(part, key=lambda sample: sample.name)) for part in (train, test))
    return Dataset(name=shown_name(root), train=first, test=second, faults=tuple(faults))


def _rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Read the list; each row comes with the words that name its line."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="", strict=True)
            columns = reader.fieldnames or ()
            rows = [(f"Line {reader.line_num}", row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"“{path}” cannot be read as CSV. Copy it from the data set again.") from error
    for column in _COLUMNS:
        if column not in columns:
            raise DatasetError(f"“{path}” has no column “{column}”. Its first line must be {','.join(_COLUMNS)}.")
    yield from rows


def _sample(root: Path, row: dict[str, str], line: str) -> Sample:
    for column, values in _VALUES.items():
        if row[column] not in values:
            raise DatasetError(f"{line} has the {column} “{row[column]}”. It must be {' or '.join(values)}.")
    if not row["object"]:
        raise DatasetError(f"{line} has no object. Write the name of the class there.")
    image, is_anomalous = _file(root, row["image"], line), row["label"] == ANOMALY
    if is_anomalous and row["split"] == "train":
        raise DatasetError(f"{line} trains on the anomaly “{row['image']}”. Only normal images are for training.")
    if row["mask"] and not is_anomalous:
        raise DatasetError(f"{line} gives a mask of the normal image “{row['image']}”. Only anomalies have masks.")
    mask = _file(root, row["mask"], line) if row["mask"] else None
    return file_sample(image, root, row["object"], ANOMALY if is_anomalous else GOOD, mask)


def _file(root: Path, name: str, line: str) -> Path:
    if ".." in PurePosixPath(name).parts or PurePosixPath(name).is_absolute() or not (root / name).is_file():
        raise DatasetError(f"{line} names “{name}”, which is no file in “{root}”. Copy the data set again.")
    return root / name
