"""What is known of a checkpoint without its tensors: data, classes, configuration, calibration, figures."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from ltad.config import LTADConfig
from ltad.data.longtail import tail_classes
from ltad.data.sources import DEMO, LARGE
from ltad.foundation.base import Fingerprint
from ltad.judging.calibration import Calibration
from ltad.photos.levels import Levels
from ltad.words import nearest_first

CONFIG, TENSORS, METRICS, README = "config.json", "model.safetensors", "metrics.json", "README.md"  # the folder's
MAX_TENSOR_FILE = 64_000_000  # bytes; ours have under 8 MB
HUB = "hf://"  # before OWNER/NAME[@REVISION] of a checkpoint on the Hugging Face Hub
AND = " and "  # between a data set and the classes that were added to it


def called(folder: Path) -> str:
    """The name of a checkpoint's folder; of one in the Hub's cache, which is named by its commit, its address there."""
    folder = folder.resolve()
    kind, _, repository = folder.parents[1].name.partition("--") if len(folder.parents) > 1 else ("", "", "")
    if kind == "models" and folder.parent.name == "snapshots":
        return f"{HUB}{repository.replace('--', '/')}@{folder.name}"
    return folder.name


@dataclass(frozen=True, kw_only=True)
class ClassCard:
    """A class as the checkpoint knows it; group is "head" or "tail"."""

    name: str
    n_train: int
    group: str


@dataclass(frozen=True, kw_only=True)
class DataCard:
    """What a checkpoint was trained on; broken: the files of it, by their names there, that could not be used."""

    name: str
    imbalance: str
    order: str
    split_hash: str
    licence: str
    command: str
    broken: tuple[str, ...] = ()

    @property
    def base(self) -> str:
        """The data set that came first, before any class was added."""
        return self.name.split(AND)[0]

    @property
    def is_rendered(self) -> bool:
        """Whether nobody ever photographed its products: they are the demo factory's."""
        return self.base in (DEMO, LARGE)

    @property
    def added(self) -> tuple[str, ...]:
        """The classes that were added to it since."""
        return tuple(self.name.split(AND)[1:])

    def with_images(
        self, class_name: str, images: str, *, is_new: bool, command: str, broken: Sequence[str] = ()
    ) -> Self:
        """The data with images of one class added, which the hash ``images`` tells from others, but the broken ones."""
        return replace(
            self,
            name=f"{self.name}{AND}{class_name}" if is_new else self.name,
            split_hash=hashlib.sha256(f"{self.split_hash}/{images}".encode()).hexdigest()[:16],
            licence=self.licence and f"{self.licence}; of the added images: their owner's",
            command=command,
            broken=(*self.broken, *broken),
        )


@dataclass(frozen=True, kw_only=True)
class Parent:
    """The checkpoint that another was adapted from: its name, and the hash of its tensor file."""

    name: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class CheckpointCard:
    """Everything about a checkpoint but its tensors; metrics is ``evaluate``'s table, if there is one.

    parent: what it was adapted from; None for one that was trained. levels: by which its photographs of more than 8
    bits are shown, of the classes that were learned from such.
    """

    path: Path
    config: LTADConfig
    foundation: Fingerprint
    classes: tuple[ClassCard, ...]
    data: DataCard
    calibration: Calibration
    metrics: dict[str, Any] | None
    parent: Parent | None = None
    levels: Mapping[str, Levels] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What it is called, by which it can be asked for."""
        return called(self.path)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes in the order of their ids."""
        return tuple(c.name for c in self.classes)

    @property
    def is_fine(self) -> bool:
        """Whether photographs are seen finely, beside their whole frame."""
        return self.config.detail.times > 1

    @property
    def detail(self) -> str:
        """How finely photographs are seen, and what that costs, in words."""
        if not self.is_fine:
            return "1: the whole frame"
        times = self.config.detail.times
        pixels = times * self.foundation.image_size
        return (
            f"{times}: the whole frame, and {pixels} pixels of the shorter side; {times**2 + 1} times the time or more"
        )

    def class_id(self, class_name: str) -> int:
        """The id of a class; ValueError names the ones that exist, the nearest first."""
        if class_name not in self.class_names:
            there = nearest_first(class_name, self.class_names)
            raise ValueError(f"{self.name} does not know the class “{class_name}”; it knows {there}.")
        return self.class_names.index(class_name)

    def classes_with(self, class_name: str, images: int) -> tuple[ClassCard, ...]:
        """The classes with images of one counted; a new class is of the tail by the rule of the splits."""
        if class_name in self.class_names:
            return tuple(replace(c, n_train=c.n_train + images) if c.name == class_name else c for c in self.classes)
        counts = {c.name: c.n_train for c in self.classes} | {class_name: images}
        group = "tail" if class_name in tail_classes(counts) else "head"
        return (*self.classes, ClassCard(name=class_name, n_train=images, group=group))

    def sha256(self) -> str:
        """The hash of the tensor file."""
        return hashlib.sha256((self.path / TENSORS).read_bytes()).hexdigest()


def summarise(card: CheckpointCard) -> dict[str, Any]:
    """What a list of checkpoints shows of one, as plain JSON values."""
    return {
        "name": card.name,
        "data": card.data.name,
        "imbalance": card.data.imbalance,
        "licence": card.data.licence,
        "foundation": card.foundation.name,
        "detail": card.config.detail.times,
        "classes": [vars(c) for c in card.classes],
        "parent": card.parent and vars(card.parent),
        "mean": card.metrics["mean"] if card.metrics else None,
        "size": (card.path / TENSORS).stat().st_size,
        "sha256": card.sha256(),
    }
