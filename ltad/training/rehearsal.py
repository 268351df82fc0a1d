"""Let classes of many images play classes of few: cut them down, learn them so, and judge what was taken from them.

Only what is a class's own is learned again: its exemplars, its copies, its statistics. What all classes share, the
transformer and the semantics, comes from the models that had not seen the images, though they had seen others of the
class; it is a tenth of the score.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ltad.config import LTADConfig
from ltad.foundation.features import ENCODE_BATCH
from ltad.judging.rehearsal import Performance, Rehearsal
from ltad.judging.scoring import RawScores, score_images, smooth, standardise
from ltad.judging.statistics import Pooled, ScoreSums, leave_one_out
from ltad.model.ltad import LTAD, look_up, look_up_finely
from ltad.progress import Progress, Stage
from ltad.training.copies import copies_wanted, ranks_wanted
from ltad.training.images import Judged, TrainingImages
from ltad.training.normals import Normals

SIZES = (1, 2, 3, 4, 6, 10, 16, 28, 50, 100, 200)  # our choice: images of the classes that are played
SMALL = 10  # images: up to which a class plays several times, with other images each time
CASTS = 3
CLASSES = 6  # our choice: those with the most images play
FEWEST_OTHERS = 8  # images that must be left to be judged, or half as many as are played
ENOUGH_OTHERS = 24  # that are enough in any case
MOST_OTHERS = 40  # that are judged, where they are seen whole only
CANDIDATES = 20_000  # patches among which exemplars are chosen; a third of what a class has otherwise


class Play(NamedTuple):
    """A class that plays one of few: the images that it has, and others that are judged."""

    class_id: int
    cast: Tensor
    others: Tensor


def plays(class_ids: Tensor, seed: int, times: int = 1) -> list[Play]:
    """Every play there will be, given the images' classes (n,).

    times: how finely images are seen; the more finely, the fewer others are judged, since that takes longest.
    """
    generator = torch.Generator().manual_seed(seed)
    listed = []
    for class_id in class_ids.bincount().argsort(descending=True, stable=True)[:CLASSES].tolist():
        members = (class_ids == class_id).nonzero()[:, 0]
        members = members[torch.randperm(len(members), generator=generator)]
        for size in SIZES:
            for number in range(CASTS if size <= SMALL else 1):
                start = number * SMALL
                cast, rest = members[start : start + size], torch.cat([members[:start], members[start + size :]])
                if len(cast) == size and len(rest) >= min(ENOUGH_OTHERS, max(FEWEST_OTHERS, size // 2)):
                    others = torch.randperm(len(rest), generator=generator)[: MOST_OTHERS // times]
                    listed.append(Play(class_id, cast, rest[others]))
    return listed


def copies_needed(listed: list[Play], config: LTADConfig) -> dict[int, int]:
    """How many copies of each image (by index) are needed, so that every cast has as many as a class of its size."""
    needed: dict[int, int] = {}
    for play in listed:
        for image in play.cast.tolist():
            needed[image] = max(needed.get(image, 0), copies_wanted(len(play.cast), config))
    return needed


@torch.no_grad()
def rehearse(
    listed: list[Play],
    images: TrainingImages,
    judged: Judged,
    model: LTAD,
    normals: Normals,
    names: tuple[str, ...],
    config: LTADConfig,
    progress: Progress,
) -> dict[int, Rehearsal]:
    """What was seen, by the number of images that were played; nothing where scores are not standardised.

    model: the final one, in whose memories' coordinates the casts are learned.
    """
    if normals.across is None or normals.pooled is None:
        return {}
    stage = _Stage(images, judged, model, normals.across, normals.pooled, config)
    seen: dict[int, list[Performance]] = {}
    for step, play in enumerate(listed, start=1):
        seen.setdefault(len(play.cast), []).append(stage.performed(play, names[play.class_id]))
        progress(Stage("rehearsal"), step, len(listed))
    return {size: Rehearsal.of(played, size) for size, played in sorted(seen.items())}


@dataclass(frozen=True)
class _Stage:
    """What all plays are performed on."""

    images: TrainingImages
    judged: Judged
    model: LTAD
    across: RawScores
    pooled: Pooled
    config: LTADConfig

    def performed(self, play: Play, class_name: str) -> Performance:
        """What the cast scores, held out (nothing where it is a lone image), and what the others do."""
        versions, size = self.judged.versions, len(play.cast)
        others = self._scores_of(play.others, play.cast, size)
        if size == 1:
            cast, held_out, gain = self.across.of(self.judged.rows(play.cast)), np.empty(0), self.pooled.gain
        else:
            one, other = play.cast[::2], play.cast[1::2]
            parts = self._scores_of(one, other, size), self._scores_of(other, one, size)
            cast = RawScores.joined(parts)
            own = leave_one_out(cast, cast, self.pooled, self.config, versions)
            gain = own.gain(self.pooled, versions)
            held_out = own.image(gain)[::versions].numpy()
        usual = self.pooled.usual(ScoreSums.of(cast, versions))
        by_version = score_images(standardise(others, usual), self.config, gain).image.view(-1, versions).T.numpy()
        return Performance(class_name, held_out, by_version[0], by_version[1:].flatten())

    def _scores_of(self, some: Tensor, known: Tensor, size: int) -> RawScores:
        """Raw scores of images where only others of their class are known, with as many copies as one of that size has.

        A lone image cannot be asked for its turns, so that it has no turned copies.
        """
        grid = self.model.patches.grid_size
        seen = torch.zeros_like(self.images.features.class_ids, dtype=torch.bool)
        seen[known] = True
        features = self.images.where(seen, ranks_wanted(size, self.config), upright=size == 1)
        generator = torch.Generator().manual_seed(self.config.seed)
        memories = [m.alone(features.maps[m.layer].unbind(), generator, CANDIDATES) for m in self.model.memories]
        finely = [memory.alone(features.fine, generator, CANDIDATES) for memory in self.model.fine_memories]
        rows, sigma = self.judged.rows(some), self.config.scoring.smoothing
        distances, fine = list[Tensor](), list[Tensor]()
        for chunk in rows.split(ENCODE_BATCH):
            batch = self.judged.batch(chunk, self.model.device)
            alike = torch.zeros_like(batch.class_ids)
            distances.append(look_up(memories, batch.maps, alike, grid).cpu())
            fine += [smooth(each, sigma).cpu() for each in look_up_finely(finely, batch.fine, alike)]
        smoothed = smooth(torch.cat(distances).unflatten(-1, grid), sigma).flatten(-2)
        return self.across.of(rows)._replace(memory=smoothed, fine=tuple(fine))
