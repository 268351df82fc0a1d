"""Photographs with labels: a sample is read when asked, a data set is two tuples of samples."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from PIL import Image

from ltad.errors import DatasetError
from ltad.photos.levels import Levels
from ltad.photos.pile import Photograph, Refusal

GOOD, DEFECTIVE = "good", "defective"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One photograph of a data set; nothing is read before ``image`` or ``mask`` is called.

    name: path inside the data set, with forward slashes, unique there.
    defect: the kind of defect, or ``GOOD``.
    read: gives the RGB image, upright.
    read_mask: gives the ground truth of an anomalous image, (H, W) bool in its own pixels; None where there is none.
    A normal image has nothing to mark.
    read_levels: gives by which values of more than 8 bits the image is shown, if it has so many; where it is there,
    ``read`` takes others.
    file: where it and its mask lie, if somebody put them there, so that it is worth a look; None: rendered, installed.
    """

    name: str
    class_name: str
    defect: str
    read: Callable[..., Image.Image]
    read_mask: Callable[[], np.ndarray] | None = None
    read_levels: Callable[[], Levels | None] | None = None
    file: Photograph | None = None

    @property
    def label(self) -> int:
        """0 for a normal photograph, 1 for an anomalous one."""
        return int(self.defect != GOOD)


class Fault(NamedTuple):
    """A file or folder of a data set that cannot be used.

    name: path inside the data set, as a sample's. path: where it is. reason: the sentence that says why, without naming
    it again.
    """

    name: str
    path: Path
    reason: str

    @property
    def refusal(self) -> Refusal:
        """The same for its owner, who knows the file by its whole path."""
        return Refusal(str(self.path), self.reason)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Normal photographs to learn from, and normal and anomalous ones to test with.

    licence: of the photographs; empty where it is not known. faults: what cannot be used; no sample reads it.
    notes: what was decided about the data, a sentence each, for its user.
    """

    name: str
    licence: str = ""
    train: tuple[Sample, ...]
    test: tuple[Sample, ...]
    faults: tuple[Fault, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes that have training images, in alphabetical order."""
        return tuple(sorted({sample.class_name for sample in self.train}))

    @property
    def train_counts(self) -> dict[str, int]:
        """Training images per class."""
        counts = dict.fromkeys(self.class_names, 0)
        for sample in self.train:
            counts[sample.class_name] += 1
        return counts

    def whole(self, advice: str = "") -> Self:
        """The data set itself; where it has faults, DatasetError lists all of them, and then says what to do."""
        if not self.faults:
            return self
        lines = [f"“{fault.path}”: {fault.reason}" for fault in self.faults]
        if len(lines) > 1:
            lines = [f"{len(lines)} files or folders of {self.name} cannot be used:", *(f"  {line}" for line in lines)]
        raise DatasetError("\n".join([*lines, *([advice] if advice else [])]))
