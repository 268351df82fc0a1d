"""Look at a few photographs before anything is learned from them: what is broken, double, strange or suspicious.

Ours. Nothing is decided here but what cannot be read: a person sees the list and excludes what does not belong.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import normalize

from ltad import images
from ltad.adaptation import FEWEST
from ltad.data import GOOD, Sample
from ltad.errors import ImageError
from ltad.features import Features, Progress, encode
from ltad.foundation.base import FoundationModel
from ltad.model.memory import nearest_distance

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

    name: str
    path: Path
    size: tuple[int, int]
    double_of: str
    similarity: float
    suspicion: float
    is_other: bool
    is_suspect: bool
    has_other_shape: bool

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
    """The photographs, the most suspicious first, and those that cannot be read, by name and reason."""

    photographs: tuple[Checked, ...]
    refused: tuple[tuple[str, str], ...]

    @property
    def is_enough(self) -> bool:
        """Whether there are as many as adaptation needs."""
        return len(self.photographs) >= FEWEST

    @property
    def promise(self) -> float:
        """The smallest false-alarm rate that so many normal images can promise."""
        return 1 / (len(self.photographs) + 1)


def check_photographs(
    photographs: Sequence[tuple[str, Path]],
    foundation: FoundationModel,
    progress: Progress,
    refused: Sequence[tuple[str, str]] = (),
) -> DataCheck:
    """Look at photographs, given by the name to show and the file; ``refused`` are those that an archive refused."""
    opened: list[_Opened] = []
    broken = list(refused)
    for name, path in photographs:
        try:
            opened.append(_Opened.read(name, path, foundation.fingerprint.image_size))
        except ImageError as error:
            broken.append((name, str(error)))
    if not opened:
        return DataCheck(photographs=(), refused=tuple(broken))
    tensors = [each.tensor for each in opened]
    features = encode(tensors, torch.zeros(len(opened), dtype=torch.long), foundation, "check", progress)
    doubles = _doubles([each.likeness for each in opened])
    similarity, suspicion = _similarities(features.embeddings), _suspicions(features, foundation)
    is_other, is_suspect = -_deviations(similarity) > FAR, _deviations(suspicion) > FAR
    shapes = np.array([width / height for width, height in (each.size for each in opened)])
    odd_shape = np.abs(np.log(shapes / np.median(shapes))) > np.log(ASPECT)
    found = [
        Checked(
            name=each.name,
            path=each.path,
            size=each.size,
            double_of="" if doubles[i] is None else opened[doubles[i]].name,
            similarity=float(similarity[i]),
            suspicion=float(_deviations(suspicion)[i]),
            is_other=bool(is_other[i]),
            is_suspect=bool(is_suspect[i]),
            has_other_shape=bool(odd_shape[i]),
        )
        for i, each in enumerate(opened)
    ]
    return DataCheck(photographs=tuple(sorted(found, key=lambda c: -c.suspicion)), refused=tuple(broken))


def as_samples(photographs: Sequence[Checked], class_name: str) -> list[Sample]:
    """The photographs as training samples of a class, in the order of their names."""

    def read(path: Path) -> Image.Image:
        return images.open_photo(path.read_bytes()).image

    chosen = sorted(photographs, key=lambda checked: (checked.name, checked.path))
    return [
        Sample(name=c.name, class_name=class_name, defect=GOOD, read=lambda path=c.path: read(path)) for c in chosen
    ]


class _Opened(NamedTuple):
    """What is kept of a photograph: two hundred of 40 megapixels would not fit into memory.

    tensor: as the foundation model sees it; likeness: small and grey, by which doubles are found.
    """

    name: str
    path: Path
    size: tuple[int, int]
    tensor: Tensor
    likeness: np.ndarray

    @classmethod
    def read(cls, name: str, path: Path, size: int) -> "_Opened":
        image = images.open_photo(path.read_bytes()).image
        likeness = np.asarray(image.convert("L").resize((LIKENESS, LIKENESS)), dtype=np.float32)
        return cls(name, path, image.size, images.to_tensor(image, size), likeness)


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


def _suspicions(features: Features, foundation: FoundationModel) -> np.ndarray:
    """Mean distance (n,) of each image's strangest patches to the nearest patches of the others; 0 for a single one."""
    layer = min(range(len(foundation.strides)), key=lambda i: abs(foundation.strides[i] - STRIDE))
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
