"""An inspector's day, from a fresh page and with no explanation: how much has to be pressed, and how far scrolled."""

from math import ceil
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect

from tests.app.hands import WAIT, drop
from tests.toys import BROWSER_MARKS, TRAIN_COUNTS, rings, save_picture, toy_picture

pytestmark = BROWSER_MARKS
TRAINING = 240_000  # milliseconds
WINDOW = 0.9  # of the window's height that one scroll moves
PARTS = 30


class Hand:
    """Somebody at the page who counts: presses (a drop and a typed word are one each), and scrolls by a window."""

    def __init__(self, page: Page) -> None:
        self.page, self.presses, self.scrolls = page, 0, 0

    def see(self, selector: str) -> Locator:
        """Bring the beginning of something into sight, if it is not."""
        found = self.page.locator(selector).first
        expect(found).to_be_visible(timeout=WAIT)
        self.page.wait_for_timeout(700)  # the page may bring it into sight itself
        box, size = found.bounding_box(), self.page.viewport_size
        assert box and size
        high = min(box["height"], 40)
        if box["y"] < 0 or box["y"] + high > size["height"]:
            away = -box["y"] if box["y"] < 0 else box["y"] + high - size["height"]
            self.scrolls += ceil(away / (WINDOW * size["height"]))
            found.evaluate("element => element.scrollIntoView({ block: 'center' })")
        return found

    def press(self, selector: str) -> None:
        self.see(selector).click()
        self.presses += 1

    def drop(self, box: str, files: list[Path]) -> None:
        self.see(box)
        drop(self.page, box, files) if len(files) > 1 else self.page.set_input_files(f"{box} input[type=file]", files)
        self.presses += 1

    def type(self, selector: str, text: str) -> None:
        self.see(selector).fill(text)
        self.presses += 1

    def tab(self, name: str) -> None:
        self.press(f"button[role=tab]:has-text('{name}')")

    def done(self) -> tuple[int, int]:
        """Presses and scrolls since the last task."""
        done, self.presses, self.scrolls = (self.presses, self.scrolls), 0, 0
        return done


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Thirty photographs of known products."""
    folder, generator = tmp_path_factory.mktemp("parts"), np.random.default_rng(0)
    paths = [folder / f"{number:02}.png" for number in range(PARTS)]
    for number, path in enumerate(paths):
        save_picture(toy_picture(list(TRAIN_COUNTS)[number % 2], generator), path)
    return paths


def work(hand: Hand, parts: list[Path], folder: Path) -> dict[str, tuple[int, int]]:
    """The five tasks, one after the other: (presses, scrolls) of each."""
    page, counted = hand.page, {}
    hand.drop("#photograph", parts[:1])
    expect(page.locator("#result .headline span")).not_to_be_empty(timeout=WAIT)
    hand.see("#result .headline")
    counted["judge a photograph"] = hand.done()
    hand.see("#result .viewer .stage")
    hand.see("#result .why p")
    counted["find why"] = hand.done()
    hand.tab("Batch")
    hand.drop("#batch-files", parts)
    hand.press("#batch-run")
    expect(page.locator("#batch-table tbody tr")).to_have_count(PARTS, timeout=2 * WAIT)
    hand.see("#batch-table tbody tr")
    with page.expect_download(timeout=WAIT):
        hand.press("#batch-export")
    counted["judge thirty and take the list away"] = hand.done()
    good = []
    for number in range(8):
        good.append(folder / f"{number}.png")
        rings(number).save(good[-1])
    hand.tab("Teach")
    hand.drop("#teach-files", good)
    hand.type("#teach-name input", "ring")
    hand.press("#teach-check")
    hand.see("#teach-found ltad-promise")
    hand.press("#teach-train")
    hand.see("#teach-state .card")
    counted["teach a product"] = hand.done()
    expect(page.locator("#teach-use")).to_be_visible(timeout=TRAINING)
    hand.press("#teach-use")
    expect(page.locator("#result .verdict")).to_contain_text("ring", timeout=WAIT)
    hand.see("#result .headline")
    counted["use it"] = hand.done()
    return counted


@pytest.mark.slow
@pytest.mark.parametrize(
    ("screen", "most"),
    [
        ((1440, 900), [(1, 0), (0, 1), (4, 0), (5, 1), (1, 1)]),
        ((390, 844), [(1, 0), (0, 1), (4, 1), (5, 2), (1, 1)]),
    ],
)
def test_the_five_tasks_of_an_inspector_are_short(
    browser: Browser,
    toy_url: str,
    parts: list[Path],
    tmp_path: Path,
    screen: tuple[int, int],
    most: list[tuple[int, int]],
) -> None:
    context = browser.new_context(viewport=ViewportSize(width=screen[0], height=screen[1]))
    page = context.new_page()
    page.goto(toy_url)
    expect(page.locator("#run")).to_be_visible(timeout=WAIT)
    expect(page.locator("#loading ltad-hint")).to_have_count(0, timeout=2 * WAIT)
    counted = work(Hand(page), parts, tmp_path)
    context.close()
    print(counted)
    for (task, (presses, scrolls)), (most_presses, most_scrolls) in zip(counted.items(), most, strict=True):
        assert presses <= most_presses and scrolls <= most_scrolls, (task, presses, scrolls)
