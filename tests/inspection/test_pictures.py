"""Pictures of a map: the file that keeps its values, the scale that all share, and the overlay."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from ltad.errors import ImageError
from ltad.inspection.pictures import (
    COLOUR_MAPS,
    colour_levels,
    colour_table,
    full_scale,
    load_map,
    overlay,
    save_map,
)

maps = arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.floats(-5, 50, width=32))


# The file


@settings(deadline=None, max_examples=50)
@given(maps, st.floats(0.01, 1000))
def test_what_is_saved_is_loaded_to_the_unit_of_16_bits(anomaly_map: np.ndarray, top: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "map.png")
        save_map(anomaly_map, path, top)
        loaded = load_map(path)
    assert (loaded.dtype, loaded.shape) == (np.float32, anomaly_map.shape)
    np.testing.assert_allclose(loaded, anomaly_map.clip(0, top), atol=1.001 * top / 131070, rtol=1e-6)


def test_the_file_is_one_picture_of_16_bits_that_names_its_scale(tmp_path: Path) -> None:
    save_map(np.linspace(-1, 3, 12).reshape(3, 4), tmp_path / "map.png", 2)
    assert [file.name for file in tmp_path.iterdir()] == ["map.png"]
    with Image.open(tmp_path / "map.png") as image:
        assert (image.mode, image.size, image.info["full_scale"]) == ("I;16", (4, 3), "2.0")


def test_maps_that_cannot_be_written_leave_nothing(tmp_path: Path) -> None:
    path = tmp_path / "map.png"
    for scale in (0, -1, np.nan, np.inf):
        with pytest.raises(ValueError, match="full_scale"):
            save_map(np.zeros((4, 4)), path, scale)
    with pytest.raises(ValueError, match="finite"):
        save_map(np.full((4, 4), np.nan), path, 1)
    with pytest.raises(ValueError):
        save_map(np.zeros((0, 4)), path, 1)
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_no_maps(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    Image.new("RGB", (64, 48)).save(tmp_path / "photo.png")
    for name in ("text.png", "photo.png", "absent.png"):
        with pytest.raises(ImageError, match=f"{name}” is not an anomaly map"):
            load_map(tmp_path / name)


# The scale


def test_the_threshold_is_the_middle_of_the_scale_and_its_ends_are_kept() -> None:
    anomaly_map = np.array([[-9.0, 0, 1.5, 3, 4.5, 6, 99]])
    assert colour_levels(anomaly_map, 3).tolist() == [[0, 0, 64, 128, 191, 255, 255]]
    assert full_scale(3) == 6


@pytest.mark.parametrize("threshold", [0.0, -2.0])
def test_a_threshold_that_is_not_positive_still_has_a_scale(threshold: float) -> None:
    assert full_scale(threshold) > 0
    assert colour_levels(np.array([[-1.0, 0, 1]]), threshold).tolist() == [[0, 0, 255]]


@pytest.mark.parametrize("name", COLOUR_MAPS)
def test_colours_are_clear_where_all_is_normal_and_full_from_the_threshold_on(name: str) -> None:
    alpha = colour_table(name)[:, 3].astype(int)
    assert alpha[0] == 0 and (alpha[128:] == 255).all() and (np.diff(alpha) >= 0).all()
    assert len(np.unique(colour_table(name)[:, :3], axis=0)) > 200


# Over the photograph

SOUND, BORDER, BAD = 0, 3, 6  # columns of the map below, at a threshold of 2
MAP = np.repeat(np.array([[-1.0, 0, 0, 2, 2, 2, 4, 9]]), 6, axis=0)


@pytest.fixture
def photograph() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def test_a_clean_part_is_left_as_it_is(photograph: Image.Image) -> None:
    assert overlay(photograph, np.zeros((6, 8)), 2).tobytes() == photograph.tobytes()
    laid = np.asarray(overlay(photograph, MAP, 2))
    assert np.array_equal(laid[:, :BORDER], np.asarray(photograph)[:, :BORDER])
    assert (laid[:, BORDER:] != np.asarray(photograph)[:, BORDER:]).any(axis=(0, 2)).all()


def test_a_map_is_laid_as_thick_as_is_asked(photograph: Image.Image) -> None:
    colours = colour_table()[colour_levels(MAP, 2)][..., :3].astype(float)
    before = np.asarray(photograph, float)
    for opacity in (0.25, 0.75, 1.0):
        laid = np.asarray(overlay(photograph, MAP, 2, opacity), float)
        expected = (1 - opacity) * before + opacity * colours
        np.testing.assert_allclose(laid[:, BORDER:], expected[:, BORDER:], atol=2)


def test_the_photograph_itself_is_not_touched(photograph: Image.Image) -> None:
    before = photograph.tobytes()
    laid = overlay(photograph, MAP, 2)
    assert (laid.mode, laid.size) == ("RGB", photograph.size)
    assert laid.getpixel((SOUND, 0)) == photograph.getpixel((SOUND, 0))
    assert laid.getpixel((BAD, 0)) != photograph.getpixel((BAD, 0))
    assert photograph.tobytes() == before
