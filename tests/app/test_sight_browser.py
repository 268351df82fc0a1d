"""What one looks at: true, not stale, in sight and readable, on a desk, a laptop and a phone, in light and in dark."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from app.examples.judged import examples_for
from app.predictors import Predictors
from tests.app.hands import WAIT, choose, drop, example
from tests.toys import BROWSER_MARKS, rings

pytestmark = BROWSER_MARKS
DESK, LAPTOP, PHONE = (1440, 900), (1280, 720), (390, 844)
CLEAR, SMALL, GOOD, STRANGER, MISS = range(5)  # the examples that come first
SCREENS = [
    (DESK, "light"),
    (PHONE, "dark"),
    *(
        pytest.param(screen, marks=pytest.mark.slow)
        for screen in [(DESK, "dark"), (LAPTOP, "light"), (LAPTOP, "dark"), (PHONE, "light")]
    ),
]
# Of a text's colour against what it stands on, after the Web Content Accessibility Guidelines: 1 to 21.
CONTRAST = """element => {
    const linear = (c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    const light = (colour) => {
        const [r, g, b] = colour.match(/[\\d.]+/g).map((part) => linear(part / 255));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (of) => {
        const colour = getComputedStyle(of).backgroundColor;
        return /, 0\\)$|transparent/.test(colour) ? ground(of.parentElement) : colour;
    };
    const [dark, bright] = [getComputedStyle(element).color, ground(element)].map(light).sort((a, b) => a - b);
    return (bright + 0.05) / (dark + 0.05);
}"""


@pytest.fixture(scope="module", params=SCREENS, ids=lambda screen: f"{screen[0][0]}-{screen[1]}")
def page(request: pytest.FixtureRequest, browser: Browser, url: str) -> Iterator[Page]:
    """One visitor, who does one thing after another on one screen."""
    (width, height), scheme = request.param
    page = browser.new_page(viewport=ViewportSize(width=width, height=height))
    page.goto(f"{url}?__theme={scheme}")
    expect(page.locator("#run")).to_be_visible(timeout=WAIT)
    yield page
    page.close()


def is_phone(page: Page) -> bool:
    return page.viewport_size is not None and page.viewport_size["width"] == PHONE[0]


def expect_in_sight(page: Page, selector: str, within: float = 0.7) -> None:
    """Its beginning is in the upper part of the window."""
    expect(page.locator(selector).first).to_be_visible(timeout=WAIT)
    top = f"document.querySelector('{selector}').getBoundingClientRect().top"
    page.wait_for_function(f"() => {top} >= -1 && {top} < {within} * innerHeight", timeout=WAIT)


def expect_readable(page: Page, selector: str) -> None:
    """Not cut off at its right, and clearly lighter or darker than what it stands on."""
    for element in page.locator(selector).all():
        assert element.evaluate("element => element.scrollWidth <= element.clientWidth + 1"), element.inner_text()
    assert page.locator(selector).first.evaluate(CONTRAST) >= 4.5, selector


def test_the_first_screen_shows_what_to_click(page: Page) -> None:
    assert page.viewport_size is not None
    expect(page.get_by_role("tab")).to_have_count(5)  # and none in a menu
    pictures = page.locator("#examples button.thumbnail-item")
    expect(pictures.first).to_be_visible(timeout=WAIT)
    if page.viewport_size["height"] == DESK[1]:  # before anybody scrolls
        frame = pictures.nth(MISS).locator("img").bounding_box()
        assert frame and frame["y"] + frame["height"] <= page.viewport_size["height"]
    before = page.locator("#run").bounding_box()
    expect(page.locator("#loading ltad-hint")).to_have_count(0, timeout=2 * WAIT)
    assert page.locator("#run").bounding_box() == before  # nothing jumped when the models were there
    picture, caption = pictures.first.locator("img"), pictures.first.locator(".caption-label")
    over, under = picture.bounding_box(), caption.bounding_box()
    assert over and under and under["y"] >= over["y"] + over["height"] - 1  # the caption hides nothing of it
    expect_readable(page, "#examples .caption-label")
    for number, lesson in enumerate(("A clear find", "A small find", "A good part", "A stranger", "A miss")):
        expect(pictures.nth(number)).to_contain_text(lesson)


def test_a_picture_to_click_can_be_looked_at_in_large(page: Page) -> None:
    picture = page.locator("#examples button.thumbnail-item").nth(SMALL)
    frame = picture.locator("img").bounding_box()
    assert frame
    picture.click(position={"x": frame["width"] - 8, "y": 8})
    large = page.locator("dialog.large img")
    expect(large).to_be_visible()
    shown = large.bounding_box()
    assert shown and shown["width"] > 3 * frame["width"]
    page.keyboard.press("Escape")
    expect(large).to_have_count(0)
    picture.focus()
    page.keyboard.press("+")
    expect(large).to_be_visible()
    page.locator("dialog.large button").click()
    expect(large).to_have_count(0)
    expect(page.locator("#result .empty")).to_be_visible()  # looked at, not chosen


def test_a_verdict_is_in_sight_and_true(page: Page) -> None:
    headline, truth = page.locator("#result .headline span"), page.locator("#result .truth")
    said = {
        CLEAR: ("Defect", "labelled: defective."),
        GOOD: ("OK", "labelled: good."),
        STRANGER: ("Unknown product", "labelled: good."),
        MISS: ("OK", "it misses the defect."),
    }
    for number, (verdict, label) in said.items():
        example(page, "#examples", number)
        expect(headline).to_have_text(verdict, timeout=WAIT)
        expect(truth).to_contain_text(label)
        expect_in_sight(page, "#result .verdict")
    expect_readable(page, "#result .verdict p")
    expect(page.locator("#result .verdict")).to_contain_text(re.compile("unusual than .* normal images"))
    expect(page.locator("#result .verdict .quiet")).to_contain_text("held-out normal images of this class")
    example(page, "#examples", STRANGER)
    expect(headline).to_have_text("Unknown product", timeout=WAIT)
    expect(page.locator("#result .matches tr.chosen")).to_have_count(0)  # no class, as if it had been recognised


def test_a_verdict_is_of_what_is_chosen(page: Page) -> None:
    facts = page.locator("#result ltad-inspection")
    example(page, "#examples", SMALL)
    expect_in_sight(page, "#result .verdict")
    for name in ("industrial-exp100", "industrial-natural"):
        choose(page, "#checkpoint", name)
        expect(facts).to_have_attribute("data-facts", re.compile(f'"checkpoint":"{name}"'), timeout=WAIT)
    choose(page, "#class-name", "cookie")
    expect(page.locator("#result .verdict")).to_contain_text("cookie", timeout=WAIT)
    example(page, "#examples", CLEAR)
    expect(page.locator("#class-name input")).to_have_value("recognise it", timeout=WAIT)
    expect(page.locator("#result .verdict")).to_contain_text("judged as solar mono", timeout=WAIT)


def test_a_refusal_is_seen_and_goes_at_the_next_success(page: Page, tmp_path: Path) -> None:
    broken = tmp_path / "burnt.png"
    broken.write_bytes(b"nothing")
    page.locator("#photograph input[type=file]").set_input_files(broken)
    toast = page.get_by_test_id("toast-body")
    expect(toast).to_contain_text("is not an image", timeout=WAIT)
    assert toast.evaluate("e => e.getBoundingClientRect().right <= innerWidth")
    expect(page.locator("#result ltad-inspection")).to_have_count(0)  # no verdict of another photograph
    example(page, "#examples", GOOD)
    expect(page.locator("#result .headline span")).to_have_text("OK", timeout=WAIT)
    expect(toast).to_have_count(0)


def test_a_batch_is_read_walked_and_left(page: Page) -> None:
    files = [e.path for e in examples_for(Predictors().card("demo-exp100")) if e.path.suffix == ".jpg"][:24]
    page.get_by_role("tab", name="Batch").click()
    page.locator("#batch-run").click()
    expect(page.locator("#batch-files .validation-error")).to_be_visible(timeout=WAIT)  # at the field
    choose(page, "#batch-checkpoint", "demo-exp100")
    drop(page, "#batch-files", files)
    page.locator("#batch-run").click()
    rows = page.locator("#batch-table tbody tr")
    expect(rows).to_have_count(len(files), timeout=2 * WAIT)
    expect(page.locator("#batch-files .validation-error")).to_have_count(0)
    assert page.locator("#batch-table .table").evaluate("e => e.scrollWidth <= e.clientWidth + 1")  # every column
    for said in ("#batch-table .named span", "#batch-table .state", "#batch-kind input", "#batch-checkpoint input"):
        page.locator(said).first.scroll_into_view_if_needed()
        if said != "#batch-checkpoint input":  # which ends in dots, before its caret
            expect_readable(page, said)
    expect(rows.first).to_contain_text(files[0].name)
    classes = page.locator("#batch-table tbody").get_by_text("brushed metal", exact=True)
    assert any(each.is_visible() for each in classes.all())
    slider = page.locator("#batch-table input[type=range]")
    expect(slider).to_be_visible()  # before any row is opened
    defects = page.locator("#batch-table .chip.defect").inner_text()
    slider.fill("100")
    expect(page.locator("#batch-table .chip.defect")).not_to_have_text(defects)
    page.locator("#batch-table .controls > button").click()
    expect(page.locator("#batch-table .chip.defect")).to_have_text(defects)
    rows.nth(22).click()
    expect_in_sight(page, "#batch-shown ltad-inspection")
    if is_phone(page):
        page.locator("ltad-back button").click()
        expect_in_sight(page, "#batch-table")
    else:
        expect(rows.nth(22)).to_be_in_viewport()
    choose(page, "#batch-checkpoint", "demo-balanced")
    expect(page.locator("#batch-table.stale")).to_have_attribute("data-stale", re.compile("inspect them again"))
    table = page.locator("#batch-table ltad-batch")
    key = table.get_attribute("data-key") or ""
    page.locator("#batch-run").click()
    expect(page.locator("#batch-table.stale")).to_have_count(0, timeout=WAIT)
    expect(table).not_to_have_attribute("data-key", key, timeout=WAIT)
    expect(rows).to_have_count(len(files), timeout=2 * WAIT)
    with page.expect_download() as download:
        page.locator("#batch-export").click()
    assert download.value.suggested_filename == "report.html"


def test_a_word_that_cannot_be_read_is_said_at_its_field(page: Page) -> None:
    page.get_by_role("tab", name="Names").click()
    expect(page.locator("#names-table tbody tr")).to_have_count(6, timeout=WAIT)
    example(page, "#names-examples", GOOD)
    page.locator("#names-word input").fill("药片")
    page.locator("#names-run").click()
    expect(page.locator("#names-word .validation-error").first).to_contain_text("cannot read", timeout=WAIT)


def test_two_checkpoints_are_compared_at_once_and_by_name(page: Page) -> None:
    expect(page.locator("#loading ltad-hint")).to_have_count(0, timeout=2 * WAIT)
    page.get_by_role("tab", name="Checkpoints").click()
    expect(page.locator("#deck .card").first).to_contain_text("6 photographed products, 760 to 20 images each")
    expect(page.locator("#deck")).to_contain_text("ms per image", timeout=WAIT)  # it is told anew when it is opened
    page.locator("#deck summary", has_text="Each class").first.click()
    expect_readable(page, "#deck details[open] tbody th")
    page.get_by_role("tab", name="Compare two").click()
    expect_in_sight(page, "#compare-photograph", 0.6)
    example(page, "#compare-examples", CLEAR)
    expect(page.locator("#compare-right ltad-inspection")).to_be_visible(timeout=WAIT)
    page.locator("#compare-run").click()
    expect_in_sight(page, "#difference table")
    for side, name in (("left", "industrial-natural"), ("right", "industrial-exp100")):  # of the same products
        expect(page.locator(f"#compare-{side} h2")).to_have_text(name)


def test_a_training_that_was_begun_is_in_sight(page: Page, tmp_path: Path) -> None:
    for number in range(5):
        rings(number).save(tmp_path / f"{number}.png")
    page.get_by_role("tab", name="Teach").click()
    drop(page, "#teach-files", [tmp_path / f"{number}.png" for number in range(5)])
    page.locator("#teach-check").click()
    expect(page.locator("#teach-found ltad-promise")).to_contain_text("The threshold will stand on 5", timeout=WAIT)
    page.locator("#teach-train").click()
    expect(page.locator("#teach-name div.validation-error")).to_be_visible(timeout=WAIT)
    page.locator("#teach-name input, #teach-name textarea").fill("瓶底（棕色）")
    page.locator("#teach-train").click()
    expect_in_sight(page, "#teach-which")
    expect(page.locator("#teach-state")).to_be_in_viewport()
    page.locator("#teach-cancel").click()
    expect(page.locator("#teach-resume")).to_be_visible(timeout=WAIT)
    expect(page.get_by_text("[object")).to_have_count(0)
