"""From a map to boxes in the pixels of the photograph."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ltad.judging.regions import EVERYWHERE, find_regions, is_everywhere
from ltad.presets import default, paper


def patch_map(*peaks: tuple[int, int, float]) -> np.ndarray:
    grid = np.zeros((32, 32), np.float32)
    for row, column, value in peaks:
        grid[row, column] = value
    return grid


def test_regions_come_with_the_highest_first() -> None:
    regions = find_regions(patch_map((4, 20, 3.0), (25, 6, 9.0)), 1.0, (640, 320))
    assert [region.peak for region in regions] == pytest.approx([9, 3], rel=0.15)  # between patch centres
    for region, (row, column) in zip(regions, [(25, 6), (4, 20)], strict=True):
        x, y, width, height = region.box
        centre = ((column + 0.5) * 20, (row + 0.5) * 10)
        assert (x + width / 2, y + height / 2) == pytest.approx(centre, abs=3)
        assert width == pytest.approx(2 * height, abs=4)
        assert 0.4 * width * height < region.area <= width * height


def test_touching_places_are_one_region() -> None:
    assert len(find_regions(patch_map((8, 8, 5.0), (9, 9, 5.0)), 1.0, (256, 256))) == 1
    assert len(find_regions(patch_map((8, 8, 5.0), (8, 12, 5.0)), 1.0, (256, 256))) == 2


def test_nothing_over_the_threshold_is_no_region_and_all_is_one() -> None:
    assert find_regions(patch_map((8, 8, 5.0)), 5.0, (256, 256)) == ()
    (region,) = find_regions(np.ones((32, 32), np.float32), 0.5, (100, 50))
    assert (region.box, region.area, region.peak) == ((0, 0, 100, 50), 5000, 1)


cells = st.tuples(st.integers(0, 31), st.integers(0, 31), st.floats(1.125, 9, width=32))


@settings(deadline=None)
@given(st.lists(cells, max_size=6), st.integers(16, 300), st.integers(16, 300), st.floats(0.1, 8.9))
def test_boxes_lie_inside_the_image(
    peaks: list[tuple[int, int, float]], width: int, height: int, threshold: float
) -> None:
    for region in find_regions(patch_map(*peaks), threshold, (width, height)):
        x, y, box_width, box_height = region.box
        assert 0 <= x < x + box_width <= width and 0 <= y < y + box_height <= height
        assert region.area >= 1 and region.peak > threshold


def test_boxes_lie_inside_small_images() -> None:
    (region,) = find_regions(patch_map((31, 31, 1.0)), 0.99, (32, 24))
    assert region.box[0] < 32 and region.box[1] < 24


def test_a_picture_is_unusual_everywhere_where_three_quarters_of_it_are() -> None:
    left = 1 - default().scoring.background
    unusual = np.full((16, 16), left * EVERYWHERE + 0.01)
    unusual[:4, :15] = -3
    assert is_everywhere(unusual, default()) and not is_everywhere(unusual, paper())
    whole = default().override("scoring.background=0")
    assert not is_everywhere(unusual, whole) and is_everywhere(unusual / left, whole)
    unusual[4:6] = -3
    assert not is_everywhere(unusual, default())
