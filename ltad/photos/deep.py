"""Files of more than 8 bits a channel: which they are, all of their bits, and what they say of them.

Pillow keeps greys as they are, and of colours the upper 8 bits only.
"""

import struct
import sys
from collections.abc import Iterable, Iterator

from PIL import Image, ImageFile, TiffImagePlugin

from ltad.photos.levels import WHITES, WHITEST

BITS_PER_SAMPLE, PHOTOMETRIC, MAX_SAMPLE, PLANES, SMAX_SAMPLE = 258, 262, 281, 284, 341  # tags of TIFF
WHITE_IS_ZERO, APART = 0, 2  # of PHOTOMETRIC, of PLANES
# How Pillow takes the upper bytes of 16 bits, and how it takes the lower ones instead.
OTHER_BYTE = {
    f"{mode};16{order}": f"{mode};16{other}"
    for mode in ("RGB", "RGBA", "RGBX")
    for order, other in (("L", "B"), ("B", "L"), ("N", "B" if sys.byteorder == "little" else "L"))
}


def is_grey(image: Image.Image) -> bool:
    """Whether an image has greys of more than 8 bits."""
    return image.mode[0] in "IF"


def is_deep(image: Image.Image) -> bool:
    """Whether a file that is not decoded yet has more than 8 bits a channel."""
    return is_grey(image) or any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))


def has_lower_bytes(image: Image.Image) -> bool:
    """Whether a file that is not decoded yet has colours whose lower bytes can be had."""
    tiles = getattr(image, "tile", ())
    return bool(tiles) and all(_raw_mode(tile) in OTHER_BYTE for tile in tiles)


def take_lower_bytes(image: ImageFile.ImageFile) -> None:
    """Have a file that ``has_lower_bytes`` decoded to these."""
    image.tile = [tile._replace(args=_with_raw_mode(tile, OTHER_BYTE[_raw_mode(tile)])) for tile in image.tile]


def _raw_mode(tile: ImageFile._Tile) -> str:
    return tile.args if isinstance(tile.args, str) else str((tile.args or ("",))[0])


def _with_raw_mode(tile: ImageFile._Tile, raw: str) -> str | tuple:
    return raw if isinstance(tile.args, str) else (raw, *(tile.args or ())[1:])


def stated_white(image: Image.Image, content: bytes) -> int | None:
    """The value of white by a file's own words; None where it has none."""
    if image.format == "PNG":
        return _white_of(_significant_bits(content))
    if image.format in ("PPM", "JPEG2000"):  # Pillow brings their depth to 16 bits
        return WHITEST
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        greatest = max([*_whole_numbers(image, SMAX_SAMPLE), *_whole_numbers(image, MAX_SAMPLE)], default=0)
        named = next((white for white in WHITES if greatest <= white), None) if greatest > WHITES[0] else None
        return _white_of(_whole_numbers(image, BITS_PER_SAMPLE)) or named
    return None


def is_negative(image: Image.Image) -> bool:
    """Whether a file says that its smallest value is white, which Pillow heeds for 8 bits only."""
    return isinstance(image, TiffImagePlugin.TiffImageFile) and image.tag_v2.get(PHOTOMETRIC) == WHITE_IS_ZERO


def has_planes(image: Image.Image) -> bool:
    """Whether a file keeps each colour's 16 bits apart from the others', which Pillow takes for 8 bits."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile) or image.tag_v2.get(PLANES) != APART:
        return False
    return max(_whole_numbers(image, BITS_PER_SAMPLE), default=1) > 8


def _white_of(bits: Iterable[int]) -> int | None:
    """The greatest value of so many bits; all 16 say nothing of what a camera fills them with."""
    most = max(bits, default=0)
    return 2**most - 1 if 8 < most < 16 else None


def _whole_numbers(image: TiffImagePlugin.TiffImageFile, tag: int) -> list[int]:
    """A tag's values that are whole numbers; a damaged one has none."""
    values = image.tag_v2.get(tag)
    return [each for each in (values if isinstance(values, tuple) else (values,)) if isinstance(each, int)]


def _significant_bits(content: bytes) -> Iterator[int]:
    """The numbers of a PNG's chunk sBIT, which stands before the pixels."""
    place = 8  # behind the signature
    while place + 8 <= len(content):
        size, kind = struct.unpack_from(">I4s", content, place)
        if kind == b"sBIT":
            yield from content[place + 8 : place + 8 + min(size, 4)]
        if kind in (b"sBIT", b"IDAT"):
            return
        place += size + 12
