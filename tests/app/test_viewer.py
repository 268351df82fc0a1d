"""What the browser computes for itself, against the core that computes it for everyone else."""

import base64
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from app import viewer
from ltad.inspection.predictor import Predictor
from ltad.judging.calibration import DIGITS, Calibration, HeldOut
from ltad.judging.regions import REGION_GRID, find_regions
from ltad.photos.frame import map_to_image
from tests.toys import BROWSER_MARKS, toy_picture

pytestmark = BROWSER_MARKS


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """An empty page that has the viewer's code and nothing else, no server either."""
    page = browser.new_page()
    doors = "judge, rateAt, decodeMap, refine, findRegions, outline"
    page.add_script_tag(content=f"{viewer.source()}\nwindow.core = {{ {doors} }};", type="module")
    page.wait_for_function("window.core")
    yield page
    page.close()


def float32(values: np.ndarray) -> str:
    return base64.b64encode(values.astype("<f4").tobytes()).decode()


@pytest.mark.parametrize("own", [0, 1, 7, 40, 250])
def test_verdicts_are_those_of_the_core_at_every_rate(page: Page, own: int) -> None:
    generator = np.random.default_rng(own)
    drawn = {"a": generator.normal(size=own), "b": generator.normal(1, 2, size=60)}
    scores = {name: tuple(sorted(values.round(DIGITS).tolist())) for name, values in drawn.items()}
    calibration = Calibration({name: HeldOut(theirs) for name, theirs in scores.items()})
    normals = calibration.normals("a")
    asked = [*generator.normal(size=20).round(DIGITS), *generator.choice(normals.scores, 10)]  # ties, too
    rates = [1e-4, 0.003, 1 / 61, 0.02, 1 / 41, 0.05, 0.1, 1 / 8, 0.3, 0.5]
    theirs = page.evaluate(
        "([calibration, scores, rates]) => rates.map((rate) => scores.map((s) => core.judge(s, calibration, rate)))",
        [vars(normals), asked, rates],
    )
    for rate, row in zip(rates, theirs, strict=True):
        for score, there in zip(asked, row, strict=True):
            here = calibration.judge(score, "a", rate)
            assert there["verdict"] == here.verdict
            figures = there["pValue"], there["threshold"], there["promised"]
            assert figures == pytest.approx((here.p_value, here.threshold, here.promised_rate))


def test_the_threshold_can_be_dragged_to_every_normal_score(page: Page) -> None:
    own = sorted(np.random.default_rng(0).normal(size=30).tolist())
    reached = page.evaluate(
        "([own]) => own.scores.map((s) => core.judge(0, own, core.rateAt(s, own)).threshold)",
        [{"scores": own, "images": len(own)}],
    )
    assert reached[15:] == own[15:]  # beyond the largest rate it stays there


@pytest.mark.parametrize("shape", [(16, 16), (32, 32), (7, 11), (1, 1)])
def test_maps_are_made_fine_as_the_core_does_it(page: Page, shape: tuple[int, int]) -> None:
    patches = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    fine = page.evaluate(
        "([map, h, w, side]) => Array.from(core.refine(core.decodeMap(map, w, h), side).values)",
        [float32(patches), *shape, REGION_GRID],
    )
    expected = map_to_image(patches, REGION_GRID, REGION_GRID)
    np.testing.assert_allclose(np.reshape(fine, expected.shape), expected, atol=1e-5)


@pytest.mark.parametrize("size", [(256, 256), (384, 640), (1000, 37), (3, 5)])
def test_regions_are_those_of_the_core(page: Page, size: tuple[int, int]) -> None:
    patches = np.random.default_rng(sum(size)).normal(size=(16, 16)).astype(np.float32)
    theirs = page.evaluate(
        "([map, side, size]) => core.findRegions(core.refine(core.decodeMap(map, 16, 16), side), 0.8, size)",
        [float32(patches), REGION_GRID, list(size)],
    )
    ours = find_regions(patches, 0.8, size)
    assert len(ours) > 10
    assert [(tuple(r["box"]), r["area"]) for r in theirs] == [(r.box, r.area) for r in ours]
    assert [r["peak"] for r in theirs] == pytest.approx([r.peak for r in ours], abs=1e-5)


def test_the_outline_runs_where_the_map_has_the_value(page: Page) -> None:
    patches = np.add.outer(np.zeros(8), np.arange(8)).astype(np.float32)  # grows to the right
    path = page.evaluate("([map]) => core.outline(core.decodeMap(map, 8, 8), 3.25)", [float32(patches)])
    points = [tuple(map(float, point.split())) for point in path.replace("M", "L").split("L")[1:]]
    assert {(3.75, y + 0.5) for y in range(8)} <= set(points)
    assert page.evaluate("([map]) => core.outline(core.decodeMap(map, 8, 8), 9)", [float32(patches)]) == ""


def test_an_inspection_shows_without_a_server_and_escapes_what_it_is_told(page: Page, predictor: Predictor) -> None:
    picture = Image.fromarray(toy_picture("dots", np.random.default_rng(0)).astype(np.uint8))
    strange = "<img src=x onerror=alert(1)>\"'&"
    prediction = predictor.predict(picture, "dots")
    prediction = replace(prediction, photo=replace(prediction.photo, notes=(strange,)))
    page.add_style_tag(path=viewer.STYLE)
    page.evaluate("(html) => (document.body.innerHTML = html)", viewer.inspection(prediction))
    expect(page.locator(".headline span")).not_to_be_empty()
    expect(page.locator(".notes li").first).to_have_text(strange)
    expect(page.locator(".notes img")).to_have_count(0)
    expect(page.locator(".matches tr")).to_have_count(3)
    shown = page.locator("ltad-inspection .sheet").bounding_box()
    assert shown and shown["width"] / shown["height"] == pytest.approx(picture.width / picture.height, rel=0.02)
