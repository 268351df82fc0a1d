"""The one decoder: what it reads, what it says of it, and what it refuses in a sentence."""

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from ltad.errors import ImageError
from ltad.photos import decode
from ltad.photos.decode import open_photo

WIDTH, HEIGHT = 40, 24


def encode(image: Image.Image, file_format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=file_format, **options)
    return buffer.getvalue()


def scene() -> Image.Image:
    """A picture whose corners differ: red, green / blue, white."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[:12, :20], pixels[:12, 20:] = (255, 0, 0), (0, 255, 0)
    pixels[12:, :20], pixels[12:, 20:] = (0, 0, 255), (255, 255, 255)
    return Image.fromarray(pixels)


def noise(mode: str = "RGB", size: tuple[int, int] = (64, 48)) -> Image.Image:
    return Image.effect_noise(size, 60).convert(mode)


def header_only(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    data = b"IDAT" + zlib.compress(b"")
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "BMP", "TIFF"])
def test_plain_pictures_need_no_note(file_format: str) -> None:
    photo = open_photo(encode(scene(), file_format))
    assert photo.notes == ()
    assert (photo.image.mode, photo.image.size, photo.image.info) == ("RGB", (WIDTH, HEIGHT), {})


def test_path_bytes_file_and_image_give_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encode(noise(), "PNG"))
    with path.open("rb") as file, Image.open(path) as image:
        photos = [open_photo(path), open_photo(str(path)), open_photo(path.read_bytes()), open_photo(file)]
        photos.append(open_photo(image))
    assert len({photo.image.tobytes() for photo in photos}) == 1


def test_a_given_image_is_left_as_it_was() -> None:
    image = scene()
    open_photo(image).image.putpixel((0, 0), (1, 2, 3))
    assert image.getpixel((0, 0)) == (255, 0, 0)


REFUSED = {
    "empty": (b"", "is empty: it has 0 bytes"),
    "text": (b"This is no image." * 50, "is not an image that can be read. Save it as PNG, JPEG"),
    "another format": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 50 50\n", "is not an image that can be read"),
    "bomb": (header_only(30_000, 30_000), "has more than 40 megapixels, the limit"),
    "warned of by Pillow": (header_only(11_900, 11_900), "has more than 40 megapixels, the limit"),
    "too many pixels": (header_only(8000, 5001), "has more than 40 megapixels, the limit"),
    "too long": (header_only(12_001, 100), "has 12001 x 100 pixels; the limit is 12000 a side"),
    "too small": (header_only(640, 15), "has only 640 x 15 pixels; at least 16 a side"),
    "header only": (header_only(640, 480), "is cut off or damaged"),
    "half a PNG": (encode(noise(), "PNG")[:1500], "is cut off or damaged"),
    "half a JPEG": (encode(noise(), "JPEG")[:1000], "is cut off or damaged"),
    "half a TIFF": (encode(noise(), "TIFF", compression="tiff_lzw")[:-900], "cut off or damaged|not an image"),
    "half a WEBP": (encode(noise(), "WEBP")[:400], "cut off or damaged|not an image"),
    "half a GIF": (encode(noise("L"), "GIF")[:1500], "is cut off or damaged"),
    "half a BMP": (encode(noise(), "BMP")[:4000], "is cut off or damaged"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_are_sentences_that_name_the_file(case: str, tmp_path: Path) -> None:
    content, sentence = REFUSED[case]
    path = tmp_path / "part 7.png"
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImageError, match=f"^“part 7.png” .*({sentence}).*\\.$"):
            open_photo(path)
        with pytest.raises(ImageError, match=f"^This image .*({sentence}).*\\.$"):
            open_photo(content)


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent.png"):
        with pytest.raises(ImageError, match="is not a file"):
            open_photo(path)


def test_pillow_is_left_as_it_was() -> None:
    limit, filters = Image.MAX_IMAGE_PIXELS, list(warnings.filters)
    open_photo(encode(scene(), "PNG"))
    with pytest.raises(ImageError):
        open_photo(header_only(30_000, 30_000))
    assert (Image.MAX_IMAGE_PIXELS, list(warnings.filters)) == (limit, filters)


# How the scene must be stored for each EXIF orientation to show it upright.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "WEBP", "JPEG"])
@pytest.mark.parametrize("orientation", STORED)
def test_exif_orientation(orientation: int, file_format: str) -> None:
    turn = STORED[orientation]
    stored = scene() if turn is None else scene().transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if file_format == "WEBP" else {}
    content = encode(stored, file_format, exif=exif, **options)
    for source in (content, Image.open(io.BytesIO(content))):
        photo = open_photo(source)
        assert photo.notes == (() if orientation == 1 else ("rotated as its EXIF data says",))
        difference = np.asarray(photo.image, float) - np.asarray(scene(), float)
        assert np.abs(difference).mean() < (8 if file_format == "JPEG" else 0.01)
        assert open_photo(photo.image).notes == ()


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
@pytest.mark.parametrize(("largest", "white"), [(200, 255), (1000, 1023), (4000, 4095), (60_000, 65_535)])
def test_16_bits_are_scaled_by_their_depth(largest: int, white: int, file_format: str) -> None:
    values = np.linspace(0, largest, 32 * 20).round().astype(np.uint16).reshape(20, 32)
    photo = open_photo(encode(Image.fromarray(values), file_format))
    assert photo.notes == (f"16-bit values from 0 to {white} scaled to 8 bits",)
    np.testing.assert_array_equal(np.asarray(photo.image)[..., 0], np.round(values * (255 / white)))


def test_big_endian_16_bits() -> None:
    values = np.linspace(0, 4000, 400).round().astype(">u2").reshape(20, 20)
    photo = open_photo(Image.frombytes("I;16B", (20, 20), values.tobytes()))
    np.testing.assert_array_equal(np.asarray(photo.image)[..., 2], np.round(values * (255 / 4095)))


def test_32_bit_integers_use_their_range() -> None:
    values = np.linspace(-1000, 200_000, 400).astype(np.int32).reshape(20, 20)
    photo = open_photo(encode(Image.fromarray(values), "TIFF"))
    assert photo.notes == ("32-bit values from -1000 to 200000 scaled to 8 bits",)
    assert photo.image.getextrema()[0] == (0, 255)


@pytest.mark.parametrize(("low", "high", "shown"), [(0.2, 0.6, (51, 153)), (-2, 6, (0, 255)), (-3e38, 3e38, (0, 255))])
def test_floats_use_the_unit_range_or_their_own(low: float, high: float, shown: tuple[int, int]) -> None:
    values = np.linspace(low, high, 400, dtype=np.float64).astype(np.float32).reshape(20, 20)
    photo = open_photo(encode(Image.fromarray(values), "TIFF"))
    assert photo.notes[0].startswith("floating-point values from ")
    assert photo.image.getextrema()[1] == shown


def test_floats_that_are_no_numbers() -> None:
    values = np.full((20, 20), 0.5, np.float32)
    values[0, :3] = np.nan, np.inf, -np.inf
    photo = open_photo(Image.fromarray(values))
    assert [photo.image.getpixel((x, 0))[0] for x in range(4)] == [0, 255, 0, 128]
    assert "no number" in photo.notes[0]
    with pytest.raises(ImageError, match="holds no numbers"):
        open_photo(Image.fromarray(np.full((20, 20), np.nan, np.float32)))
    constant = open_photo(Image.fromarray(np.full((20, 20), 7, np.float32)))
    assert constant.image.getextrema()[0] == (0, 0)


def test_bytes_are_limited_where_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = encode(noise(), "BMP")
    path = tmp_path / "part 7.bmp"
    path.write_bytes(content)
    open_photo(path)
    monkeypatch.setattr(decode, "MAX_BYTES", len(content) - 1)
    for source, subject in ((path, "“part 7.bmp”"), (content, "This image")):
        with pytest.raises(ImageError, match=f"^{subject} is larger than 0 MB, the limit. Make it smaller"):
            open_photo(source)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P"])
def test_transparent_parts_are_laid_on_white(mode: str) -> None:
    rgba = Image.new("RGBA", (32, 24), (0, 0, 0, 0))
    rgba.paste((0, 0, 0, 255), (16, 0, 32, 24))
    image = rgba.convert(mode)
    if mode == "P":
        image = rgba.quantize(4)
    photo = open_photo(encode(image, "PNG") if mode in ("RGBA", "LA", "P") else image)
    assert photo.notes[-1] == "transparent parts laid on white"
    assert photo.image.getpixel((2, 2)) == (255, 255, 255)
    assert photo.image.getpixel((30, 2)) == (0, 0, 0)


def test_a_transparent_colour_and_an_opaque_alpha() -> None:
    photo = open_photo(encode(scene(), "PNG", transparency=(255, 0, 0)))
    assert photo.notes == ("transparent parts laid on white",)
    assert photo.image.getpixel((0, 0)) == (255, 255, 255)
    photo = open_photo(encode(scene().convert("RGBA"), "PNG"))
    assert photo.notes == ()
    assert photo.image.tobytes() == scene().tobytes()


CONVERTED = {
    "CMYK converted to RGB": encode(scene().convert("CMYK"), "JPEG", quality=100),
    "palette colours converted to RGB": encode(scene().quantize(8), "PNG"),
    "1-bit black and white converted to RGB": encode(noise("1"), "PNG"),
    "YCbCr converted to RGB": scene().convert("YCbCr"),
    "HSV converted to RGB": scene().convert("HSV"),
}


@pytest.mark.parametrize("note", CONVERTED)
def test_other_colour_modes(note: str) -> None:
    photo = open_photo(CONVERTED[note])
    assert photo.notes == (note,)
    if not note.startswith("1-bit"):
        assert np.abs(np.asarray(photo.image, float) - np.asarray(scene(), float)).mean() < 3


def test_lab_and_grey() -> None:
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    photo = open_photo(ImageCms.applyTransform(scene(), to_lab))
    assert photo.notes == ("Lab converted to RGB",)
    assert np.abs(np.asarray(photo.image, float) - np.asarray(scene(), float)).mean() < 8
    grey = noise("L")
    assert open_photo(encode(grey, "PNG")).image.getchannel(1).tobytes() == grey.tobytes()


@pytest.mark.parametrize("file_format", ["GIF", "TIFF", "PNG", "WEBP"])
def test_animations_give_their_first_frame(file_format: str) -> None:
    frames = [Image.new("RGB", (32, 24), (200, 20 * i, 0)) for i in range(12)]
    photo = open_photo(encode(frames[0], file_format, save_all=True, append_images=frames[1:]))
    assert photo.notes[0] == "first of 12 frames"
    assert np.abs(np.asarray(photo.image, int) - (200, 0, 0)).max() < 12


def test_a_damaged_later_frame_does_not_matter() -> None:
    frames = [noise(size=(64, 48)) for _ in range(2)]
    content = encode(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    assert open_photo(content[:-60]).image.tobytes() == frames[0].tobytes()


def test_colour_profiles() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert open_photo(encode(scene(), "PNG", icc_profile=srgb)).notes == ()
    other = srgb.replace(b"s\0R\0G\0B", b"x\0R\0G\0B").replace(b"sRGB", b"xRGB")
    photo = open_photo(encode(scene(), "PNG", icc_profile=other))
    assert photo.notes == ("colour profile converted to sRGB",)
    assert np.abs(np.asarray(photo.image, int) - np.asarray(scene(), int)).max() <= 2
    for broken in (b"no profile", srgb[:200]):
        photo = open_photo(encode(scene(), "PNG", icc_profile=broken))
        assert photo.notes == ("colour profile could not be used and was ignored",)
        assert photo.image.tobytes() == scene().tobytes()


VALID = [encode(noise(size=(20, 18)), name) for name in ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")]
VALID.append(encode(Image.fromarray(np.arange(400, dtype=np.uint16).reshape(20, 20)), "TIFF"))


def only_image_errors(content: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            photo = open_photo(content)
        except ImageError:
            return
    assert photo.image.mode == "RGB"


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([b"", b"\xff\xd8\xff", b"GIF89a", b"II*\0", b"BM", b"RIFF"]))
def test_random_bytes_raise_image_errors_only(tail: bytes, magic: bytes) -> None:
    only_image_errors(magic + tail)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(VALID), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=8), st.floats(0, 1))
def test_damaged_files_raise_image_errors_only(content: bytes, changes: list[tuple[float, int]], cut: float) -> None:
    damaged = bytearray(content)
    for place, value in changes:  # most of them in the header, where the structure is
        damaged[int(place**3 * (len(content) - 1))] = value
    only_image_errors(bytes(damaged[: len(content) - int(cut**4 * len(content))]))
