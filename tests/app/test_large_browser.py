"""A photograph of twelve megapixels in a real browser: small at first, its own pixels where it is looked at closely."""

from io import BytesIO
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from app.viewer.tiles import OVERVIEW, TILE, Tiles
from tests.app.hands import WAIT
from tests.toys import BROWSER_MARKS

pytestmark = BROWSER_MARKS
WIDTH, HEIGHT = 4000, 3000


@pytest.fixture(scope="module")
def photograph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A grey board with a pattern that only its own pixels have: single dots, four pixels apart."""
    pixels = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    pixels[::4, ::4] = 255
    path = tmp_path_factory.mktemp("large") / "board.png"
    Image.fromarray(pixels).save(path, compress_level=1)
    return path


def test_tiles_cover_a_photograph_and_keep_its_pixels(photograph: Path, tmp_path: Path) -> None:
    with Image.open(photograph) as picture:
        tiles = Tiles.cut(picture, tmp_path)
        assert tiles and tiles.size == (WIDTH, HEIGHT) and len(tiles.files) == 4 * 3
        last = Image.open(tiles.files[-1])
        assert last.size == (WIDTH - 3 * TILE, HEIGHT - 2 * TILE)
        whole = np.asarray(picture)[2 * TILE :, 3 * TILE :].astype(int)
        assert np.abs(np.asarray(last).astype(int) - whole).mean() < 3
        assert Tiles.cut(picture.resize((OVERVIEW, 900)), tmp_path) is None


def test_a_large_photograph_is_sent_small_and_its_own_pixels_where_it_is_looked_at(
    browser: Browser, url: str, photograph: Path
) -> None:
    page: Page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(url)
    expect(page.locator("#run")).to_be_visible(timeout=WAIT)
    page.set_input_files("#photograph input[type=file]", photograph)
    expect(page.locator("#result .headline span")).not_to_be_empty(timeout=WAIT)
    first = page.locator("#result .sheet > img")
    assert first.evaluate("(img) => img.naturalWidth") == OVERVIEW
    expect(page.locator("#result .tiles img")).to_have_count(0)
    stage = page.locator("#result .stage")
    stage.focus()
    for _ in range(5):
        page.keyboard.press("+")
    seen = page.locator("#result .tiles img")
    expect(seen.first).to_be_visible(timeout=WAIT)
    page.wait_for_function(
        "() => [...document.querySelectorAll('#result .tiles img')].every((img) => img.naturalWidth)"
    )
    assert 1 <= seen.count() < 12  # those in sight
    assert {
        tuple(seen.nth(i).evaluate("(img) => [img.naturalWidth, img.naturalHeight]")) for i in range(seen.count())
    } <= {
        (TILE, TILE),
        (TILE, HEIGHT - 2 * TILE),
        (WIDTH - 3 * TILE, TILE),
        (WIDTH - 3 * TILE, HEIGHT - 2 * TILE),
    }
    with urlopen(seen.first.get_attribute("src")) as answer:
        tile = np.asarray(Image.open(BytesIO(answer.read())).convert("L")).astype(int)
    assert tile[0::4, 0::4].mean() > tile[2::4, 2::4].mean() + 60  # dots of single pixels
    page.close()
