"""The Teach tab in a real browser, from dropped photographs to a verdict by the checkpoint that came out."""

import re
import stat
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.app.hands import WAIT, drop
from tests.hub import BOB, Hub
from tests.toys import BROWSER_MARKS, rings, torn

pytestmark = BROWSER_MARKS
TRAINING = 180_000  # milliseconds
PHOTOGRAPHS = 10


@pytest.fixture
def page(browser: Browser, toy_url: str) -> Iterator[Page]:
    """The tab of a visitor of their own, which starts from the toy checkpoint."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(toy_url)
    page.get_by_role("tab", name="Teach").click(timeout=WAIT)
    yield page
    context.close()


def drop_and_check(page: Page, folder: Path) -> None:
    """Drop good photographs, and what is to be measured with, and have them looked at."""
    for number in range(PHOTOGRAPHS):
        rings(number).save(folder / f"good-{number}.png")
    torn(950)[0].save(folder / "torn.png")
    for name in ("burnt.png", "lone_mask.png"):
        (folder / name).write_bytes(b"nothing")
    drop(page, "#teach-files", sorted(folder.glob("good-*.png")))
    page.get_by_role("button", name="Optional").click()
    drop(page, "#teach-defective", [folder / name for name in ("torn.png", "lone_mask.png", "burnt.png")])
    page.locator("#teach-check").click()
    expect(page.locator("#teach-found")).to_contain_text(f"{PHOTOGRAPHS} photographs", timeout=WAIT)


def begin(page: Page) -> None:
    """Begin the shortest training that can be asked for."""
    page.locator("#teach-minutes input[type=number]").fill("0.5")
    page.locator("#teach-name textarea, #teach-name input").fill("rings")
    page.locator("#teach-train").click()
    expect(page.locator("#teach-state")).to_contain_text("Training", timeout=WAIT)


def come_again(page: Page) -> None:
    page.reload()
    page.get_by_role("tab", name="Teach").click(timeout=WAIT)


def test_what_cannot_be_used_is_named_and_nothing_can_be_begun_with_it(page: Page, tmp_path: Path) -> None:
    with ZipFile(tmp_path / "evil.zip", "w", ZIP_DEFLATED) as archive:
        archive.writestr("../outside.png", b"x")
        archive.writestr("bomb.png", bytes(5_000_000))
        link = ZipInfo("link.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, b"/etc/passwd")
    drop(page, "#teach-files", [tmp_path / "evil.zip"])
    page.locator("#teach-check").click()
    reasons = page.locator("#teach-found li")
    expect(reasons).to_have_count(3, timeout=WAIT)
    expect(reasons).to_contain_text(["outside.png” is left out", "bomb.png” is left out", "link.png” is left out"])
    expect(page.locator("#teach-train")).not_to_be_visible()
    page.locator("#teach-files").get_by_label("Clear").click()
    drop_and_check(page, tmp_path)
    for name in ("burnt.png", "lone_mask.png"):
        expect(reasons.filter(has_text=f"{name}” is left out")).to_have_count(1)
    expect(page.locator("#teach-train")).to_be_visible()


def test_a_training_is_begun_found_again_and_cancelled_and_is_nobody_elses(
    page: Page, browser: Browser, toy_url: str, tmp_path: Path
) -> None:
    drop_and_check(page, tmp_path)
    begin(page)
    come_again(page)
    expect(page.locator("#teach-state")).to_contain_text("Training", timeout=WAIT)
    stranger = browser.new_page()
    stranger.goto(toy_url)
    stranger.get_by_role("tab", name="Teach").click(timeout=WAIT)
    expect(stranger.locator("#teach-check")).to_be_visible(timeout=WAIT)
    expect(stranger.locator("#teach-state")).not_to_be_visible()
    stranger.close()
    page.locator("#teach-cancel").click()
    expect(page.locator("#teach-state")).to_contain_text("Cancelled", timeout=WAIT)
    expect(page.locator("#teach-resume")).to_be_visible()
    expect(page.locator("#teach-use")).not_to_be_visible()


@pytest.mark.slow
def test_a_product_is_taught_in_the_background_and_then_inspected(page: Page, hub: Hub, tmp_path: Path) -> None:
    drop_and_check(page, tmp_path)
    begin(page)
    expect(page.locator("#teach-state polyline")).to_be_visible(timeout=TRAINING)
    come_again(page)
    expect(page.locator("#teach-state")).to_contain_text(re.compile("Training|Done"), timeout=WAIT)
    expect(page.locator("#teach-state")).to_contain_text("Done", timeout=TRAINING)
    expect(page.locator("#teach-changes svg.strips line.good")).to_have_count(2 * PHOTOGRAPHS, timeout=WAIT)
    expect(page.locator("#teach-changes svg.strips line.defective")).to_have_count(2)
    page.locator("#teach-taught button.thumbnail-item, #teach-taught .thumbnail-lg").first.click()
    expect(page.locator("#teach-after .matches tr.chosen")).to_contain_text("rings", timeout=WAIT)
    page.get_by_role("button", name="Put it on the Hugging Face Hub").click()
    page.get_by_label("Repository").fill("bob/rings")
    page.get_by_label("Access token").fill(BOB)
    page.locator("#teach-push").click()
    expect(page.get_by_text(f"It is at {hub.address}/bob/rings.")).to_be_visible(timeout=WAIT)
    assert hub.model("bob/rings").private and "config.json" in hub.model("bob/rings").files
    page.locator("#teach-use").click()
    expect(page.locator("#about")).to_contain_text("4 classes", timeout=WAIT)
    expect(page.locator("#result .matches tr.chosen")).to_contain_text("rings", timeout=WAIT)  # one of its photographs
    page.locator("#photograph input[type=file]").set_input_files(tmp_path / "torn.png")
    expect(page.locator("#result .matches tr.chosen")).to_contain_text("rings", timeout=WAIT)
    expect(page.locator("#result .headline span")).to_have_text(re.compile("Defect|Borderline"), timeout=WAIT)
