"""The Teach tab in a real browser, from dropped photographs to a verdict by the checkpoint that came out."""

import re
import stat
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import pytest
from playwright.sync_api import Browser, expect

from app.ui import build_demo, launch_options
from ltad.config import LTADConfig
from ltad.data import Dataset
from ltad.data.demo import demo_dataset
from tests.toys import BROWSER_MARKS, TrainToy

pytestmark = BROWSER_MARKS
WAIT = 30_000  # milliseconds
TRAINING = 180_000
KNOWN, LEFT_OUT = ("bottle_cap", "hex_nut", "leather", "zipper"), "gear"


@pytest.fixture(scope="module")
def factory() -> Dataset:
    return demo_dataset(train=10, test_good=1, test_defective_per_type=0)


@pytest.fixture(scope="module")
def url(
    factory: Dataset, train_toy: TrainToy, tiny_config: LTADConfig, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A page on a small checkpoint of the demo factory that knows some of its classes."""
    folder = tmp_path_factory.mktemp("here")
    known = [s for s in factory.train if s.class_name in KNOWN and int(Path(s.name).stem) < 4]
    train_toy(folder / "checkpoints" / "small", dataset=Dataset(name="small", train=tuple(known), test=()))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        demo = build_demo()
        _, url, _ = demo.launch(**launch_options() | {"mcp_server": False}, prevent_thread_lock=True, quiet=True)
        yield url
        demo.close()


def test_a_product_is_taught_in_the_background_and_then_inspected(
    browser: Browser, url: str, factory: Dataset, tmp_path: Path
) -> None:
    good = [sample for sample in factory.train if sample.class_name == LEFT_OUT]
    for number, sample in enumerate(good):
        sample.read().save(tmp_path / f"good-{number}.png")
    torn = next(s for s in factory.test if s.class_name == LEFT_OUT and not s.label).read()
    torn.paste("white", (90, 90, 150, 150))
    torn.save(tmp_path / "torn.png")
    for name in ("burnt.png", "lone_mask.png"):
        (tmp_path / name).write_bytes(b"nothing")
    with ZipFile(tmp_path / "evil.zip", "w", ZIP_DEFLATED) as archive:
        archive.writestr("../outside.png", b"x")
        archive.writestr("bomb.png", bytes(5_000_000))
        link = ZipInfo("link.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, b"/etc/passwd")

    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(url)
    page.get_by_role("tab", name="Teach").click(timeout=WAIT)
    page.locator("#teach-parent input").click()
    page.get_by_role("option", name="small").click()
    page.locator("#teach-files input[type=file]").set_input_files(tmp_path / "evil.zip")
    expect(page.locator("#teach-files")).to_contain_text("evil", timeout=WAIT)
    page.locator("#teach-check").click()
    reasons = page.locator("#teach-found li")
    expect(reasons).to_have_count(3, timeout=WAIT)
    expect(reasons).to_contain_text(["outside.png” is left out", "bomb.png” is left out", "link.png” is left out"])
    expect(page.locator("#teach-train")).not_to_be_visible()

    page.locator("#teach-files").get_by_label("Clear").click()
    page.locator("#teach-files input[type=file]").set_input_files(sorted(tmp_path.glob("good-*.png")))
    expect(page.locator("#teach-files")).to_contain_text("good-9", timeout=WAIT)
    page.get_by_role("button", name="Optional").click()
    page.locator("#teach-defective input[type=file]").set_input_files(
        [tmp_path / name for name in ("torn.png", "burnt.png", "lone_mask.png")]
    )
    expect(page.locator("#teach-defective")).to_contain_text("burnt", timeout=WAIT)
    page.locator("#teach-check").click()
    expect(page.locator("#teach-found")).to_contain_text("10 photographs", timeout=WAIT)
    for name in ("burnt.png", "lone_mask.png"):
        expect(reasons.filter(has_text=f"{name}” is left out")).to_have_count(1)
    page.locator("#teach-minutes input[type=number]").fill("0.5")
    page.locator("#teach-name textarea, #teach-name input").fill(LEFT_OUT)
    page.locator("#teach-train").click()
    state = page.locator("#teach-state")
    expect(state).to_contain_text("Training", timeout=WAIT)
    expect(page.locator("#teach-state polyline")).to_be_visible(timeout=TRAINING)

    page.reload()  # and another visitor sees nothing of it
    page.get_by_role("tab", name="Teach").click(timeout=WAIT)
    expect(state).to_contain_text(re.compile("Training|Done"), timeout=WAIT)
    stranger = browser.new_page()
    stranger.goto(url)
    stranger.get_by_role("tab", name="Teach").click(timeout=WAIT)
    expect(stranger.locator("#teach-check")).to_be_visible(timeout=WAIT)
    expect(stranger.locator("#teach-state")).not_to_be_visible()
    stranger.close()

    expect(state).to_contain_text("Done", timeout=TRAINING)
    expect(page.locator("#teach-changes svg.strips line.good")).to_have_count(20, timeout=WAIT)
    expect(page.locator("#teach-changes svg.strips line.defective")).to_have_count(2)
    page.locator("#teach-taught button.thumbnail-item, #teach-taught .thumbnail-lg").first.click()
    expect(page.locator("#teach-after .matches tr.chosen")).to_contain_text(LEFT_OUT, timeout=WAIT)
    page.locator("#teach-use").click()
    expect(page.locator("#about")).to_contain_text("5 classes", timeout=WAIT)
    page.locator("#photograph input[type=file]").set_input_files(tmp_path / "torn.png")
    expect(page.locator("#result .matches tr.chosen")).to_contain_text(LEFT_OUT, timeout=WAIT)
    expect(page.locator("#result .headline span")).to_have_text(re.compile("Defect|Borderline"), timeout=WAIT)
    context.close()
