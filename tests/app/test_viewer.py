"""What the browser computes for itself, against the core that computes it for everyone else."""

import base64
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from app import viewer
from ltad.inspection.predictor import Predictor
from ltad.judging.calibration import DIGITS, Calibration, HeldOut
from ltad.judging.regions import CELL, REGION_GRID, find_regions
from ltad.photos.frame import map_to_image
from tests.toys import BROWSER_MARKS, toy_picture

pytestmark = BROWSER_MARKS


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """An empty page that has the viewer's code and nothing else, no server either."""
    page = browser.new_page()
    doors = "judge, rateAt, decodeMap, refine, findRegions, outline, WORDS"
    page.add_script_tag(content=f"{viewer.source()}\nwindow.core = {{ {doors} }};", type="module")
    page.wait_for_function("window.core")
    yield page
    page.close()


def packed(values: np.ndarray) -> dict[str, Any]:
    height, width = values.shape
    return {"values": base64.b64encode(values.astype("<f4").tobytes()).decode(), "grid": [width, height]}


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


@pytest.mark.parametrize("shape", [(16, 16), (32, 32), (7, 11), (1, 1), (64, 179)])
def test_maps_are_made_fine_as_the_core_does_it(page: Page, shape: tuple[int, int]) -> None:
    patches = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    fine = page.evaluate(
        "([map]) => { const { values, width, height } = core.refine(core.decodeMap(map));"
        " return [Array.from(values), height, width]; }",
        [packed(patches)],
    )
    height, width = (max(REGION_GRID, CELL * side) for side in shape)
    assert fine[1:] == [height, width]
    np.testing.assert_allclose(np.reshape(fine[0], (height, width)), map_to_image(patches, width, height), atol=1e-5)


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        ((256, 256), (16, 16)),
        ((384, 640), (16, 16)),
        ((1000, 37), (16, 16)),
        ((3, 5), (16, 16)),
        ((2800, 1024), (32, 88)),
    ],
)
def test_regions_are_those_of_the_core(page: Page, size: tuple[int, int], shape: tuple[int, int]) -> None:
    patches = np.random.default_rng(sum(size)).normal(size=shape).astype(np.float32)
    theirs = page.evaluate(
        "([map, size]) => core.findRegions(core.refine(core.decodeMap(map)), 0.8, size)",
        [packed(patches), list(size)],
    )
    ours = find_regions(patches, 0.8, size)
    assert len(ours) > 10
    assert [(tuple(r["box"]), r["area"]) for r in theirs] == [(r.box, r.area) for r in ours]
    assert [r["peak"] for r in theirs] == pytest.approx([r.peak for r in ours], abs=1e-5)


def test_the_outline_runs_where_the_map_has_the_value(page: Page) -> None:
    patches = np.add.outer(np.zeros(8), np.arange(8)).astype(np.float32)  # grows to the right
    path = page.evaluate("([map]) => core.outline(core.decodeMap(map), 3.25)", [packed(patches)])
    points = [tuple(map(float, point.split())) for point in path.replace("M", "L").split("L")[1:]]
    assert {(3.75, y + 0.5) for y in range(8)} <= set(points)
    assert page.evaluate("([map]) => core.outline(core.decodeMap(map), 9)", [packed(patches)]) == ""


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


@pytest.mark.parametrize(
    ("fine", "said"),
    [(None, ""), (0.4, "it is much like normal images (0.4"), (9.0, "it is unlike normal images (9.0")],
)
def test_why_tells_what_was_looked_at_closely_where_something_was(
    page: Page, predictor: Predictor, fine: float | None, said: str
) -> None:
    prediction = predictor.predict(Image.fromarray(np.full((96, 128, 3), 90, dtype=np.uint8)), "dots")
    if fine is not None:
        prediction = replace(prediction, part_scores=prediction.part_scores | {"fine": fine})
    page.evaluate("(html) => (document.body.innerHTML = html)", viewer.inspection(prediction))
    why = page.locator(".why p")
    expect(why).to_contain_text(said)
    assert ("Looked at closely" in why.inner_text()) == (fine is not None)


NORMALS = {"own": 200, "images": 200, "played": None, "provisional": False, "seen": None, "rate": 0.05}
FILLED = NORMALS | {"own": 10, "images": 60, "played": 10}
BACKINGS: list[tuple[dict[str, object], list[str]]] = [
    (NORMALS, ["on 200 held-out normal images of this class. At most 5 %", "no less than 0.5 %"]),
    (NORMALS | {"played": 50}, ["200 held-out normal images of this class, moved towards what new images scored"]),
    (
        FILLED,
        [
            "10 held-out normal images of this class and 50 that other classes, cut down to as few images, lend it",
            "9.1 %",
        ],
    ),
    (
        FILLED | {"played": None},
        ["10 held-out normal images of this class and 50 that all classes lend it", "set to let"],
    ),
    (FILLED | {"own": 0, "provisional": True}, ["no held-out image of this class and 60 that", "was not measured"]),
    (
        FILLED | {"own": 3, "provisional": True, "seen": [0.08, 0.2]},
        ["nothing can be promised", "8 %", "worst class 20 %"],
    ),
]


@pytest.mark.parametrize(("calibration", "said"), BACKINGS)
def test_what_stands_behind_a_threshold_is_said_of_this_class(
    page: Page, calibration: dict[str, object], said: list[str]
) -> None:
    ask = "([calibration, threshold]) => core.WORDS.promise(calibration, 0.05, threshold)"
    sentence, to_come = (page.evaluate(ask, [calibration, threshold]) for threshold in (2.0, None))
    assert all(part in sentence for part in said)
    assert sentence.startswith("The threshold 2.00 stands on ") and to_come.startswith("The threshold will stand on ")
    assert sentence.partition(" on ")[2] == to_come.partition(" on ")[2]
    is_promise = calibration["own"] == calibration["images"]
    assert ("At most" in sentence) == is_promise  # of lent images nothing is promised


@pytest.mark.parametrize(
    ("calibration", "below", "said"),
    [
        (NORMALS, 200, "More unusual than all of this class's 200 held-out normal images"),
        (NORMALS, 199, "More unusual than all but 1 of this class's 200"),
        (NORMALS, 100, "More unusual than 100 of this class's 200"),
        (NORMALS, 0, "Less unusual than any of this class's 200"),
        (FILLED, 57, "all but 3 of 60 normal images, 10 of this class and 50 of classes cut down to as few"),
        (FILLED | {"own": 0, "played": None}, 60, "all of 60 normal images, none of this class and 60 of all classes"),
    ],
)
def test_how_unusual_an_image_is_is_counted_among_named_normals(
    page: Page, calibration: dict[str, object], below: int, said: str
) -> None:
    sentence = page.evaluate(
        "([normals, below]) => core.WORDS.unusual(below, normals, 'hex_nut')", [calibration, below]
    )
    assert said in sentence and sentence.endswith("judged as hex nut.") and "%" not in sentence


def test_the_promise_before_a_training_is_that_of_the_verdicts_card(page: Page, predictor: Predictor) -> None:
    card = predictor.card
    html = f'<p id="now">{viewer.promise(card, "dots")}</p><p id="then">{viewer.promise_of_images(card, 4)}</p>'
    page.evaluate("(html) => (document.body.innerHTML = html)", html)
    told = viewer.inspection(predictor.predict(Image.fromarray(np.full((96, 128, 3), 90, dtype=np.uint8)), "dots"))
    now, then = page.locator("#now").inner_text(), page.locator("#then").inner_text()
    page.evaluate("(html) => (document.body.innerHTML = html)", told)
    assert now in page.locator(".verdict .quiet").inner_text()
    assert "4 held-out normal images of this class" in now and "4 held-out normal images of this class" in then


@pytest.mark.parametrize(
    ("label", "verdict", "said"),
    [
        ("dent", "ok", "it misses the defect"),
        ("dent", "borderline", "borderline is no defect"),
        ("dent", "unknown", "unknown is no defect"),
        ("dent", "defect", ""),
        ("good", "defect", "calls a good one a defect"),
        ("good", "ok", ""),
        (None, "ok", None),
    ],
)
def test_an_example_says_its_truth_and_where_the_model_misses_it(
    page: Page, predictor: Predictor, label: str | None, verdict: str, said: str | None
) -> None:
    picture = Image.fromarray(toy_picture("dots", np.random.default_rng(0)).astype(np.uint8))
    prediction = predictor.predict(picture, "dots")
    score = {"ok": -9.0, "defect": 99.0, "borderline": prediction.judgement.normals.scores[-1]}.get(verdict, 0.0)
    prediction = replace(prediction, image_score=score, known=verdict != "unknown")
    prediction = prediction.at(prediction.card.config.calibration.false_alarm_rate)
    assert prediction.verdict == verdict
    page.evaluate("(html) => (document.body.innerHTML = html)", viewer.inspection(prediction, label))
    truth = page.locator(".verdict .truth")
    if said is None:
        expect(truth).to_be_hidden()
    else:
        expect(truth).to_contain_text(f"labelled: {label}. {said and 'The model '}".strip())
        expect(truth).to_contain_text(said)
        assert ("missed" in (truth.get_attribute("class") or "")) == bool(said)
