"""The one decoder: app, web interface, commands, training and masks all come through here."""

import io
import os
import threading
import warnings
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import BinaryIO, NamedTuple

import numpy as np
import pi_heif
from PIL import ExifTags, Image, ImageCms, ImageFile

from ltad.errors import ImageError
from ltad.photos.deep import (
    has_lower_bytes,
    has_planes,
    is_deep,
    is_grey,
    is_negative,
    stated_white,
    take_lower_bytes,
)
from ltad.photos.levels import WHITEST, Levels, levels_of

FORMATS = {  # that can be read, each with the endings of its files
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jfif"),
    "WEBP": (".webp",),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
    "GIF": (".gif",),
    "HEIF": (".heic", ".heif", ".hif"),
    "AVIF": (".avif",),
    "JPEG2000": (".jp2", ".j2k", ".jpx", ".j2c", ".jpc"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
}
SUFFIXES = frozenset(suffix for suffixes in FORMATS.values() for suffix in suffixes)
READABLE = "PNG, JPEG, WebP, BMP, TIFF, GIF, HEIC, AVIF, JPEG 2000 or PPM"
MAX_PIXELS = 40_000_000
MAX_BYTES = 8 * MAX_PIXELS  # of a file: as many as the most pixels take without compression, 16 bits and alpha
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

pi_heif.register_heif_opener()


@dataclass(frozen=True)
class Photo:
    """An upright 8-bit RGB image without metadata, and what was done to make it one, in words for its user.

    levels: by which values of more than 8 bits are shown; None where the file has none.
    """

    image: Image.Image
    notes: tuple[str, ...] = ()
    levels: Levels | None = None


class _Decoded(NamedTuple):
    """What a file holds: the image as Pillow has it, its values of more than 8 bits, and what is known of them.

    values: (H, W), or (H, W, C) with alpha last; None where 8 bits are all. white: the value that the file says is
    white. negative: whether it says that of the smallest one. turn: what is still to be done.
    """

    image: Image.Image
    values: np.ndarray | None
    white: int | None
    negative: bool
    notes: list[str]
    turn: Image.Transpose | None


def open_photo(source: str | os.PathLike[str] | bytes | BinaryIO | Image.Image, levels: Levels | None = None) -> Photo:
    """Decode a photograph from a path, its bytes, an open file or a Pillow image.

    The size in the header is checked before any pixel is decoded. Of several frames the first is taken; values of
    more than 8 bits are shown by the levels that are given, or by the picture's own, see ``levels_of``; transparent
    parts are laid on white, but where nothing at all would be left.

    Raises:
        ImageError: the file is missing, empty, over 320 MB, 40 megapixels or 12 000 pixels a side, under 16 pixels a
            side, not one of ``FORMATS``, or damaged.
    """
    name, content = (None, source) if isinstance(source, Image.Image) else _read(source)
    subject = f"“{name}”" if name else "This image"
    try:
        with _decoding, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            decoded = _load(content, subject)
        image, values = decoded.image, decoded.values
        image, levels = (image, None) if values is None else _in_8_bits(decoded, values, levels, subject)
        rgb = _to_rgb(image, decoded.image.info.get("icc_profile"), decoded.notes)
    except MemoryError as error:
        raise ImageError(f"{subject} needs more memory than there is. Make it smaller and try again.") from error
    if decoded.turn is not None:
        rgb = rgb.transpose(decoded.turn)
    rgb.info.clear()
    return Photo(rgb, tuple(decoded.notes), levels)


def read_levels(path: Path) -> Levels | None:
    """A file's own levels; None where it has 8 bits, which its header tells, or cannot be read."""
    try:
        with _decoding, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=[*FORMATS]) as image:
                deep = is_deep(image)
        return open_photo(path).levels if deep else None
    except Exception:  # whatever the bytes provoke; who reads the picture is told
        return None


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


def _open(content: bytes, subject: str) -> ImageFile.ImageFile:
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
        kind = Image.registered_extensions().get(PurePath(subject.rstrip("”")).suffix.lower())
        what = "an image that can be read" if kind in (None, *FORMATS) else f"read: {kind} is not among the formats"
        raise ImageError(f"{subject} is not {what}. Save it as {READABLE}.") from error


def _load(content: bytes | Image.Image, subject: str) -> _Decoded:
    """Decode all pixels."""
    notes: list[str] = []
    image = content if isinstance(content, Image.Image) else _open(content, subject)
    _check_size(*image.size, subject)
    if has_planes(image):
        raise ImageError(f"{subject} keeps 16-bit colours in planes, which cannot be read. Save it without planes.")
    white = lower = None
    if isinstance(content, bytes):
        white = stated_white(image, content)
        if has_lower_bytes(image):
            lower = _open(content, subject)
            take_lower_bytes(lower)
    if lower is None and is_deep(image) and not is_grey(image):
        notes.append("16-bit colours read as their upper 8 bits")
    # Pillow turns a TIFF by itself while it loads, and then forgets the orientation.
    turned = image.format == "TIFF" and _orientation(image, []) in _TURNS
    try:
        if image is not content and (frames := _frames(image)) > 1:
            notes.append(f"first of {frames} frames")
        image.load()
        values = np.asarray(image) if is_grey(image) else None
        if lower is not None:
            values = np.asarray(image, np.uint16) << 8 | np.asarray(lower)
    except Exception as error:  # whatever the bytes provoke
        message = f"{subject} is cut off or damaged: only part of the image can be read. Save or copy it again."
        raise ImageError(message) from error
    turn = _TURNS.get(_orientation(image, notes))
    if turned or turn is not None:
        notes.append("rotated as its EXIF data says")
    return _Decoded(image, values, white, is_negative(image), notes, turn)


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


def _in_8_bits(
    decoded: _Decoded, values: np.ndarray, levels: Levels | None, subject: str
) -> tuple[Image.Image, Levels]:
    """Values of more than 8 bits as a picture of 8, and the levels by which they are shown; alpha stays."""
    image, notes = decoded.image, decoded.notes
    colours = values[..., :3] if values.ndim == 3 else values
    levels = levels or levels_of(colours, decoded.white)
    if levels is None:
        raise ImageError(f"{subject} holds no numbers: every value is NaN or infinite. Export it again.")
    shown = levels.show(colours)
    picture = Image.fromarray(255 - shown if decoded.negative else shown)
    kind = "floating-point" if values.dtype.kind == "f" else "16-bit" if levels.high <= WHITEST else "32-bit"
    notes.append(f"{kind} values from {levels.low:g} to {levels.high:g} scaled to 8 bits")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        notes[-1] += ", those that are no number set to black and infinite ones to the ends"
    if decoded.negative:
        notes.append("the smallest value is white, as the file says")
    if image.mode == "RGBA":
        picture.putalpha(image.getchannel("A"))
    return picture, levels


def _to_rgb(image: Image.Image, profile: bytes | None, notes: list[str]) -> Image.Image:
    """Convert any mode to RGB and any colour profile to sRGB; what changes colours is noted."""
    if image.mode in _CONVERTED:
        notes.append(f"{_CONVERTED[image.mode]} converted to RGB")
    if image.mode == "LAB":
        return _convert_profile(image, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")))
    if image.has_transparency_data:
        image = _lay_on_white(image, notes)
    elif image.mode not in ("L", "CMYK", "RGB"):
        image = image.convert("RGB")
    if profile:
        image = _apply_profile(image, profile, notes)
    return image.convert("RGB")  # a copy where it was RGB: without metadata, and not the caller's own


def _lay_on_white(image: Image.Image, notes: list[str]) -> Image.Image:
    rgba = image.convert("RGBA")
    least, most = rgba.getchannel("A").getextrema()
    if most == 0:  # cameras and editors leave a channel empty that they do not use
        notes.append("transparency that would hide everything ignored")
    if least == 255 or most == 0:
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
