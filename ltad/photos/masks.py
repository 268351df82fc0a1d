"""Masks: which picture each marks, by its name, and what it marks."""

from collections.abc import Sequence
from pathlib import Path, PurePath

import numpy as np

from ltad.errors import DatasetError, ImageError
from ltad.photos.decode import open_photo

MASK = "_mask"  # after the name of the picture that it marks


def pair_masks(
    images: Sequence[PurePath], masks: Sequence[PurePath], suffix: str = MASK, *, beside: bool
) -> tuple[dict[int, int], list[tuple[int, str]]]:
    """Pair images with their masks: those of the same stem, with or without the suffix.

    beside: whether a mask marks images of its own folder only; otherwise the folders are not compared.
    Returns the mask of each image that has one, as indices, and the masks that mark none, each with the reason.
    """
    owners: dict[PurePath, list[int]] = {}
    for index, image in enumerate(images):
        owners.setdefault(_key(image, image.stem, beside), []).append(index)
    pairs: dict[int, int] = {}
    problems = []
    for index, mask in enumerate(masks):
        stems = mask.stem, mask.stem.removesuffix(suffix)
        own = next((found for stem in stems if (found := owners.get(_key(mask, stem, beside)))), [])
        if not own:
            problems.append((index, f"The mask “{mask}” has no image. {how_to_name(suffix)}"))
        elif len(own) > 1:
            both = " and ".join(f"“{images[i]}”" for i in own[:2])
            problems.append((index, f"{both} share the mask “{mask}”. Rename or remove one of them."))
        elif own[0] in pairs:
            both = f"“{masks[pairs[own[0]]]}” and “{mask}”"
            problems.append((index, f"{both} are both masks of one image. Remove one of them."))
        else:
            pairs[own[0]] = index
    return pairs, problems


def _key(path: PurePath, stem: str, beside: bool) -> PurePath:
    return path.parent / stem if beside else PurePath(stem)


def how_to_name(suffix: str) -> str:
    """Return the sentence that tells what ``pair_masks`` expects."""
    return f"Give each mask the name of its image, with or without “{suffix}”."


def read_mask(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Read where a mask is over 0, (H, W) bool, for an upright image of this size (W, H).

    Raises:
        DatasetError: it is no image, or one of another size.
    """
    try:
        mask = np.asarray(open_photo(path).image).any(axis=2)
    except ImageError as error:
        raise DatasetError(f"The mask cannot be used: {error}") from error
    if mask.shape != size[::-1]:
        sizes = f"{mask.shape[1]} x {mask.shape[0]} pixels, its image {size[0]} x {size[1]}"
        raise DatasetError(f"The mask “{path}” has {sizes}. Make both the same size.")
    return mask
