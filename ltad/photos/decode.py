"""The one decoder: app, web interface, commands, training and masks all come through here."""

import io
import os
import threading
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageCms

from ltad.errors import ImageError

FORMATS = {  # that can be read, each with the endings of its files
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jfif"),
    "WEBP": (".webp",),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
    "GIF": (".gif",),
}
SUFFIXES = frozenset(suffix for suffixes in FORMATS.values() for suffix in suffixes)
READABLE = f"{', '.join([*FORMATS][:-1])} or {[*FORMATS][-1]}"
MAX_BYTES = 20_000_000
MAX_PIXELS = 40_000_000
MAX_SIDE = 12_000
MIN_SIDE = 16
_TOO_LARGE = f"has more than {MAX_PIXELS // 10**6} megapixels, the limit. Make it smaller and try again."
# Pillow warns about odd files; silencing that changes the whole process, so only one file is decoded at a time.
_decoding = threading.Lock()
_TURNS = {  # by the number in the EXIF data
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_CONVERTED = {"1": "1-bit black and white", "P": "palette colours", "PA": "palette colours", "LAB": "Lab"}
_CONVERTED |= {mode: mode for mode in ("CMYK", "YCbCr", "HSV")}


@dataclass(frozen=True)
class Photo:
    """An upright 8-bit RGB image without metadata, and what was done to make it one, in words for its user."""

    image: Image.Image
    notes: tuple[str, ...] = ()


def open_photo(source: str | os.PathLike[str] | bytes | BinaryIO | Image.Image) -> Photo:
    """Decode a photograph from a path, its bytes, an open file or a Pillow image.

    The size in the header is checked before any pixel is decoded. Of several frames the first is taken; greys of
    more than 8 bits are scaled as ``_to_8_bits`` says; transparent parts are laid on white.

    Raises:
        ImageError: the file is missing, empty, over 20 MB, 40 megapixels or 12 000 pixels a side, under 16 pixels a
            side, not one of ``FORMATS``, or damaged.
    """
    name, content = (None, source) if isinstance(source, Image.Image) else _read(source)
    subject = f"“{name}”" if name else "This image"
    try:
        with _decoding, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image, notes, turn = _load(content, subject)
        rgb = _to_rgb(image, subject, notes)
    except MemoryError as error:
        raise ImageError(f"{subject} needs more memory than there is. Make it smaller and try again.") from error
    if turn is not None:
        rgb = rgb.transpose(turn)
    rgb.info.clear()
    return Photo(rgb, tuple(notes))


def read_image(path: Path) -> Image.Image:
    """The upright RGB image of a file; raises what ``open_photo`` raises."""
    return open_photo(path).image


def _read(source: str | os.PathLike[str] | bytes | BinaryIO) -> tuple[str | None, bytes]:
    """Return the file's name, where known, and its bytes, at most one more than the limit."""
    if isinstance(source, bytes):
        return None, source
    if hasattr(source, "read"):
        name = getattr(source, "name", None)
        return Path(name).name if isinstance(name, str) else None, source.read(MAX_BYTES + 1)
    path = Path(source)
    if not path.is_file():
        raise ImageError(f"“{path}” is not a file. Check the path.")
    try:
        with path.open("rb") as file:
            return path.name, file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ImageError(f"“{path}” cannot be opened: {error.strerror}. Check the file and its permissions.") from error


def _open(content: bytes, subject: str) -> Image.Image:
    """Read the header; the pixels come later."""
    if not content:
        raise ImageError(f"{subject} is empty: it has 0 bytes. Save or copy it again.")
    if len(content) > MAX_BYTES:
        raise ImageError(f"{subject} is larger than {MAX_BYTES // 10**6} MB, the limit. Make it smaller and try again.")
    try:
        return Image.open(io.BytesIO(content), formats=[*FORMATS])
    except Image.DecompressionBombError as error:
        raise ImageError(f"{subject} {_TOO_LARGE}") from error
    except Exception as error:  # whatever the bytes provoke
        raise ImageError(f"{subject} is not an image that can be read. Save it as {READABLE}.") from error


def _load(content: bytes | Image.Image, subject: str) -> tuple[Image.Image, list[str], Image.Transpose | None]:
    """Decode all pixels; return the image, the notes so far and the turn that is still to be made."""
    notes = []
    image = content if isinstance(content, Image.Image) else _open(content, subject)
    _check_size(*image.size, subject)
    if not image.mode.startswith("I") and any(";16" in str(tile[3]) for tile in getattr(image, "tile", ())):
        notes.append("16-bit colours read as their upper 8 bits")
    # Pillow turns a TIFF by itself while it loads, and then forgets the orientation.
    turned = image.format == "TIFF" and _orientation(image, []) in _TURNS
    try:
        if image is not content and (frames := _frames(image)) > 1:
            notes.append(f"first of {frames} frames")
        image.load()
    except Exception as error:  # whatever the bytes provoke
        message = f"{subject} is cut off or damaged: only part of the image can be read. Save or copy it again."
        raise ImageError(message) from error
    turn = _TURNS.get(_orientation(image, notes))
    if turned or turn is not None:
        notes.append("rotated as its EXIF data says")
    return image, notes, turn


def _check_size(width: int, height: int, subject: str) -> None:
    size = f"{width} x {height} pixels"
    if max(width, height) > MAX_SIDE:
        raise ImageError(f"{subject} has {size}; the limit is {MAX_SIDE} a side. Make it smaller and try again.")
    if width * height > MAX_PIXELS:
        raise ImageError(f"{subject} {_TOO_LARGE}")
    if min(width, height) < MIN_SIDE:
        raise ImageError(f"{subject} has only {size}; at least {MIN_SIDE} a side are needed. Take a larger image.")


def _frames(image: Image.Image) -> int:
    try:
        return getattr(image, "n_frames", 1)
    except Exception:  # a later frame is damaged, which does not matter
        image.seek(0)
        return 1


def _orientation(image: Image.Image, notes: list[str]) -> int:
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # the picture is still good
        notes.append("damaged EXIF data ignored")
        return 1


def _to_rgb(image: Image.Image, subject: str, notes: list[str]) -> Image.Image:
    """Convert any mode to RGB and any colour profile to sRGB; what changes colours is noted."""
    profile = image.info.get("icc_profile")
    if image.mode in _CONVERTED:
        notes.append(f"{_CONVERTED[image.mode]} converted to RGB")
    if image.mode == "LAB":
        return _convert_profile(image, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")))
    if image.mode[0] in "IF":
        values, note = _to_8_bits(np.asarray(image), subject)
        image = Image.fromarray(values)
        notes.append(note)
    if image.has_transparency_data:
        image = _lay_on_white(image, notes)
    elif image.mode not in ("L", "CMYK", "RGB"):
        image = image.convert("RGB")
    if profile:
        image = _apply_profile(image, profile, notes)
    return image.convert("RGB")  # a copy where it was RGB: without metadata, and not the caller's own


def _lay_on_white(image: Image.Image, notes: list[str]) -> Image.Image:
    rgba = image.convert("RGBA")
    if rgba.getchannel("A").getextrema()[0] == 255:
        return rgba.convert("RGB")
    notes.append("transparent parts laid on white")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")


def _apply_profile(image: Image.Image, profile: bytes, notes: list[str]) -> Image.Image:
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" in ImageCms.getProfileDescription(opened):
            return image
        converted = _convert_profile(image, opened)
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        notes.append("colour profile could not be used and was ignored")
        return image
    notes.append("colour profile converted to sRGB")
    return converted


def _convert_profile(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    return ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), image.mode, "RGB").apply(image)


def _to_8_bits(values: np.ndarray, subject: str) -> tuple[np.ndarray, str]:
    """Scale greys of more than 8 bits to 0..255, with the sentence that says how.

    Whole numbers from 0 to 65535: by the first of 8, 10, 12 and 16 bits that holds the largest one found. Others:
    floating-point values within [0, 1] from that range, all the rest from the least to the greatest finite value.
    NaN becomes black.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        raise ImageError(f"{subject} holds no numbers: every value is NaN or infinite. Export it again.")
    low, high = finite.min().item(), finite.max().item()
    if values.dtype.kind != "f" and low >= 0 and high <= 65535:
        low, high = 0, next(top for top in (255, 1023, 4095, 65535) if high <= top)
        note = f"16-bit values from 0 to {high} scaled to 8 bits"
    else:
        if values.dtype.kind == "f" and low >= 0 and high <= 1:
            low, high = 0.0, 1.0
        kind = "floating-point" if values.dtype.kind == "f" else "32-bit"
        note = f"{kind} values from {low:g} to {high:g} scaled to 8 bits"
        if finite.size < values.size:
            note += ", those that are no number set to black and infinite ones to the ends"
    scaled = np.nan_to_num(values.astype(np.float64), copy=False, nan=low, posinf=high, neginf=low)
    scaled -= low
    scaled *= 255 / ((high - low) or 1)
    return scaled.round(out=scaled).astype(np.uint8), note
