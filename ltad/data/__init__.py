"""Photographs with labels: a sample is read when asked, a data set is two tuples of samples."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ltad.photos.levels import Levels

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
    """

    name: str
    class_name: str
    defect: str
    read: Callable[..., Image.Image]
    read_mask: Callable[[], np.ndarray] | None = None
    read_levels: Callable[[], Levels | None] | None = None

    @property
    def label(self) -> int:
        """0 for a normal photograph, 1 for an anomalous one."""
        return int(self.defect != GOOD)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Normal photographs to learn from, and normal and anomalous ones to test with.

    licence: of the photographs; empty where it is not known.
    """

    name: str
    licence: str = ""
    train: tuple[Sample, ...]
    test: tuple[Sample, ...]

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
