"""What a visitor's hands do on the page, for the tests that look at it in a browser."""

import re
from pathlib import Path

from playwright.sync_api import Page, expect

WAIT = 30_000  # milliseconds; the models may still be loading


def example(page: Page, gallery: str, number: int) -> None:
    """Click a picture of a gallery."""
    page.locator(f"{gallery} button.thumbnail-item, {gallery} .thumbnail-lg").nth(number).click()


def choose(page: Page, box: str, name: str) -> None:
    """Choose from a list; a checkpoint's choice begins with its name and says what is in it."""
    page.locator(f"{box} input").click()
    page.get_by_role("option", name=re.compile(rf"^(✓ )?{name}(:|$)")).click()


def drop(page: Page, box: str, files: list[Path]) -> None:
    """Drop files and wait until they are at the server: under way, their names stand there, too, but in no table."""
    page.locator(f"{box} input[type=file]").set_input_files(files)
    expect(page.locator(box).get_by_role("cell", name=files[-1].name)).to_be_visible(timeout=WAIT)
