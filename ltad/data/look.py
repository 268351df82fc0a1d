"""Look at every file of a data set before anything is made of it, so that all that is wrong is known at once."""

from dataclasses import replace
from pathlib import Path

from ltad.data import Dataset, Fault, Sample
from ltad.errors import DatasetError, ImageError, LTADError
from ltad.photos.masks import read_mask
from ltad.progress import Progress, Stage

LOOK = Stage("look")


def look_at(dataset: Dataset, progress: Progress) -> Dataset:
    """Read each photograph and each mask once; what cannot be used becomes a fault, and the rest is returned.

    A photograph whose mask cannot be used stays, without it. What is rendered or installed needs no look. One picture
    at a time is in memory; more at once would not be quicker, as the decoder takes one at a time.
    """
    faults = [*dataset.faults]
    parts: list[tuple[Sample, ...]] = []
    done, total = 0, sum(sample.file is not None for sample in (*dataset.train, *dataset.test))
    for part in (dataset.train, dataset.test):
        usable = []
        for sample in part:
            if sample.file:
                done += 1
                found = _usable(sample, sample.file.mask, faults)
                usable += [found] if found else []
                progress(LOOK, done, total)
            else:
                usable.append(sample)
        parts.append(tuple(usable))
    looked = replace(dataset, train=parts[0], test=parts[1])
    faults += _emptied(dataset, looked)
    return replace(looked, faults=tuple(faults))


def unreadable(sample: Sample, error: LTADError) -> Fault:
    """The fault of a photograph that could not be read."""
    return Fault(sample.name, sample.file.path if sample.file else Path(sample.name), _reason(error))


def unmarked(sample: Sample, error: LTADError) -> Fault:
    """The fault of a mask that could not be used, called by its photograph."""
    mask = sample.file.mask if sample.file else None
    return Fault(f"mask of {sample.name}", mask or Path(sample.name), _reason(error))


def _usable(sample: Sample, mask: Path | None, faults: list[Fault]) -> Sample | None:
    """The sample as far as it can be used, None where it cannot; what is wrong is added to the faults."""
    try:
        size = sample.read().size
    except ImageError as error:
        faults.append(unreadable(sample, error))
        return None
    try:
        if mask:
            read_mask(mask, size)
    except DatasetError as error:
        faults.append(unmarked(sample, error))
        return replace(sample, read_mask=None)
    return sample


def _emptied(before: Dataset, after: Dataset) -> list[Fault]:
    """The classes of which no photograph to learn from is left."""
    lost = {*before.class_names} - {*after.class_names}
    firsts = {sample.class_name: sample for sample in reversed(before.train)}
    reason = "No photograph of this class is left to learn from."
    return [Fault(name, file.path.parent, reason) for name in sorted(lost) if (file := firsts[name].file)]


def _reason(error: LTADError) -> str:
    """What is wrong without the path, which a sample's reader puts in front of the decoder's sentence."""
    return str(error.__cause__ if isinstance(error.__cause__, LTADError) else error)
