"""Masks: which picture each marks, by its name, and what it marks."""

import io
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePath

import numpy as np
from PIL import Image

from ltad.errors import DatasetError, ImageError
from ltad.photos.content import content_of
from ltad.photos.decode import FORMATS, open_photo

MASK = "_mask"  # after the name of the picture that it marks
LOSSLESS = frozenset({"PNG", "BMP", "GIF"})  # formats; TIFF and WebP files say of themselves whether they are
# Grey levels up to which a lossy file's values are zero: our choice. Black and white masks grow by a fifth of what they
# mark when saved as JPEG of quality 50, and with this limit by a thousandth.
LOSSY_LIMIT = 64


def pair_masks(
    images: Sequence[PurePath],
    masks: Sequence[PurePath],
    suffix: str = MASK,
    *,
    beside: bool,
    place: Callable[[PurePath], PurePath] = PurePath,
) -> tuple[dict[int, int], list[tuple[int, str]]]:
    """Pair images with their masks: those of the same stem, with or without the suffix.

    beside: whether a mask marks images of its own folder only; otherwise the folders are not compared. place: gives the
    paths that are compared, where other names may stand for one folder.
    Returns the mask of each image that has one, as indices, and the masks that mark none, each with the reason.
    """
    owners: dict[PurePath, list[int]] = {}
    for index, image in enumerate(images):
        owners.setdefault(_key(place(image), image.stem, beside), []).append(index)
    pairs: dict[int, int] = {}
    problems = []
    for index, mask in enumerate(masks):
        stems = mask.stem, mask.stem.removesuffix(suffix)
        own = next((found for stem in stems if (found := owners.get(_key(place(mask), stem, beside)))), [])
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
    """Read what a mask marks, (H, W) bool, for an upright image of this size (W, H): all that is not background.

    Background is what is black or fully transparent; where nothing is, the colour of a palette's first entry (a GIF's:
    of its background). A drawing in black alone on a transparent ground is what is marked. In a file that keeps its
    values every one over 0 counts, so that labels of 1, 2 and 3 do; in one that does not, those over
    ``LOSSY_LIMIT``.

    Raises:
        DatasetError: it is no image, one of another size, or a lossy one of small values alone; the sentence does not
            name it.
    """
    try:
        content = content_of(path)
        open_photo(content)  # refuses what is no image, too large or damaged, before it is read once more
        with Image.open(io.BytesIO(content), formats=[*FORMATS]) as image:
            image.load()
            # Through the decoder once more, which knows how a picture is turned upright.
            marked = Image.fromarray(_marked(image, LOSSY_LIMIT if _is_lossy(image, content) else 0))
            marked.info["exif"] = image.info.get("exif", b"")
        mask = np.asarray(open_photo(marked).image).any(axis=2)
    except ImageError as error:
        raise DatasetError(f"The mask cannot be used: {error}") from error
    if mask.shape != size[::-1]:
        sizes = f"{mask.shape[1]} x {mask.shape[0]} pixels, its image {size[0]} x {size[1]}"
        raise DatasetError(f"The mask has {sizes}. Make both the same size.")
    return mask


def _marked(image: Image.Image, limit: int) -> np.ndarray:
    """Where an image of any mode, as it lies in its file, is not background."""
    if image.mode[0] in "IF":  # more than 8 bits, which the decoder would scale, and small labels away
        return np.nan_to_num(np.asarray(image)) > limit
    rgba = np.asarray(image.convert("RGBA"))
    opaque, black = rgba[..., 3] > 0, (rgba[..., :3] <= limit).all(axis=2)
    marked = opaque & ~black
    if not opaque.all():
        return marked if marked.any() else opaque
    if limit and not marked.any() and rgba[..., :3].any():
        reason = f"The mask has no value over {limit}, and its format does not keep smaller ones."
        raise DatasetError(f"{reason} Save it as PNG.")
    if image.mode == "P" and marked.all():
        own = np.asarray(image.convert("RGB"))
        marked = (own != _ground(image)).any(axis=2)
        return marked if marked.any() else ~marked
    return marked


def _ground(image: Image.Image) -> list[int]:
    """The colour of a palette picture's background."""
    background = image.info.get("background", 0)
    first = 3 * (background if isinstance(background, int) else 0)
    return (image.getpalette("RGB") or [0, 0, 0])[first : first + 3]


def _is_lossy(image: Image.Image, content: bytes) -> bool:
    """Whether a file's values are near those that were saved, not the same."""
    if image.format == "TIFF":
        return image.info.get("compression") in ("jpeg", "tiff_jpeg", "webp")
    if image.format == "WEBP":
        return b"VP8L" not in _webp_chunks(content)
    return image.format not in LOSSLESS


def _webp_chunks(content: bytes) -> Iterator[bytes]:
    """The kinds of the chunks of a WebP file; “VP8L” is the lossless picture."""
    at = 12
    while at + 8 <= len(content):
        kind, length = struct.unpack_from("<4sI", content, at)
        yield kind
        at += 8 + length + length % 2
