"""Pictures of more than 8 bits, and formats beside the usual ones: each kind with what it must look like."""

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ltad.errors import ImageError
from ltad.photos.decode import open_photo, read_levels
from ltad.photos.levels import OUTLIERS, WHITES, Levels, levels_of

HEIGHT, WIDTH = 40, 60
PNG_COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}  # by channels
OPAQUE = np.full((HEIGHT, WIDTH), 65535)


def noise(top: int, channels: int = 1) -> np.ndarray:
    values = np.random.default_rng(top).integers(0, top + 1, (HEIGHT, WIDTH, channels))
    values[0, :4] = top
    return values[..., 0] if channels == 1 else values


def png(values: np.ndarray, significant: int | None = None) -> bytes:
    """A PNG of 16 bits; significant: bits, as its chunk sBIT says."""
    channels = 1 if values.ndim == 2 else values.shape[2]
    rows = values.astype(">u2").reshape(len(values), -1)
    header = struct.pack(">IIBBBBB", values.shape[1], len(values), 16, PNG_COLOURS[channels], 0, 0, 0)
    chunks = [b"IHDR" + header, b"IDAT" + zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows)), b"IEND"]
    if significant:
        chunks.insert(1, b"sBIT" + bytes([significant] * channels))
    packed = (struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def tiff(values: np.ndarray, tags: dict[int, int] | None = None, order: str = "<") -> bytes:
    """An uncompressed TIFF of 16 bits; tags: further ones, or others in the place of the usual ones."""
    height, width, channels = values.reshape(*values.shape[:2], -1).shape
    entries = {
        256: width,
        257: height,
        258: 0,
        259: 1,
        262: 2 if channels > 1 else 1,
        273: 0,
        277: channels,
        278: height,
    }
    entries |= {279: values.size * 2} | (tags or {})
    end = 8 + 2 + 12 * len(entries) + 4
    entries[273] = end + 2 * channels
    body = b""
    for tag, value in sorted(entries.items()):
        count, where = (channels, end if channels > 2 else 0) if tag == 258 else (1, value)
        short = tag not in (256, 257, 273, 278, 279)
        if tag == 258 and channels <= 2:
            where = struct.unpack(order + "I", struct.pack(order + "HH", 16, 16))[0]
        elif short and tag != 258:
            where = struct.unpack(order + "I", struct.pack(order + "HH", value, 0))[0]
        body += struct.pack(order + "HHII", tag, 3 if short else 4, count, where)
    head = (
        (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8) + struct.pack(order + "H", len(entries))
    )
    bits = struct.pack(order + f"{channels}H", *[16] * channels)
    return head + body + struct.pack(order + "I", 0) + bits + values.astype(f"{order}u2").tobytes()


def bmp(colour: tuple[int, int, int, int]) -> bytes:
    """A BMP of 32 bits, one colour (blue, green, red, alpha), whose header tells where each of them lies."""
    pixels = bytes(colour) * (WIDTH * HEIGHT)
    header = struct.pack("<IiiHHIIiiII", 56, WIDTH, HEIGHT, 1, 32, 3, len(pixels), 2835, 2835, 0, 0)
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    return b"BM" + struct.pack("<IHHI", 70 + len(pixels), 0, 0, 70) + header + masks + pixels


def saved(image: Image.Image, file_format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=file_format, **options)
    return buffer.getvalue()


def with_hot_pixel(values: np.ndarray) -> np.ndarray:
    values = values.copy()
    values[5, 5] = 65535
    return values


DARK, RGB = noise(4095) // 9, noise(4095, 3)
KINDS = {  # what a file holds, the value that is white in it, and the values themselves
    "10 bits": (png(noise(1023)), 1023, noise(1023)),
    "12 bits": (png(noise(4095)), 4095, noise(4095)),
    "14 bits": (png(noise(16383)), 16383, noise(16383)),
    "16 bits": (png(noise(65535)), 65535, noise(65535)),
    "a hot pixel in 12 bits": (png(with_hot_pixel(noise(4095))), 4095, noise(4095)),
    "dark, PNG states 12 bits": (png(DARK, 12), 4095, DARK),
    "PNG states 12 bits, and scaled them as its standard says": (png(noise(65535), 12), 65535, noise(65535)),
    "dark, TIFF states its greatest value": (tiff(DARK, {281: 4000}), 4095, DARK),
    "dark, TIFF states its greatest sample": (tiff(DARK, {341: 4095}), 4095, DARK),
    "TIFF in 16 bits, white is 0": (tiff(noise(4095), {262: 0}), 4095, 4095 - noise(4095)),
    "big-endian TIFF": (tiff(noise(4095), order=">"), 4095, noise(4095)),
    "colours of 12 bits": (png(RGB), 4095, RGB),
    "colours of 12 bits with alpha": (png(np.dstack([RGB, OPAQUE])), 4095, RGB),
    "colours of 12 bits, TIFF": (tiff(RGB), 4095, RGB),
    "colours of 12 bits, big-endian TIFF": (tiff(RGB, order=">"), 4095, RGB),
    "colours of 16 bits": (png(noise(65535, 3)), 65535, noise(65535, 3)),
    "dark PGM, scaled by its own words": (saved(Image.fromarray(DARK.astype(np.uint16)), "PPM"), 65535, DARK),
    "dark JPEG 2000": (saved(Image.fromarray(DARK.astype(np.uint16)), "JPEG2000"), 65535, DARK),
}


@pytest.mark.parametrize("kind", KINDS)
def test_values_are_shown_by_their_depth(kind: str, tmp_path: Path) -> None:
    content, white, values = KINDS[kind]
    photo = open_photo(content)
    shown = np.asarray(photo.image)
    expected = values * (255 / white)
    off = np.abs(shown - (expected if values.ndim == 3 else expected[..., None])) > 0.51
    assert photo.levels == Levels(0, white) and off.any(2).sum() <= ("hot" in kind)
    assert photo.notes[0] == f"16-bit values from 0 to {white} scaled to 8 bits"
    (tmp_path / "a").write_bytes(content)
    assert read_levels(tmp_path / "a") == photo.levels


def test_libtiff_gives_the_same_as_plain_rows() -> None:
    image = Image.open(io.BytesIO(tiff(noise(4095))))
    packed = saved(image, "TIFF", compression="tiff_lzw")
    assert open_photo(packed).image.tobytes() == open_photo(tiff(noise(4095))).image.tobytes()


def test_colours_in_planes_are_refused() -> None:
    with pytest.raises(ImageError, match=r"keeps 16-bit colours in planes, which cannot be read\. Save it"):
        open_photo(tiff(RGB, {284: 2}))


def test_given_levels_are_kept_and_8_bits_have_none(tmp_path: Path) -> None:
    photo = open_photo(png(DARK), Levels(0, 4095))
    assert photo.levels == Levels(0, 4095) and photo.image.getextrema()[0][1] == round(DARK.max() * 255 / 4095)
    grey = Image.fromarray(noise(255).astype(np.uint8))
    assert open_photo(saved(grey, "PNG"), Levels(0, 4095)).image.getchannel(0).tobytes() == grey.tobytes()
    (tmp_path / "a.png").write_bytes(saved(grey, "PNG"))
    (tmp_path / "b.png").write_bytes(b"no picture")
    assert read_levels(tmp_path / "a.png") is None and read_levels(tmp_path / "b.png") is None


def test_an_outlier_of_floats_moves_their_levels_by_half_of_their_range() -> None:
    values = np.linspace(0, 1000, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)
    values[3, 3] = 3e38
    levels = open_photo(Image.fromarray(values)).levels
    assert levels is not None and levels.low == 0 and 1000 <= levels.high < 1550


@given(st.sampled_from(WHITES), st.floats(0, 1), st.integers(0, 2))
def test_few_hot_pixels_move_no_level(white: int, share: float, hot: int) -> None:
    values = np.full((50, 60), int(white * (0.51 + 0.49 * share)), dtype=np.uint16)
    before = levels_of(values)
    values.flat[:hot] = 65535  # of 3000: fewer than one in a thousand
    assert hot < OUTLIERS * values.size and levels_of(values) == before == Levels(0, white)


@settings(deadline=None)
@given(st.binary(min_size=64, max_size=64))
def test_all_numbers_give_a_picture_or_a_sentence(numbers: bytes) -> None:
    values = np.frombuffer(numbers, dtype=np.float32).reshape(4, 4)
    levels = levels_of(values)
    assert (levels is None) == (not np.isfinite(values).any())
    if levels is not None:
        shown = levels.show(values)
        assert shown.dtype == np.uint8 and (shown[np.isnan(values)] == 0).all()


HIDDEN = Image.new("RGBA", (WIDTH, HEIGHT), (200, 30, 60, 0))
OTHERS = {  # what else cameras and programs write, and the colour that it must have
    "empty alpha, PNG": (saved(HIDDEN, "PNG"), (200, 30, 60)),
    "empty alpha, TIFF": (saved(HIDDEN, "TIFF"), (200, 30, 60)),
    "empty alpha, grey": (saved(Image.new("LA", (WIDTH, HEIGHT), (90, 0)), "PNG"), (90, 90, 90)),
    "empty alpha of 16 bits": (png(np.dstack([np.full((HEIGHT, WIDTH, 3), 65535), 0 * OPAQUE])), (255, 255, 255)),
    "empty alpha, BMP": (bmp((60, 30, 200, 0)), (200, 30, 60)),
    "BMP of 32 bits": (saved(HIDDEN, "BMP"), (200, 30, 60)),
    "AVIF": (saved(Image.new("RGB", (WIDTH, HEIGHT), (200, 30, 60)), "AVIF"), (200, 30, 60)),
    "JPEG 2000": (saved(Image.new("RGB", (WIDTH, HEIGHT), (200, 30, 60)), "JPEG2000"), (200, 30, 60)),
    "PPM": (saved(Image.new("RGB", (WIDTH, HEIGHT), (200, 30, 60)), "PPM"), (200, 30, 60)),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_what_else_is_written_is_read(kind: str) -> None:
    content, colour = OTHERS[kind]
    photo = open_photo(content)
    assert np.abs(np.subtract(photo.image.getpixel((9, 9)), colour)).max() <= 4
    assert photo.notes[-1:] == (("transparency that would hide everything ignored",) if "empty" in kind else ())


def test_a_phones_photograph_is_read(phone: bytes) -> None:
    photo = open_photo(phone)
    assert photo.image.size == (48, 64) and photo.notes == ()
    assert photo.image.getpixel((10, 10))[0] > 150 > photo.image.getpixel((10, 50))[0]


@pytest.fixture
def phone() -> Iterator[bytes]:
    """A HEIC picture: red above blue, 48 wide and 64 high."""
    yield (Path(__file__).parent / "phone.heic").read_bytes()


def test_a_large_photograph_without_compression_is_read() -> None:
    content = saved(Image.new("RGB", (4000, 3000), "red"), "BMP")
    assert len(content) > 36_000_000
    assert open_photo(content).image.size == (4000, 3000)


@pytest.mark.parametrize(("name", "kind"), [("a.tga", "TGA"), ("a.psd", "PSD"), ("a.EPS", "EPS")])
def test_what_is_not_read_is_named(name: str, kind: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(bytes(500))
    with pytest.raises(ImageError, match=f"“{name}” is not read: {kind} is not among the formats. Save it as PNG, "):
        open_photo(tmp_path / name)
