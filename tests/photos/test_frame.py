"""The one geometry: a place in a photograph is the same place in its tensor, its mask and its map."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ltad.photos.frame import map_to_image, resize_mask, to_bytes

sides = st.integers(96, 200)
places = st.floats(0.35, 0.65)


def centre(weights: np.ndarray) -> tuple[float, float]:
    """The weighted middle, as a fraction of width and height."""
    rows, columns = np.indices(weights.shape) + 0.5
    total = weights.sum()
    return (weights * columns).sum() / total / weights.shape[1], (weights * rows).sum() / total / weights.shape[0]


@settings(max_examples=60, deadline=None)
@given(sides, sides, places, places, st.sampled_from([64, 96, 224]))
def test_a_point_lands_on_the_same_place_everywhere(width: int, height: int, x: float, y: float, size: int) -> None:
    rows, columns = np.indices((height, width)) + 0.5
    square = (np.abs(columns - x * width) < 12) & (np.abs(rows - y * height) < 12)
    image = Image.fromarray(np.where(square, 255, 0).astype(np.uint8)).convert("RGB")
    there = centre(square.astype(float))
    tensor = to_bytes(image, size, size)
    assert tensor.shape == (3, size, size)
    assert (tensor.min(), tensor.max()) == (0, 255)
    anomaly_map = map_to_image(tensor[0].numpy(), width, height)
    assert anomaly_map.shape == (height, width)
    assert centre(tensor[0].numpy().astype(float)) == pytest.approx(there, abs=0.2 / size)
    assert centre(anomaly_map.astype(float)) == pytest.approx(there, abs=0.2 / size)
    assert centre(resize_mask(square, size, size).astype(float)) == pytest.approx(there, abs=1 / size)
    # One cell of a coarse map, as the patches of a tower give it, shows at its own place.
    grid = np.zeros((7, 9), np.float32)
    grid[3, 5] = 1
    assert centre(map_to_image(grid, width, height).astype(float)) == pytest.approx((5.5 / 9, 3.5 / 7), abs=1e-3)


def test_the_whole_frame_is_kept() -> None:
    pixels = np.zeros((24, 40, 3), np.uint8)
    pixels[:12, :20], pixels[:12, 20:], pixels[12:, :20] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    tensor = to_bytes(Image.fromarray(pixels), 8, 8)
    assert tensor[:, 0, 0].tolist() == [255, 0, 0]
    assert tensor[:, 0, -1].tolist() == [0, 255, 0]
    assert tensor[:, -1, 0].tolist() == [0, 0, 255]
    with pytest.raises(ValueError, match="must be RGB"):
        to_bytes(Image.new("L", (40, 24)), 8, 8)


def test_a_resized_mask_keeps_values_apart() -> None:
    mask = np.zeros((30, 50), bool)
    mask[:15] = True
    resized = resize_mask(mask, 10, 10)
    assert resized.dtype == bool
    np.testing.assert_array_equal(resized, np.arange(10)[:, None] < np.full(10, 5))
    speckled = np.random.default_rng(0).random((30, 50)) < 0.3
    np.testing.assert_array_equal(resize_mask(speckled, 10, 10), speckled[1::3, 2::5])  # the pixels in the middle
