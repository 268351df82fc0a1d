"""What the page says: at the field that it concerns, for as long as it holds, and in the language of who reads it."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from app.predictors import Predictors
from ltad.deploy import hub
from ltad.foundation import hub as foundation_hub
from tests.app.hands import WAIT, drop, example
from tests.toys import BROWSER_MARKS, rings

pytestmark = BROWSER_MARKS
TABS = ("inspect", "batch", "names", "checkpoints", "teach")
# Everything that is shown, or said of what is shown; vocabulary, licences and files' names are left out.
VISIBLE = """() => {
    const said = new Set(), left = 'script, style, .near, .filename, [lang=en]:not(html)';
    const skipped = (element) => element.closest(left);
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const { data, parentElement } = walker.currentNode;
        if (data.trim() && parentElement.checkVisibility() && !skipped(parentElement)) said.add(data.trim());
    }
    for (const element of document.querySelectorAll('[placeholder], [title], [aria-label], [alt], input')) {
        if (!element.checkVisibility() || skipped(element)) continue;
        for (const name of ['placeholder', 'title', 'aria-label', 'alt']) said.add(element.getAttribute(name) ?? '');
        if (element.type === 'text') said.add(element.value);
    }
    return [...said];
}"""
# What stays as it is: names of software and forms, units, levels, and what stands in quotation marks.
STAYS = re.compile(
    r"“[^”]*”|[0-9a-f]{64}|\b(LTAD|API|JSON|CSV|HTML|ZIP|PNG|JPEG|WebP|BMP|TIFF|GIF|HEIC|AVIF|PPM|AUROC|sha256|MB|KB|px|"
    r"exp\d+|step\d+|none|OpenVINO|cpu|align-mini|Hugging Face Hub|object|turbo|inferno|viridis|magma|cividis)\b|"
    r"[\w.-]+\.(jpg|png|txt|html|csv)"
)


def opened(browser: Browser, url: str, locale: str) -> Page:
    page = browser.new_page(locale=locale, viewport={"width": 1280, "height": 900})
    page.goto(url)
    expect(page.locator("#run")).to_be_visible(timeout=WAIT)
    expect(page.locator("#loading ltad-hint")).to_have_count(0, timeout=2 * WAIT)
    return page


def tab(page: Page, name: str) -> None:
    page.get_by_role("tab").nth(TABS.index(name)).click()


def walk(page: Page, folder: Path) -> Iterator[str]:
    """Do what can be done on every tab, and stop wherever there is something new to read."""
    for number in range(5):
        rings(number).save(folder / f"{number}.png")
    (folder / "burnt.png").write_bytes(b"nothing")
    yield "inspect"
    example(page, "#examples", 1)
    expect(page.locator("#result .verdict .headline")).to_be_visible(timeout=WAIT)
    page.locator("button.label-wrap").first.click()
    page.locator("#as-each").click()
    expect(page.locator("#verdicts tbody tr").first).to_be_visible(timeout=WAIT)
    yield "inspected"
    page.locator("#photograph input[type=file]").set_input_files(folder / "0.png")
    expect(page.locator("#result .notes")).to_be_visible(timeout=WAIT)
    yield "noted"
    page.locator("#photograph input[type=file]").set_input_files(folder / "burnt.png")
    expect(page.get_by_test_id("toast-body")).to_be_visible(timeout=WAIT)
    yield "refused"
    tab(page, "batch")
    page.locator("#batch-run").click()
    expect(page.locator("#batch-files .validation-error")).to_be_visible(timeout=WAIT)
    yield "empty batch"
    drop(page, "#batch-files", [folder / "0.png", folder / "burnt.png"])
    page.locator("#batch-run").click()
    expect(page.locator("#batch-table tbody tr")).to_have_count(2, timeout=WAIT)
    page.locator("#batch-table td.reason").click()
    expect(page.locator("#batch-shown h3")).to_have_text("burnt.png", timeout=WAIT)
    page.locator("#batch-export").click()
    expect(page.locator("#batch-made a[download]")).to_be_visible(timeout=WAIT)
    page.locator("#batch-kind input").click()
    yield "batch"
    page.keyboard.press("Escape")
    tab(page, "names")
    expect(page.locator("#names-table tbody tr")).to_have_count(6, timeout=WAIT)
    page.locator("#names-run").click()
    expect(page.locator("#names-photograph .validation-error")).to_be_visible(timeout=WAIT)
    yield "names"
    example(page, "#names-examples", 1)
    expect(page.locator("#names-photograph img")).to_be_visible(timeout=WAIT)
    page.locator("#names-word input").fill("screw")
    page.locator("#names-run").click()
    expect(page.locator("#names-result table")).to_be_visible(timeout=WAIT)
    yield "compared word"
    tab(page, "checkpoints")
    yield "checkpoints"
    parts = page.locator("#checkpoints-parts").get_by_role("tab")
    parts.nth(1).click()
    expect(page.locator("#family table").first).to_be_visible(timeout=WAIT)
    yield "family"
    parts.nth(2).click()
    example(page, "#compare-examples", 1)
    expect(page.locator("#compare-photograph img")).to_be_visible(timeout=WAIT)
    expect(page.locator("#difference tbody tr")).to_have_count(2, timeout=WAIT)
    yield "compared checkpoints"
    tab(page, "teach")
    drop(page, "#teach-files", [*(folder / f"{number}.png" for number in range(5)), folder / "burnt.png"])
    page.locator("#teach-check").click()
    expect(page.locator("#teach-train")).to_be_visible(timeout=WAIT)
    page.locator("#teach-train").click()
    expect(page.locator("#teach-name div.validation-error")).to_be_visible(timeout=WAIT)
    yield "teach"


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_every_tab_speaks_the_readers_language_alone(browser: Browser, url: str, locale: str, tmp_path: Path) -> None:
    predictors = Predictors()
    cards = [predictors.card(name) for name in predictors.names()]
    names = {name for card in cards for name in (card.name, card.data.name, *card.class_names)}
    names |= {name.replace("_", " ") for name in names}
    own = re.compile("|".join(sorted(map(re.escape, names), key=len, reverse=True)))
    wrong = r"[A-Za-z]{2}" if locale == "zh-CN" else r"[\u4e00-\u9fff]"
    page = opened(browser, url, locale)
    left = []
    for place in walk(page, tmp_path):
        said = page.evaluate(VISIBLE)
        left += [(place, text) for text in said if re.search(wrong, STAYS.sub("", own.sub("", text)))]
        left += [(place, text) for text in said if re.search(r"\[object|\bundefined\b", text)]
    page.close()
    assert not left, "\n".join(f"{place}: {text}" for place, text in left)


def test_a_refusal_is_said_at_its_field_and_goes_when_it_is_mended(browser: Browser, url: str, tmp_path: Path) -> None:
    page = opened(browser, url, "en-US")
    toast = page.get_by_test_id("toast-body")
    (tmp_path / "burnt.png").write_bytes(b"nothing")
    page.locator("#photograph input[type=file]").set_input_files(tmp_path / "burnt.png")
    expect(toast).to_be_visible(timeout=WAIT)
    example(page, "#examples", 2)
    expect(page.locator("#result .verdict .headline")).to_contain_text("OK", timeout=WAIT)
    expect(toast).to_have_count(0)
    tab(page, "names")
    example(page, "#names-examples", 1)
    word = page.locator("#names-word input")
    wrong = page.locator("#names-word .validation-error").first
    for typed, said in (("", "No word was given"), ("药片", "cannot read “药片”")):
        word.fill(typed)
        page.locator("#names-run").click()
        expect(wrong).to_contain_text(said, timeout=WAIT)
    word.fill("screw")
    expect(page.get_by_text("cannot read")).to_have_count(0)
    expect(toast).to_have_count(0)
    page.close()


def test_a_refusal_goes_by_itself(browser: Browser, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.errors.TOLD", 1.0)
    page = opened(browser, url, "en-US")
    tab(page, "batch")
    page.locator("#batch-export").click()
    toast = page.get_by_test_id("toast-body")
    expect(toast).to_contain_text("There is no batch yet", timeout=WAIT)
    expect(toast).to_have_count(0, timeout=5000)
    page.close()


def hub_sentences() -> list[str]:
    """What a visitor may be told about the Hub: every HubError's text, and what ``_refusal`` says by status, filled."""
    sentences = []
    for module in (hub, foundation_hub):
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if (
                isinstance(node, ast.Raise)
                and isinstance(node.exc, ast.Call)
                and ast.unparse(node.exc.func) == "HubError"
            ):
                sentences += filled(node.exc.args[0])
            if isinstance(node, ast.Dict) and all(
                isinstance(key, ast.Constant) and key.value in range(600) for key in node.keys
            ):
                sentences += [f"The Hub refused: “no”. {text}." for value in node.values for text in filled(value)]
    return [text for text in sentences if "HF_TOKEN" not in text and "--output" not in text]  # the commands' alone


def filled(text: ast.expr) -> list[str]:
    """A text with “me/nuts” for what changes in it; none where it is made elsewhere."""
    if isinstance(text, ast.JoinedStr):
        return ["".join(str(part.value) if isinstance(part, ast.Constant) else "me/nuts" for part in text.values)]
    return [text.value] if isinstance(text, ast.Constant) and isinstance(text.value, str) else []


HUB_SENTENCES = hub_sentences()  # read when the tests are collected: see test_words.SAID


def test_what_the_hub_refuses_is_said_in_chinese(browser: Browser, url: str) -> None:
    page = browser.new_page(locale="zh-CN")
    page.goto(url)
    expect(page.locator("#run")).to_be_visible(timeout=WAIT)
    sentences = HUB_SENTENCES
    assert len(sentences) > 12
    own = re.compile(r"“[^”]*”|me/nuts|OWNER/NAME|Hugging Face Hub|\bHub\b|/settings/tokens")
    for said in sentences:
        page.evaluate(
            "text => document.body.append(Object.assign(document.createElement('p'), "
            "{ className: 'toast-body', id: 'said', textContent: text }))",
            said,
        )
        expect(page.locator("#said")).to_have_text(re.compile("[\u4e00-\u9fff]"), timeout=WAIT)
        assert not re.search("[A-Za-z]{2}", own.sub("", page.locator("#said").inner_text())), said
        page.evaluate("document.querySelector('#said').remove()")
    page.close()
