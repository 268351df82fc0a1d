"""Look at a few photographs before anything is learned from them: what is broken, double, strange or suspicious.

Ours. Nothing is decided here but what cannot be read: a person sees the list and excludes what does not belong.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from ltad.errors import ImageError
from ltad.foundation.features import Encoder, Features, Views
from ltad.model.memory import nearest_distance
from ltad.photos.content import content_of
from ltad.photos.decode import open_photo, read_levels
from ltad.photos.levels import Levels, joined
from ltad.photos.pile import Photograph, Pile, Refusal
from ltad.progress import Progress, Stage
from ltad.training.adaptation import FEWEST

STRIDE = 16  # pixels; patches of about this stride are compared
TOP_FRACTION = 0.02  # of the patches make a photograph's suspicion, as an image score is made
FAR = 5.0  # our choice: so many median deviations from the others are worth a look
LIKENESS = 128  # pixels of the picture by which doubles are found: fine enough that a camera's noise tells two apart
SAME = 1.5  # grey levels by which two pictures that differ only in their coding may differ on the average
ASPECT = 1.1  # factor by which the shapes of frames may differ


@dataclass(frozen=True, kw_only=True)
class Checked:
    """One photograph.

    double_of: the name of an earlier one that shows the same; empty where there is none.
    similarity: cosine of its embedding to the mean of the others, in [-1, 1]; suspicion: how far its strangest patches
    are from those of the others, in median deviations of the set, higher = likelier a defect.
    is_other, is_suspect: whether these are far from what the others have; has_other_shape: whether its frame is.
    """

    photograph: Photograph
    size: tuple[int, int]
    double_of: str
    similarity: float
    suspicion: float
    is_other: bool
    is_suspect: bool
    has_other_shape: bool

    @property
    def name(self) -> str:
        """What its user calls it."""
        return self.photograph.name

    @property
    def remarks(self) -> list[str]:
        """Why a person should look at it, in words; empty where nothing is odd."""
        remarks = [f"shows the same as “{self.double_of}”"] if self.double_of else []
        remarks += ["may be another product"] if self.is_other else []
        remarks += ["may have a defect"] if self.is_suspect else []
        width, height = self.size
        remarks += [f"has another shape than most, {width} × {height} pixels"] if self.has_other_shape else []
        return remarks


@dataclass(frozen=True, kw_only=True)
class DataCheck:
    """The photographs, the most suspicious first, and those that cannot be used."""

    photographs: tuple[Checked, ...]
    refused: tuple[Refusal, ...]

    @property
    def pile(self) -> Pile:
        """The photographs that can be learned from, and those that cannot."""
        return Pile(tuple(each.photograph for each in self.photographs), self.refused)

    @property
    def is_enough(self) -> bool:
        """Whether there are as many as adaptation needs."""
        return len(self.photographs) >= FEWEST


def check_photographs(pile: Pile, encoder: Encoder, progress: Progress) -> DataCheck:
    """Look at the photographs of a pile."""
    opened: list[_Opened] = []
    refused = list(pile.refused)
    levels = joined(read_levels(photograph.path) for photograph in pile.photographs)
    for photograph in pile.photographs:
        try:
            opened.append(_Opened.read(photograph, encoder, levels))
        except ImageError as error:
            refused.append(Refusal(photograph.name, str(error)))
    if not opened:
        return DataCheck(photographs=(), refused=tuple(refused))
    views, alike = (each.views for each in opened), torch.zeros(len(opened), dtype=torch.long)
    features = encoder.whole.features(views, alike, Stage("check"), progress)
    doubles = _doubles([each.likeness for each in opened])
    similarity = _similarities(features.embeddings)
    suspicion = _deviations(_suspicions(features, encoder.foundation.layer_near(STRIDE)))
    is_other = -_deviations(similarity) > FAR
    shapes = np.array([width / height for width, height in (each.size for each in opened)])
    odd_shape = np.abs(np.log(shapes / np.median(shapes))) > np.log(ASPECT)
    found = [
        Checked(
            photograph=each.photograph,
            size=each.size,
            double_of="" if double is None else opened[double].photograph.name,
            similarity=float(similarity[i]),
            suspicion=float(suspicion[i]),
            is_other=bool(is_other[i]),
            is_suspect=bool(suspicion[i] > FAR),
            has_other_shape=bool(odd_shape[i]),
        )
        for i, (each, double) in enumerate(zip(opened, doubles, strict=True))
    ]
    return DataCheck(photographs=tuple(sorted(found, key=lambda c: -c.suspicion)), refused=tuple(refused))


class _Opened(NamedTuple):
    """What is kept of a photograph: two hundred of 40 megapixels would not fit into memory.

    views: as the foundation model sees it; likeness: small and grey, by which doubles are found.
    """

    photograph: Photograph
    size: tuple[int, int]
    views: Views
    likeness: np.ndarray

    @classmethod
    def read(cls, photograph: Photograph, encoder: Encoder, levels: Levels | None) -> "_Opened":
        image = open_photo(content_of(photograph.path), levels).image
        likeness = np.asarray(image.convert("L").resize((LIKENESS, LIKENESS)), dtype=np.float32)
        return cls(photograph, image.size, encoder.whole.views([image]), likeness)


def _doubles(likenesses: Sequence[np.ndarray]) -> list[int | None]:
    """For each photograph the first earlier one that looks the same."""
    found: list[int | None] = []
    for i, own in enumerate(likenesses):
        same = (j for j in range(i) if found[j] is None and np.abs(likenesses[j] - own).mean() < SAME)
        found.append(next(same, None))
    return found


def _similarities(embeddings: Tensor) -> np.ndarray:
    """Cosine (n,) of each embedding (n, J) to the mean of the others; 1 for a single one."""
    if len(embeddings) == 1:
        return np.ones(1)
    others = normalize(embeddings.sum(0) - embeddings, dim=-1)
    return (embeddings * others).sum(-1).numpy()


def _suspicions(features: Features, layer: int) -> np.ndarray:
    """Mean distance (n,) of each image's strangest patches to the nearest patches of the others; 0 for a single one."""
    maps = features.maps[layer].float()
    if len(maps) == 1:
        return np.zeros(1)
    patches = (maps / maps.std((0, 2, 3), keepdim=True).clamp(min=1e-6)).flatten(2).mT  # (n, N, C)
    count = max(1, round(TOP_FRACTION * patches.shape[1]))
    others = [torch.cat([patches[:i], patches[i + 1 :]]).flatten(0, 1) for i in range(len(patches))]
    return np.array(
        [nearest_distance(own, rest).topk(count).values.mean() for own, rest in zip(patches, others, strict=True)]
    )


def _deviations(values: np.ndarray) -> np.ndarray:
    """How many median deviations each value is above the median; 0 where all are alike."""
    gap = values - np.median(values)
    spread = max(float(np.median(np.abs(gap))), 1e-3 * float(np.abs(values).max()))
    return gap / spread if spread > 0 else np.zeros_like(gap)
