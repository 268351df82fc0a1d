"""What a mask marks: all that is not background, whatever kind of file it is."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ltad.errors import DatasetError
from ltad.photos.masks import LOSSY_LIMIT, read_mask

HEIGHT, WIDTH = 40, 56
Y, X = np.mgrid[:HEIGHT, :WIDTH]
DEFECT = ((Y - 14) / 9) ** 2 + ((X - 36) / 15) ** 2 < 1  # in one half, so that no turn of the picture leaves it alone


def grey(value: int = 255) -> Image.Image:
    return Image.fromarray((DEFECT * value).astype(np.uint8))


def coloured(ground: tuple[int, ...], mark: tuple[int, ...]) -> Image.Image:
    return Image.fromarray(np.where(DEFECT[..., None], np.array(mark), np.array(ground)).astype(np.uint8))


def palette(*colours: tuple[int, int, int], numbers: np.ndarray = DEFECT) -> Image.Image:
    image = Image.fromarray(numbers.astype(np.uint8))
    image.putpalette([value for colour in colours for value in colour])
    return image


BLACK, WHITE, RED = (0, 0, 0), (255, 255, 255), (255, 0, 0)
LABELS = np.where(DEFECT, 1 + X % 3, 0)

MASKS: dict[str, tuple[str, Callable[[], Image.Image], dict]] = {  # the ending, the picture, and how it is saved
    "white on black": (".png", grey, {}),
    "one bit": (".png", lambda: Image.fromarray(DEFECT), {}),
    "labels 1, 2, 3": (".png", lambda: Image.fromarray(LABELS.astype(np.uint8)), {}),
    "labels in 16 bits": (".png", lambda: Image.fromarray(LABELS.astype(np.uint16)), {}),
    "labels in 16 bits beside a large one": (
        ".png",
        lambda: Image.fromarray(np.where(LABELS == 2, 60_000, LABELS).astype(np.uint16)),
        {},
    ),
    "labels in 32 bits": (".tif", lambda: Image.fromarray(LABELS.astype(np.int32)), {}),
    "shares": (".tiff", lambda: Image.fromarray((DEFECT / 100).astype(np.float32)), {}),
    "labels as BMP": (".bmp", lambda: Image.fromarray(LABELS.astype(np.uint8)), {}),
    "labels as lossless WebP": (".webp", lambda: Image.fromarray(LABELS.astype(np.uint8)), {"lossless": True}),
    "red on black": (".png", lambda: coloured(BLACK, RED), {}),
    "a palette on black": (".png", lambda: palette(BLACK, (0, 0, 1)), {}),
    "a palette on white": (".png", lambda: palette(WHITE, RED), {}),
    "a palette on white as GIF": (".gif", lambda: palette(WHITE, RED), {}),
    "a palette on grey with labels": (".png", lambda: palette((9, 9, 9), RED, WHITE, (1, 2, 3), numbers=LABELS), {}),
    "a palette whose second colour is black": (".png", lambda: palette(RED, BLACK, numbers=~DEFECT), {}),
    "a palette with a transparent colour": (".png", lambda: palette(WHITE, RED), {"transparency": 0}),
    "a palette on white that is black": (".png", lambda: palette(WHITE, BLACK), {"transparency": 0}),
    "red on transparent": (".png", lambda: coloured((0, 0, 0, 0), (255, 0, 0, 255)), {}),
    "white on transparent white": (".png", lambda: coloured((255, 255, 255, 0), (255, 255, 255, 255)), {}),
    "black on transparent": (".png", lambda: coloured((255, 255, 255, 0), (0, 0, 0, 255)), {}),
    "faint on transparent": (".png", lambda: coloured((0, 0, 0, 0), (255, 0, 0, 40)), {}),
    "opaque with alpha": (".png", lambda: coloured((0, 0, 0, 255), (255, 255, 255, 255)), {}),
    "grey with alpha": (".png", lambda: coloured((0, 0), (90, 255)), {}),
    "transparent as WebP": (".webp", lambda: coloured((0, 0, 0, 0), (255, 0, 0, 255)), {"quality": 80}),
    "black on transparent as WebP": (".webp", lambda: coloured((255, 255, 255, 0), (0, 0, 0, 255)), {"quality": 80}),
    "CMYK": (".tif", lambda: grey().convert("RGB").convert("CMYK"), {}),
}


def marks(image: Image.Image, path: Path, **how: object) -> np.ndarray:
    image.save(path, **how)
    return read_mask(path, (WIDTH, HEIGHT))


@pytest.mark.parametrize("kind", MASKS)
def test_what_is_not_background_is_marked(kind: str, tmp_path: Path) -> None:
    ending, make, how = MASKS[kind]
    np.testing.assert_array_equal(marks(make(), tmp_path / f"mask{ending}", **how), DEFECT)


@pytest.mark.parametrize(("ending", "how"), [(".jpg", {}), (".webp", {}), (".tif", {"compression": "jpeg"})])
@pytest.mark.parametrize("quality", [50, 75, 95])
@pytest.mark.parametrize("value", [255, 160])
def test_lossy_files_do_not_grow(ending: str, how: dict, quality: int, value: int, tmp_path: Path) -> None:
    found = marks(grey(value), tmp_path / f"mask{ending}", quality=quality, **how)
    assert (found ^ DEFECT).sum() <= 0.01 * DEFECT.sum()
    saved = np.asarray(Image.open(tmp_path / f"mask{ending}").convert("L"))
    assert ((saved > 0) & ~DEFECT).sum() > 0 or quality == 95  # values near zero, which the rule is for


@given(value=st.integers(0, 255), ending=st.sampled_from([".png", ".jpg"]))
def test_the_limits(value: int, ending: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A plain picture is not changed by being saved: every value over 0 of a lossless file, over 64 of a lossy one."""
    path, limit = tmp_path_factory.mktemp("limits") / f"plain{ending}", 0 if ending == ".png" else LOSSY_LIMIT
    plain = Image.new("L", (WIDTH, HEIGHT), value)
    if 0 < value <= limit:
        with pytest.raises(DatasetError, match=r"no value over 64, .* Save it as PNG\."):
            marks(plain, path)
    else:
        found = marks(plain, path)
        assert found.all() == found.any() == (value > limit)


def test_a_mask_of_one_colour_is_whole_or_empty(tmp_path: Path) -> None:
    everywhere = np.zeros_like(DEFECT)
    assert marks(palette(RED, numbers=everywhere), tmp_path / "red.png").all()
    assert not marks(palette(BLACK, numbers=everywhere), tmp_path / "black.png").any()
    assert not marks(coloured((0, 0, 0, 0), (0, 0, 0, 0)), tmp_path / "clear.png").any()


@pytest.mark.parametrize("ending", [".png", ".jpg", ".tif"])
def test_a_mask_is_turned_as_its_picture_is(ending: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = Image.fromarray(np.rot90(DEFECT * np.uint8(255)).copy())
    found = marks(turned, tmp_path / f"mask{ending}", exif=exif, **({"quality": 95} if ending == ".jpg" else {}))
    np.testing.assert_array_equal(found, DEFECT)


def test_what_is_no_mask_of_the_picture_gets_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    Image.new("L", (WIDTH, HEIGHT + 1)).save(path)
    with pytest.raises(
        DatasetError, match=r"^The mask has 56 x 41 pixels, its image 56 x 40\. Make both the same size\.$"
    ):
        read_mask(path, (WIDTH, HEIGHT))
    for content, reason in (
        (b"nothing", "not an image"),
        (path.read_bytes()[:60], "cut off or damaged"),
        (b"", "empty"),
    ):
        path.write_bytes(content)
        with pytest.raises(DatasetError, match=f"^The mask cannot be used: This image is .*{reason}"):
            read_mask(path, (WIDTH, HEIGHT))
    with pytest.raises(DatasetError, match="cannot be opened: No such file or directory"):
        read_mask(tmp_path / "absent.png", (WIDTH, HEIGHT))
