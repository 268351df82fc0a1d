"""The page in a real browser."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from app.examples import examples_for
from app.predictors import Predictors
from app.ui import build_demo, launch_options

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("default"),
    pytest.mark.skipif(
        CHROMIUM is None and not os.environ.get("LTAD_REQUIRE_BROWSER"), reason="no Chromium is installed"
    ),
]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
WAIT = 30_000  # milliseconds; the models may still be loading
CHECKPOINT = "demo-exp100"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    demo = build_demo(Predictors())
    _, url, _ = demo.launch(**launch_options() | {"mcp_server": False}, prevent_thread_lock=True, quiet=True)
    yield url
    demo.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert CHROMIUM, "LTAD_REQUIRE_BROWSER is set, but there is no chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, url: str) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(url)
    expect(page.locator("#run")).to_be_visible(timeout=WAIT)
    yield page
    page.close()


def click_example(page: Page, number: int) -> None:
    page.locator("#examples button.thumbnail-item, #examples .thumbnail-lg").nth(number).click()


def test_an_example_gives_verdict_map_and_class_without_other_hosts(page: Page, url: str) -> None:
    strangers: list[str] = []
    page.on("request", lambda r: strangers.append(r.url) if not r.url.startswith((url, "data:", "blob:")) else None)
    click_example(page, 0)
    expect(page.locator("#result .verdict .headline")).to_contain_text("OK", timeout=WAIT)
    expect(page.locator("#result .viewer img.map")).to_be_visible()
    expect(page.locator("#result .matches tr.chosen")).to_have_count(1)
    assert not strangers


def test_opacity_acts_without_a_request(page: Page) -> None:
    click_example(page, 1)
    layer = page.locator("#result .viewer img.map")
    expect(layer).to_be_visible(timeout=WAIT)
    page.wait_for_load_state("networkidle")
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.locator("#result .viewer input[type=range]").fill("20")
    expect(layer).to_have_css("opacity", "0.2")
    assert not [r for r in requests if not r.startswith("data:") and "heartbeat" not in r]


def test_dropping_a_file_and_then_a_broken_one(page: Page, tmp_path: Path) -> None:
    good = next(e.path for e in examples_for(Predictors().card(CHECKPOINT)) if e.defect != "good")
    page.set_input_files("#photograph input[type=file]", good)
    expect(page.locator("#result .verdict .headline")).to_be_visible(timeout=WAIT)
    page.locator("#photograph button[aria-label*=emove], #photograph button[aria-label*=lear]").first.click()
    expect(page.locator("#result .empty")).to_be_visible(timeout=WAIT)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"this is no picture")
    page.set_input_files("#photograph input[type=file]", broken)
    expect(page.get_by_test_id("toast-body")).to_contain_text("is not an image", timeout=WAIT)


def test_choosing_a_checkpoint_changes_classes_and_examples(page: Page) -> None:
    names = Predictors().names()
    page.locator("#checkpoint input").click()
    page.get_by_role("option", name=names[-1]).click()
    expected = len(examples_for(Predictors().card(names[-1])))
    expect(page.locator("#examples button.thumbnail-item, #examples .thumbnail-lg")).to_have_count(
        expected, timeout=WAIT
    )


def test_a_phone_needs_no_sideways_scrolling(browser: Browser, url: str) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(url)
    expect(page.locator("#run")).to_be_visible(timeout=WAIT)
    click_example(page, 0)
    expect(page.locator("#result .verdict .headline")).to_be_visible(timeout=WAIT)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.close()
