"""The same photographs in every view: page, CSV, JSON, HTML report, command and web interface tell one report."""

import csv
import io
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect
from sklearn.datasets import load_sample_image

from app import endpoints
from app.jobs.queue import Jobs
from app.predictors import Predictors
from app.tabs.batch.batch import Batch
from app.tabs.checkpoints.cards import class_in_words
from ltad.__main__ import main
from ltad.inspection.predictor import AUTO, Predictor
from ltad.words import spoken
from tests.app.hands import WAIT, drop
from tests.toys import BROWSER_MARKS, acting, rings

pytestmark = BROWSER_MARKS
ERROR = "error"
VERDICTS = {"OK": "ok", "Borderline": "borderline", "Defect": "defect", "Unknown": "unknown", "Not judged": ERROR}


class Told(NamedTuple):
    """What a view tells of a photograph: a verdict or "error", the class that it names, and the nearest one."""

    verdict: str
    class_name: str | None = None
    nearest: str | None = None


def of_report(report: dict[str, Any]) -> Told:
    if "error" in report:
        return Told(ERROR)
    return Told(report["verdict"], report["class"]["name"], report["top_classes"][0]["name"])


@pytest.fixture(scope="module")
def photographs(toy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Thirty: good, defective and unknown ones, one that is bright all over, and a broken file."""
    folder = tmp_path_factory.mktemp("photographs")
    for path in toy_folder.glob("*/test/*/*.png"):
        shutil.copy(path, folder / f"{path.parts[-4]}-{path.parts[-2]}-{path.name}")
    for number in range(8):
        rings(number).save(folder / f"ring-{number}.png")
    for name in ("china", "flower"):
        Image.fromarray(load_sample_image(f"{name}.jpg")).resize((128, 96)).save(folder / f"{name}.png")
    with Image.open(folder / "dots-good-000.png") as image:
        image.point(lambda value: min(255, value + 220)).save(folder / "lit.png")
    (folder / "torn.png").write_bytes(b"this is no picture")
    return {path.name: path for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def batch(photographs: dict[str, Path], predictor: Predictor) -> Iterator[Batch]:
    batch = Batch([str(path) for path in photographs.values()], predictor.card)
    list(batch.run(predictor, AUTO))
    yield batch
    batch.close()


@pytest.fixture(scope="module")
def told(batch: Batch, predictor: Predictor) -> dict[str, Told]:
    """What the JSON of the batch tells; every other view must tell the same."""
    rate = predictor.card.config.calibration.false_alarm_rate
    return {report["image"]: of_report(report) for report in json.loads(batch.json(rate))}


@pytest.fixture(scope="module")
def client(toy_checkpoint: Path, foundation: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """The web interface, of a server whose folder has the toy checkpoint."""
    here = tmp_path_factory.mktemp("here")
    shutil.copytree(toy_checkpoint, here / "checkpoints" / "toy")
    jobs = Jobs(here / "jobs", acting("say(3)"))
    with pytest.MonkeyPatch.context() as patch, gr.Blocks() as demo:
        patch.chdir(here)
        endpoints.build(Predictors(jobs), jobs)
        _, url, _ = demo.launch(prevent_thread_lock=True, quiet=True)
        client = Client(url, verbose=False)
        yield client
        client.close()
        demo.close()
        jobs.close()


def test_the_photographs_are_of_every_kind(told: dict[str, Told]) -> None:
    assert len(told) == 30
    assert {each.verdict for each in told.values()} >= {"ok", "defect", "unknown", ERROR}
    for name in ("china.png", "flower.png", "lit.png"):
        assert told[name].verdict == "unknown" and told[name].class_name is None and told[name].nearest, name
    assert told["dots-blotch-000.png"] == Told("defect", "dots", "dots")


def test_csv_and_table_tell_what_the_json_tells(batch: Batch, told: dict[str, Told], predictor: Predictor) -> None:
    rate = predictor.card.config.calibration.false_alarm_rate
    lines = list(csv.DictReader(io.StringIO(batch.csv(rate))))
    spreadsheet = {
        line["image"]: Told(ERROR) if line["error"] else Told(line["verdict"], line["class"] or None, line["nearest"])
        for line in lines
    }
    assert spreadsheet == told and len(lines) == batch.total
    reports = {report["image"]: report for report in json.loads(batch.json(rate))}
    for line in batch.table(rate):
        if line["verdict"]:
            assert line["provisional"] is reports[line["image"]]["provisional"]
    compared = {item.photograph.name: class_in_words(item.prediction) for item in batch.items if item.prediction}
    for name, words in compared.items():
        shown = told[name]
        assert words == (spoken(shown.class_name) if shown.class_name else f"nearest: {spoken(shown.nearest or '')}")


@pytest.mark.parametrize("rate", [0.12, 0.5])
def test_the_report_and_its_rows_show_what_the_json_tells(
    browser: Browser, batch: Batch, told: dict[str, Told], tmp_path: Path, rate: float
) -> None:
    expected = {report["image"]: of_report(report) for report in json.loads(batch.json(rate))}
    (tmp_path / "report.html").write_text(batch.report(rate), encoding="utf-8")
    page = browser.new_page(locale="en-GB")
    page.goto((tmp_path / "report.html").as_uri())
    page.wait_for_selector("tbody tr")
    for name, row in expect_rows(page, expected).items():
        row.click()
        if (shown := expected[name]).verdict != ERROR:
            card = page.locator("#shown .card.verdict")
            assert f"card verdict {shown.verdict}" == card.get_attribute("class")  # the row's own inspection
            assert page.locator("#shown .matches tr.chosen").count() == (shown.class_name is not None)
    page.close()


def expect_rows(page: Page, told: dict[str, Told]) -> dict[str, Locator]:
    """A batch's table and its counts tell it; gives its rows by name."""
    rows = {
        row.locator(".named").get_attribute("title") or "": row for row in page.locator("ltad-batch tbody tr").all()
    }
    assert rows.keys() == told.keys()
    for name, row in rows.items():
        shown = told[name]
        if shown.verdict == ERROR:
            assert row.locator("td.reason").count() == 1
            continue
        assert VERDICTS[row.locator(".state").inner_text().strip()] == shown.verdict, name
        said = row.locator("[data-column=className]").text_content()
        assert said == (spoken(shown.class_name) if shown.class_name else f"nearest: {spoken(shown.nearest or '')}")
    chips = page.locator(".chip").all_inner_texts()[1:]
    counts = {VERDICTS[chip.rpartition(" ")[0]]: int(chip.rpartition(" ")[2]) for chip in chips}
    assert counts == Counter(each.verdict for each in told.values())
    return rows


def test_the_page_shows_what_the_json_tells(
    browser: Browser, toy_url: str, photographs: dict[str, Path], told: dict[str, Told]
) -> None:
    page = browser.new_page(locale="en-GB")
    page.goto(toy_url)
    page.get_by_role("tab", name="Batch").click(timeout=WAIT)
    drop(page, "#batch-files", list(photographs.values()))
    page.locator("#batch-run").click()
    expect(page.locator("#batch-table tbody tr")).to_have_count(len(told), timeout=2 * WAIT)
    expect_rows(page, told)
    page.close()


def test_the_command_tells_what_the_page_tells(
    photographs: dict[str, Path], told: dict[str, Told], toy_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = next(iter(photographs.values())).parent
    assert main(["inspect", str(folder), "--checkpoint", str(toy_checkpoint)]) == 1  # one is torn
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {Path(line["image"]).name: of_report(line) for line in lines} == told


def test_the_web_interface_tells_what_the_page_tells(
    client: Client, photographs: dict[str, Path], told: dict[str, Told]
) -> None:
    for name, path in photographs.items():
        try:
            _, report = client.predict(handle_file(path), "toy", api_name="/inspect")
        except AppError:
            report = {"error": "refused"}
        assert of_report(report) == told[name], name


def test_a_class_that_was_given_is_told_and_an_unrecognised_one_is_not(
    photographs: dict[str, Path], predictor: Predictor
) -> None:
    given, found = (predictor.predict(photographs["china.png"], name).report() for name in ("dots", AUTO))
    assert given["verdict"] == found["verdict"] == "unknown"
    assert given["class"]["name"] == "dots" and found["class"]["name"] is None
    assert not given["class"]["known"] and found["class"].keys() == given["class"].keys()
