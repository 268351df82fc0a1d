"""The README's pictures of the page, made again: ``python -m tests.app.pictures`` (minutes: it teaches a product)."""

import argparse
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Page, ViewportSize, expect, sync_playwright

from app.examples.pictures import ASSETS, all_examples
from app.ui import build_demo, launch_options
from ltad.data.demo import demo_dataset
from tests.toys import CHROMIUM

WAIT, TRAINING = 60_000, 900_000  # milliseconds
SIZE = ViewportSize(width=1240, height=1180)
CLEAR, GOOD = 0, 2  # of the examples that come first
TAUGHT, IMAGES = "gear", 12  # a product of the demo factory, which the first checkpoint does not know


def inspect(page: Page, example: int) -> None:
    page.locator("#examples button.thumbnail-item").nth(example).click()
    expect(page.locator("#result ltad-inspection")).to_be_visible(timeout=WAIT)
    page.mouse.move(0, 0)


def batch(page: Page) -> None:
    page.get_by_role("tab", name="Batch").click()
    page.locator("#batch-checkpoint input").click()
    page.get_by_role("option", name="demo-exp100").click()
    files = [example.path for example in all_examples() if example.path.parent == ASSETS and not example.large][:30]
    page.set_input_files("#batch-files input[type=file]", files)
    expect(page.locator("#batch-files").get_by_role("cell", name=files[-1].name)).to_be_visible(timeout=WAIT)
    page.locator("#batch-run").click()
    rows = page.locator("#batch-table tbody tr")
    expect(rows).to_have_count(len(files), timeout=WAIT)
    rows.nth(4).click()
    expect(page.locator("#batch-shown ltad-inspection")).to_be_visible(timeout=WAIT)


def names(page: Page) -> None:
    page.get_by_role("tab", name="Names").click()
    expect(page.locator("#names-plane svg[role=img]")).to_be_visible(timeout=WAIT)


def checkpoints(page: Page) -> None:
    page.get_by_role("tab", name="Checkpoints").click()
    page.locator("#deck summary", has_text="Each class").first.click()


def teach(page: Page, folder: Path) -> None:
    """Twelve good gears to learn from, and defective ones to measure with."""
    dataset = demo_dataset(IMAGES, test_good=0, test_defective_per_type=2)
    for kind, samples in (("good", dataset.train), ("bad", [s for s in dataset.test if s.label])):
        (folder / kind).mkdir()
        for number, sample in enumerate(s for s in samples if s.class_name == TAUGHT):
            sample.read().save(folder / kind / f"{kind}-{number:02}.png")
    page.get_by_role("tab", name="Teach").click()
    page.get_by_role("button", name="Optional").click()
    for box, kind in (("#teach-files", "good"), ("#teach-defective", "bad")):
        page.set_input_files(f"{box} input[type=file]", sorted((folder / kind).iterdir()))
        expect(page.locator(box).get_by_role("cell", name=f"{kind}-00.png")).to_be_visible(timeout=WAIT)
    page.locator("#teach-name input, #teach-name textarea").fill(TAUGHT)
    page.locator("#teach-check").click()
    page.locator("#teach-train").click(timeout=WAIT)
    expect(page.locator("#teach-changes .card").first).to_be_visible(timeout=TRAINING)
    page.locator("#teach-changes").evaluate("element => element.scrollIntoView()")


def main() -> None:
    """Take those that are named, or all, each on a page of its own."""
    parser = argparse.ArgumentParser(prog="python -m tests.app.pictures", description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    wanted = parser.parse_args().names
    demo = build_demo()
    _, url, _ = demo.launch(**launch_options() | {"mcp_server": False}, prevent_thread_lock=True, quiet=True)
    with sync_playwright() as playwright, TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        acts: dict[str, Callable[[Page], None]] = {
            "defect": lambda page: inspect(page, CLEAR),
            "clean": lambda page: inspect(page, GOOD),
            "batch": batch,
            "names": names,
            "checkpoints": checkpoints,
            "teach": lambda page: teach(page, Path(folder)),
        }
        for name in wanted or acts:
            page = browser.new_page(viewport=SIZE)
            page.goto(url)
            expect(page.locator("#run")).to_be_visible(timeout=WAIT)
            expect(page.locator("#loading ltad-hint")).to_have_count(0, timeout=WAIT)
            acts[name](page)
            page.wait_for_timeout(1000)  # until it stands still
            page.screenshot(path=ASSETS.parent / f"screenshot-{name}.jpg", type="jpeg", quality=88)
            page.close()
            print(f"took {name}")
        browser.close()
    demo.close()


if __name__ == "__main__":
    main()
