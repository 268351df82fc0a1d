"""Two checkpoints side by side: a row for each photograph, and close-ups that stay within it."""

from pathlib import Path

import pytest
from PIL import Image

from benchmarks import looks


@pytest.mark.parametrize("place", [(0, 0, 8, 8), (630, 290, 10, 10), (300, 100, 40, 60), (0, 0, 640, 300)])
def test_a_close_up_holds_its_place_and_stays_within(place: tuple[int, int, int, int]) -> None:
    left, top, right, bottom = looks.close_up(place, (640, 300))
    assert right - left == bottom - top == looks.CLOSE
    assert 0 <= left and 0 <= top and right <= 640 and bottom <= 300
    x, y, width, height = place
    assert left <= x + width // 2 < right and top <= y + height // 2 < bottom


def test_a_small_photograph_is_its_own_close_up() -> None:
    assert looks.close_up((0, 0, 60, 40), (60, 40)) == (10, 0, 50, 40)


def test_a_row_is_drawn_for_each_photograph(toy_checkpoint: Path, tmp_path: Path) -> None:
    photograph, sizes = tmp_path / "part.png", []
    Image.new("RGB", (300, 200), "grey").save(photograph)
    for count in (1, 2):
        picture = tmp_path / f"{count}.jpg"
        both = [str(toy_checkpoint)] * 2
        looks.main([*both, *[str(photograph)] * count, "--output", str(picture)])
        with Image.open(picture) as drawn:
            sizes.append(drawn.size)
    assert sizes[1][1] == 2 * sizes[0][1]
    with pytest.raises(SystemExit, match="looks: "):
        looks.main([*both, str(tmp_path / "missing.png"), "--output", str(picture)])
