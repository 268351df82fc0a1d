"""Photographs of more than 8 bits a channel: all of one class are shown by the same levels, whatever each one holds."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial

from ltad.data import Sample
from ltad.photos.levels import Levels, joined


def levels_by_class(samples: Iterable[Sample]) -> dict[str, Levels]:
    """The levels that hold every sample of a class; classes whose files have 8 bits are not among them."""
    found: dict[str, Levels] = {}
    for sample in samples:
        levels = joined((found.get(sample.class_name), sample.read_levels() if sample.read_levels else None))
        if levels is not None:
            found[sample.class_name] = levels
    return found


def shown_by(samples: Iterable[Sample], levels: Mapping[str, Levels]) -> tuple[Sample, ...]:
    """The samples, each read by the levels of its class, where that has any; files of 8 bits are read as they are."""
    return tuple(_shown(sample, levels.get(sample.class_name)) for sample in samples)


def _shown(sample: Sample, levels: Levels | None) -> Sample:
    if levels is None or sample.read_levels is None:
        return sample
    return replace(sample, read=partial(sample.read, levels=levels), read_levels=None)
