"""The page in a real browser."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from app.examples.judged import examples_for
from app.predictors import Predictors
from ltad.inspection.predictor import Predictor
from tests.app.hands import WAIT, choose, drop, example
from tests.toys import BROWSER_MARKS, until

pytestmark = BROWSER_MARKS
PHONE = Path(__file__).parents[1] / "photos" / "phone.heic"
CHECKPOINT = "demo-exp100"  # whose examples are files of ours
CLEAR, GOOD, UNUSUAL = 0, 2, 6  # examples: a clear find, a good part, one more unusual than half of its normals
# Pieces of text on the cards that are English sentences; licences and hashes stand as they are.
ENGLISH_LEFT = r"""() => [...document.querySelectorAll('.card')].flatMap((card) => {
    const walker = document.createTreeWalker(card, NodeFilter.SHOW_TEXT), left = [];
    while (walker.nextNode()) {
        const { data, parentElement } = walker.currentNode;
        if (/[A-Za-z]+ [a-z]+ [a-z]+/.test(data) && !parentElement.closest('.facts, title')) left.push(data);
    }
    return left;
})"""


class Traffic:
    """What a page asks of its server, but for the heartbeat that tells that it is still there."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.asked: list[str] = []
        self.open: set[Request] = set()
        page.on("request", self._begin)
        for end in ("requestfinished", "requestfailed"):
            page.on(end, self._end)

    def _begin(self, request: Request) -> None:
        if "heartbeat" not in request.url and not request.url.startswith(("data:", "blob:")):
            self.asked.append(request.url)
            if "queue/data" not in request.url:  # a stream of events, which may stay open when all of them have come
                self.open.add(request)

    def _end(self, request: Request) -> None:
        self.open.discard(request)

    def settle(self) -> None:
        """Wait until all models are loaded, everything is answered and nothing more is asked; and forget it."""
        expect(self.page.locator("#loading ltad-hint")).to_have_count(0, timeout=WAIT)
        deadline, still = time.monotonic() + WAIT / 1000, 0
        while still < 20:
            assert time.monotonic() < deadline, self.open
            before = len(self.asked)
            self.page.wait_for_timeout(50)
            still = still + 1 if len(self.asked) == before and not self.open else 0
        self.asked.clear()


@pytest.fixture
def traffic(browser: Browser, url: str) -> Iterator[Traffic]:
    """That of a page from its first request on."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    traffic = Traffic(page)
    page.goto(url)
    expect(page.locator("#run")).to_be_visible(timeout=WAIT)
    yield traffic
    page.close()


@pytest.fixture
def page(traffic: Traffic) -> Page:
    return traffic.page


def test_an_example_gives_verdict_map_and_class_without_other_hosts(page: Page, traffic: Traffic, url: str) -> None:
    strangers: list[str] = []
    page.on("request", lambda r: strangers.append(r.url) if not r.url.startswith((url, "data:", "blob:")) else None)
    example(page, "#examples", GOOD)
    expect(page.locator("#result .verdict .headline")).to_contain_text("OK", timeout=WAIT)
    traffic.settle()  # the model itself has answered
    expect(page.locator("#result .verdict .truth")).to_have_text("This is an example, labelled: good.")
    expect(page.locator("#result .viewer canvas.map")).to_be_visible()
    expect(page.locator("#result .matches tr.chosen")).to_have_count(1)
    assert not strangers


def test_threshold_and_looks_act_without_a_request(page: Page, traffic: Traffic) -> None:
    example(page, "#examples", UNUSUAL)
    headline, layer = page.locator("#result .headline span"), page.locator("#result .viewer canvas.map")
    expect(headline).to_have_text("OK", timeout=WAIT)
    traffic.settle()
    outline = page.locator("#result .viewer path.outline")
    drawn = outline.get_attribute("d")
    page.locator("#result .verdict input[type=range]").fill("100")  # every second good part may be called defective
    expect(headline).not_to_have_text("OK")
    expect(page.locator("#result .verdict")).to_contain_text("At most 50 % of good parts")
    assert outline.get_attribute("d") != drawn
    page.locator("#result .verdict button").click()
    expect(headline).to_have_text("OK")
    assert outline.get_attribute("d") == drawn
    page.locator("#result [data-setting=opacity]").fill("20")
    expect(layer).to_have_css("opacity", "0.2")
    page.locator("#result [data-setting=wipe]").fill("40")
    expect(layer).to_have_css("clip-path", "inset(0px 0px 0px 40%)")
    before = layer.evaluate("canvas => canvas.toDataURL()")
    page.locator("#result [data-setting=colours]").select_option("turbo")
    assert layer.evaluate("canvas => canvas.toDataURL()") != before
    page.locator("#result [data-setting=contour]").uncheck()
    assert outline.get_attribute("d") == ""
    assert not traffic.asked


def test_settings_stay_for_the_next_photograph(page: Page) -> None:
    example(page, "#examples", CLEAR)
    expect(page.locator("#result .headline span")).to_have_text("Defect", timeout=WAIT)
    page.locator("#result [data-setting=opacity]").fill("20")
    example(page, "#examples", GOOD)
    expect(page.locator("#result .headline span")).to_have_text("OK", timeout=WAIT)
    expect(page.locator("#result .viewer canvas.map")).to_have_css("opacity", "0.2")


def test_places_are_linked_with_their_boxes_and_zoom_works_by_keyboard(page: Page) -> None:
    example(page, "#examples", CLEAR)
    row, box = page.locator("#result .places tbody tr").first, page.locator("#result .boxes button").first
    expect(row).to_be_visible(timeout=WAIT)
    row.focus()
    expect(box).to_have_class("pointed")
    box.focus()
    expect(row).to_have_class("pointed")
    stage, sheet = page.locator("#result .stage"), page.locator("#result .sheet")
    width = sheet.bounding_box()["width"]
    stage.focus()
    page.keyboard.press("+")
    assert sheet.bounding_box()["width"] == pytest.approx(1.5 * width, rel=0.01)
    page.keyboard.press("0")
    assert sheet.bounding_box()["width"] == pytest.approx(width, rel=0.01)
    frame = stage.bounding_box()
    page.mouse.move(frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2)
    expect(page.locator("#result .readout")).to_contain_text("× threshold")


def test_a_photograph_is_judged_as_each_class(page: Page) -> None:
    example(page, "#examples", CLEAR)
    expect(page.locator("#result .headline span")).to_have_text("Defect", timeout=WAIT)
    page.get_by_role("button", name="As another class").click()
    page.locator("#as-each").click()
    expect(page.locator("#verdicts tbody tr")).to_have_count(6, timeout=WAIT)


def test_dropping_a_file_and_then_a_broken_one(page: Page, tmp_path: Path) -> None:
    good = next(e.path for e in examples_for(Predictors().card(CHECKPOINT)) if e.defect != "good")
    page.set_input_files("#photograph input[type=file]", good)
    expect(page.locator("#result .verdict .headline")).to_be_visible(timeout=WAIT)
    expect(page.locator("#result .verdict .truth")).to_be_hidden()  # it was dropped, not chosen
    page.locator("#photograph button[aria-label*=emove], #photograph button[aria-label*=lear]").first.click()
    expect(page.locator("#result .empty")).to_be_visible(timeout=WAIT)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"this is no picture")
    page.set_input_files("#photograph input[type=file]", broken)
    expect(page.get_by_test_id("toast-body")).to_contain_text("is not an image", timeout=WAIT)
    expect(page.locator("#result ltad-inspection, #result .empty")).to_have_count(0)


def test_a_file_that_browsers_do_not_show_is_judged_once(page: Page, traffic: Traffic) -> None:
    asked: list[str] = []
    example(page, "#examples", CLEAR)
    expect(page.locator("#result .headline span")).to_have_text("Defect", timeout=WAIT)
    traffic.settle()  # the model itself has answered
    page.on("request", lambda request: asked.append(request.url) if "queue/join" in request.url else None)
    page.set_input_files("#photograph input[type=file]", PHONE)
    expect(page.locator("#result .headline span")).to_have_text("Unknown product", timeout=WAIT)
    expect(page.locator("#photograph img")).to_have_attribute("alt", re.compile("cannot show this file"))
    assert len(asked) == 1


@pytest.mark.parametrize("parts", [30, pytest.param(200, marks=pytest.mark.slow)])
def test_a_batch_of_which_three_are_broken(page: Page, traffic: Traffic, tmp_path: Path, parts: int) -> None:
    examples = [e for e in examples_for(Predictors().card(CHECKPOINT)) if e.path.suffix == ".jpg"]
    with ZipFile(tmp_path / "parts.zip", "w") as packed:
        for number in range(parts - 3):
            packed.write(examples[number % len(examples)].path, f"parts/{number:03}.jpg")
        for name in ("broken.png", "empty.jpg", "../../evil.png"):
            packed.writestr(name, b"this is no picture" if name != "empty.jpg" else b"")
    page.get_by_role("tab", name="Batch").click()
    choose(page, "#batch-checkpoint", CHECKPOINT)
    drop(page, "#batch-files", [tmp_path / "parts.zip"])
    page.locator("#batch-run").click()
    rows = page.locator("#batch-table tbody tr")
    expect(rows.first).to_be_visible(timeout=WAIT)
    expect(rows).to_have_count(parts, timeout=4 * WAIT)
    expect(page.locator("#batch-table.stale")).to_have_count(0)
    expect(page.locator("#batch-table .chip.error")).to_have_text("Not judged 3")
    expect(page.locator("#batch-table td.reason")).to_have_count(3)
    traffic.settle()
    page.locator("#batch-table .chip.defect").click()
    defects = rows.count()
    assert 0 < defects < parts - 3
    page.locator("#batch-table th[data-column=ratio] button").click()
    page.locator("#batch-table th[data-column=ratio] button").click()
    cells = page.locator("#batch-table tbody td[data-column=ratio]")
    ratios = [float(text.split()[0]) for text in cells.all_inner_texts()]
    assert ratios == sorted(ratios, reverse=True) and ratios[-1] >= 1
    assert not traffic.asked
    rows.first.click()
    expect(page.locator("#batch-shown .headline span")).to_have_text("Defect", timeout=WAIT)
    page.keyboard.press("ArrowDown")
    expect(rows.nth(1)).to_have_attribute("aria-selected", "true")
    with page.expect_download() as download:
        page.locator("#batch-export").click()
    report = page.context.browser.new_page()
    report.route(
        "**/*", lambda route: route.continue_() if route.request.url.startswith(("file:", "data:")) else route.abort()
    )
    saved = tmp_path / "report.html"
    download.value.save_as(saved)
    report.goto(saved.as_uri())
    expect(report.locator("tbody tr")).to_have_count(parts)
    report.locator("tbody tr").nth(5).click()
    expect(report.locator("#shown .headline span")).not_to_be_empty()
    report.close()


def test_a_closed_tab_stops_its_batch(
    browser: Browser, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[float] = []
    predict_many = Predictor.predict_many

    def slow(self: Predictor, *arguments: Any, **options: Any) -> Iterator[Any]:
        for prediction in predict_many(self, *arguments, **options):
            judged.append(time.monotonic())
            time.sleep(0.1)
            yield prediction

    monkeypatch.setattr(Predictor, "predict_many", slow)
    example = next(e for e in examples_for(Predictors().card(CHECKPOINT)) if e.defect == "good")
    with ZipFile(tmp_path / "parts.zip", "w") as packed:
        for number in range(200):
            packed.write(example.path, f"{number}.jpg")
    page = browser.new_page()
    page.goto(url)
    page.get_by_role("tab", name="Batch").click(timeout=WAIT)
    drop(page, "#batch-files", [tmp_path / "parts.zip"])
    page.locator("#batch-run").click()
    expect(page.locator("#batch-table tbody tr").nth(3)).to_be_visible(timeout=WAIT)
    page.close()
    until(lambda: time.monotonic() - judged[-1] > 1)
    assert len(judged) < 200


def test_a_bad_archive_is_refused_in_a_sentence(page: Page, tmp_path: Path) -> None:
    with ZipFile(tmp_path / "many.zip", "w") as packed:
        for number in range(3000):
            packed.writestr(f"{number}.png", b"x")
    page.get_by_role("tab", name="Batch").click()
    drop(page, "#batch-files", [tmp_path / "many.zip"])
    page.locator("#batch-run").click()
    expect(page.get_by_test_id("toast-body")).to_contain_text("2000 files", timeout=WAIT)


def test_choosing_a_checkpoint_changes_classes_and_examples(page: Page) -> None:
    names = Predictors().names()
    choose(page, "#checkpoint", names[-1])
    expected = len(examples_for(Predictors().card(names[-1])))
    expect(page.locator("#examples button.thumbnail-item, #examples .thumbnail-lg")).to_have_count(
        expected, timeout=WAIT
    )


def test_the_names_of_a_checkpoint_can_be_read_and_a_word_compared(page: Page) -> None:
    page.get_by_role("tab", name="Names").click()
    expect(page.locator("#names-table tbody tr")).to_have_count(6, timeout=WAIT)
    expect(page.locator("#names-plane svg[role=img]")).to_be_visible()
    page.locator("#names-examples button.thumbnail-item, #names-examples .thumbnail-lg").nth(1).click()
    page.locator("#names-word textarea, #names-word input").fill("bottle cap")
    expect(page.locator("#names-photograph img")).to_be_visible(timeout=WAIT)
    page.locator("#names-run").click()
    expect(page.locator("#names-result")).to_contain_text("bottle cap", timeout=WAIT)


def test_two_checkpoints_stand_side_by_side(page: Page) -> None:
    page.get_by_role("tab", name="Checkpoints").click()
    cards = Predictors().names()
    expect(page.locator("#deck section.card")).to_have_count(len(cards), timeout=WAIT)
    page.get_by_role("tab", name="Compare two").click()
    page.locator("#compare-examples button.thumbnail-item, #compare-examples .thumbnail-lg").nth(1).click()
    expect(page.locator("#compare-photograph img")).to_be_visible(timeout=WAIT)
    right = page.locator("#compare-right ltad-inspection")
    expect(right).to_have_attribute("data-facts", re.compile('"checkpoint":"industrial-exp100"'), timeout=WAIT)
    expect(page.locator("#difference tbody tr")).to_have_count(2)
    choose(page, "#compare-second", "industrial-step100")
    expect(right).to_have_attribute("data-facts", re.compile('"checkpoint":"industrial-step100"'), timeout=WAIT)


def test_visitors_do_not_disturb_each_other_and_a_reload_starts_afresh(browser: Browser, url: str) -> None:
    contexts = [browser.new_context(), browser.new_context()]
    first, second = (context.new_page() for context in contexts)
    for page in (first, second):
        page.goto(url)
        expect(page.locator("#run")).to_be_visible(timeout=WAIT)
    choose(second, "#checkpoint", CHECKPOINT)
    expect(second.locator("#about")).to_contain_text("12 classes", timeout=WAIT)
    for page in (first, second):
        example(page, "#examples", CLEAR)
    for page in (first, second):
        expect(page.locator("#result .headline span")).not_to_be_empty(timeout=WAIT)
    assert "solar mono" in first.locator("#result .matches").inner_text()
    assert "solar mono" not in second.locator("#result .matches").inner_text()
    first.reload()
    expect(first.locator("#result .empty")).to_be_visible(timeout=WAIT)
    for context in contexts:
        context.close()


def test_the_main_job_can_be_done_with_the_keyboard_alone(page: Page) -> None:
    page.locator("#examples button.thumbnail-item, #examples .thumbnail-lg").nth(UNUSUAL).focus()
    page.keyboard.press("Enter")
    headline = page.locator("#result .headline span")
    expect(headline).to_have_text("OK", timeout=WAIT)
    page.locator("#result .verdict input[type=range]").focus()
    page.keyboard.press("End")
    expect(headline).not_to_have_text("OK")


def test_the_page_speaks_chinese_to_who_reads_it(browser: Browser, url: str) -> None:
    page = browser.new_page(locale="zh-CN")
    page.goto(url)
    expect(page.locator("#run")).to_have_text("检测", timeout=WAIT)
    expect(page.locator("#result .empty")).to_contain_text("照片")
    example(page, "#examples", CLEAR)
    expect(page.locator("#result .headline span")).to_have_text("缺陷", timeout=WAIT)
    page.get_by_role("tab", name="名称").click()
    expect(page.locator("#names-table tbody tr")).to_have_count(6, timeout=WAIT)
    page.get_by_role("tab", name="检查点").click()
    expect(page.locator("#deck")).to_contain_text("训练图像", timeout=WAIT)
    left = page.evaluate(ENGLISH_LEFT)
    assert not left
    page.close()


def test_a_phone_needs_no_sideways_scrolling(browser: Browser, url: str) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(url)
    expect(page.locator("#run")).to_be_visible(timeout=WAIT)
    example(page, "#examples", CLEAR)
    expect(page.locator("#result .verdict .headline")).to_be_visible(timeout=WAIT)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.close()
