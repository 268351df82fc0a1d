"""The images that a training sees: their features, and those of the copies that were made of them."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ltad.config import LTADConfig
from ltad.data import Sample
from ltad.foundation.features import Encoder, Features, Views
from ltad.machine import CPU
from ltad.progress import Progress, Stage
from ltad.training.copies import Copies, make_copies, ranks_wanted


class Judged(NamedTuple):
    """n images as they are judged: a row of each version, as it is and, where harmless change is normal, changed.

    The versions of an image follow each other. changed: a copy of each image, in their order; None = as they are.
    """

    images: Features
    changed: Features | None

    @property
    def versions(self) -> int:
        """Rows of each image."""
        return 1 if self.changed is None else 2

    @property
    def class_ids(self) -> Tensor:
        """Classes of the rows (n · versions,)."""
        return self.images.class_ids.repeat_interleave(self.versions)

    def rows(self, images: Tensor) -> Tensor:
        """The rows of images (m,): (m · versions,)."""
        return (images[:, None] * self.versions + torch.arange(self.versions, device=CPU)).flatten()

    def batch(self, rows: Tensor, device: torch.device = CPU) -> Features:
        """Some of the rows in full precision on a device, to compute with."""
        if self.changed is None:
            return self.images.batch(rows, device)
        is_changed = rows % 2 == 1
        both = self.images.take(rows[~is_changed] // 2).join(self.changed.take(rows[is_changed] // 2))
        return both.batch(is_changed.long().argsort(stable=True).argsort(), device)


class TrainingImages(NamedTuple):
    """Features of the n images as they are, in the order of their samples, and their copies, where there are any.

    ranks: of each image (n,), under which a copy is learned from; further ones are of use where a class of many plays
    one of few.
    """

    features: Features
    copies: Copies | None
    ranks: Tensor

    def where(self, seen: Tensor, ranks: int | None = None, *, upright: bool = False) -> Features:
        """The images that are seen (n,), and their copies up to the usual rank, or up to the one that is given.

        upright: no turned ones.
        """
        images = self.features.take(seen.nonzero()[:, 0])
        if self.copies is None:
            return images
        under = self.ranks[self.copies.sources] if ranks is None else ranks
        chosen = seen[self.copies.sources] & (self.copies.ranks < under)
        if upright:
            chosen &= self.copies.turns == 0
        return images.join(self.copies.features.take(chosen.nonzero()[:, 0]))

    def judged(self) -> Judged:
        """The images as they are judged: the first copy of each stands for it after harmless change."""
        if self.copies is None or not (self.copies.ranks == 0).any():
            return Judged(self.features, None)
        first = (self.copies.ranks == 0).nonzero()[:, 0]
        return Judged(self.features, self.copies.features.take(first[self.copies.sources[first].argsort()]))


def encode_samples(
    samples: Sequence[Sample],
    class_names: Sequence[str],
    encoder: Encoder,
    progress: Progress,
    see: Callable[[memoryview], object] = lambda shown: None,
) -> Features:
    """Encode every image once, as a member of its class among these. About 200 KB an image at 256 px.

    see: shown the values of every image, in their order, as the tower takes them.
    """

    def views() -> Iterator[Views]:
        for sample in samples:
            seen = encoder.views([sample.read()])
            for image in (*seen.whole, *seen.fine):
                see(image.numpy().data)
            yield seen

    class_ids = torch.tensor([class_names.index(sample.class_name) for sample in samples])
    return encoder.features(views(), class_ids, Stage("encode"), progress)


def with_copies(
    samples: Sequence[Sample],
    features: Features,
    encoder: Encoder,
    config: LTADConfig,
    progress: Progress,
    needed: dict[int, int] | None = None,
) -> TrainingImages:
    """Add to the images the copies that are normal, too.

    features: of the samples, in their order. needed: how many copies of an image (by index) are, where that is more
    than usual.
    """
    made = make_copies(samples, features, encoder, config, needed or {}, progress)
    counts = features.class_ids.bincount()[features.class_ids].tolist()
    return TrainingImages(features, made, torch.tensor([ranks_wanted(count, config) for count in counts], device=CPU))
