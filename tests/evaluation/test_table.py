"""Figures per class and their means, with n/a where there are none."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ltad.data import Dataset, Fault
from ltad.errors import DatasetError, ImageError
from ltad.evaluation.harmless import harmlessly_changed
from ltad.evaluation.table import FIGURES, HARMLESS, evaluate, format_table, write_metrics
from ltad.evaluation.working_point import SHARES, WORKING_POINT
from ltad.inspection.prediction import UNKNOWN
from ltad.inspection.predictor import Predictor
from ltad.progress import quiet


def test_the_toy_classes_are_learned(predictor: Predictor) -> None:
    table = predictor.card.metrics
    for name, row in table["classes"].items():
        assert row["image_auroc"] >= 0.9, name
        assert row["pixel_auroc"] >= 0.95, name
        assert row["aupro_30"] >= 0.85, name
        assert row["class_accuracy"] == 1, name
        assert (row["n_normal"], row["n_anomalous"]) == (3, 3)
    assert [(n, row["n_train"], row["group"]) for n, row in table["classes"].items()] == [
        ("checker", 8, "head"),
        ("dots", 4, "head"),
        ("stripes", 1, "tail"),
    ]


def test_the_table_has_the_promised_shape(predictor: Predictor) -> None:
    table = predictor.card.metrics
    assert {"checkpoint", "data", "foundation", "classes", "mean"} <= table.keys()
    assert (table["checkpoint"], table["data"], table["foundation"]) == ("toy", "toy", "align-mini")
    assert table["mean"].keys() == {"all", "head", "tail"}
    assert table["false_alarm_rate"] == predictor.card.config.calibration.false_alarm_rate
    for key in (*FIGURES, *WORKING_POINT):
        by_class = {name: row[key] for name, row in table["classes"].items()}
        assert table["mean"]["all"][key] == pytest.approx(sum(by_class.values()) / 3)
        assert table["mean"]["head"][key] == pytest.approx((by_class["checker"] + by_class["dots"]) / 2)
        assert table["mean"]["tail"][key] == by_class["stripes"]
    for row in (*table["classes"].values(), *table["mean"].values()):
        for key in ("image_auroc", "pixel_auroc", *SHARES):
            low, high = row[f"{key}_interval"]
            assert 0 <= low <= row[key] + 1e-3 and row[key] - 1e-3 <= high <= 1
        assert row["harmless"] is None


def verdicts(predictor: Predictor, dataset: Dataset, class_name: str, auto: bool) -> dict[str, float]:
    """The shares as whoever photographs every test image of a class would count them on the page."""
    own = [sample for sample in dataset.test if sample.class_name == class_name]
    seen = [(s.label, predictor.predict(s.read(), "auto" if auto else class_name)) for s in own]
    flagged = [[p.judgement.verdict == "defect" for label, p in seen if label == wanted] for wanted in (0, 1)]
    shares = {key: sum(flags) / len(flags) for key, flags in zip(SHARES, flagged, strict=True)}
    return shares | {"refused": sum(p.verdict == UNKNOWN for _, p in seen) / len(seen)}


@pytest.fixture(scope="module")
def blurred_names(toy_data: Dataset) -> Dataset:
    """The toy data with dots among the checkers, and stripes at half their height: not all of it goes well."""
    dots = [replace(s, class_name="checker") for s in toy_data.test if s.class_name == "dots"]
    half = [
        replace(s, read=lambda s=s: s.read().crop((0, 0, 128, 48)), read_mask=None)
        for s in toy_data.test
        if s.class_name == "stripes"
    ]
    return replace(toy_data, test=(*(s for s in toy_data.test if s.class_name == "checker"), *dots, *half))


@pytest.mark.parametrize("auto", [False, True])
def test_the_working_point_is_that_of_the_page(predictor: Predictor, blurred_names: Dataset, auto: bool) -> None:
    table = evaluate(blurred_names, predictor, auto=auto, harmless=True, progress=quiet)
    changed = replace(blurred_names, test=tuple(harmlessly_changed(s) for s in blurred_names.test))
    for name, row in table["classes"].items():
        expected = verdicts(predictor, blurred_names, name, auto)
        assert {key: row[key] for key in expected} == pytest.approx(expected), name
        again = verdicts(predictor, changed, name, auto)
        assert {key: row["harmless"][key] for key in SHARES} == pytest.approx({key: again[key] for key in SHARES})
        assert row["harmless"].keys() == {*HARMLESS, *(f"{key}_interval" for key in SHARES)}
    assert len({row[key] for row in table["classes"].values() for key in ("false_alarms", "refused", "found")}) > 1


def test_harmlessly_changed_images_are_measured_beside_the_others(predictor: Predictor, toy_data: Dataset) -> None:
    told: list[tuple[int, int]] = []
    table = evaluate(
        toy_data,
        predictor,
        harmless=True,
        progress=lambda stage, step, steps, loss=None: told.append((step, steps)),
    )
    assert told[-1] == (36, 36) and told == sorted(told)
    changed = evaluate(
        replace(toy_data, test=tuple(harmlessly_changed(s) for s in toy_data.test)), predictor, progress=quiet
    )
    published = predictor.card.metrics
    assert published
    for part in ("classes", "mean"):
        for name, row in table[part].items():
            assert row["image_auroc"] == pytest.approx(published[part][name]["image_auroc"], abs=1e-4)
            again = row["harmless"]
            assert again == {key: changed[part][name][key] for key in again}, (part, name)
    lines = format_table(table).splitlines()
    assert [line.split()[0] for line in lines[:14]] == [
        "train", "checker", "dots", "stripes", "mean", "mean", "mean",
        "harmlessly", "checker", "dots", "stripes", "mean", "mean", "mean",
    ]  # fmt: skip
    assert lines[8].split()[3:] == [
        f"{100 * figure:.1f}" if isinstance(figure, float) else "–".join(f"{100 * end:.1f}" for end in figure)
        for key in ("image_auroc", "false_alarms", "false_alarms_interval", "found", "found_interval")
        for figure in [table["classes"]["checker"]["harmless"][key]]
    ]


def test_measuring_again_gives_the_same(predictor: Predictor, toy_data: Dataset, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    again = evaluate(toy_data, predictor, progress=lambda stage, step, steps, loss=None: told.append((step, steps)))
    write_metrics(again, tmp_path / "metrics.json")
    again = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    published = predictor.card.metrics
    assert told[-1] == (18, 18) and told == sorted(told)
    assert again.keys() == published.keys()
    assert {key: again[key] for key in again if key not in ("classes", "mean")} == {
        key: published[key] for key in published if key not in ("classes", "mean")
    }
    for part in ("classes", "mean"):
        for name, row in published[part].items():
            assert again[part][name].keys() == row.keys()
            figures = {key: value for key, value in row.items() if not key.endswith("_interval")}
            assert {key: again[part][name][key] for key in figures} == pytest.approx(figures, abs=1e-4), name
            for key in row.keys() - figures.keys():
                assert again[part][name][key] == pytest.approx(row[key], abs=1e-4), (name, key)


@pytest.fixture(scope="module")
def odd_table(predictor: Predictor, toy_data: Dataset) -> dict:
    """Measured: checkers whole, dots without masks, stripes all defective, and two products never learned."""
    samples = []
    for sample in toy_data.test:
        if sample.class_name == "dots":
            samples.append(replace(sample, read_mask=None))
        elif sample.class_name == "checker" or sample.label:
            samples.append(sample)
    samples += [replace(samples[0], class_name="gear"), replace(samples[1], class_name="bolt")]
    return evaluate(replace(toy_data, test=tuple(samples)), predictor, auto=True, progress=quiet)


def test_what_is_undefined_is_none_and_left_out_of_the_means(odd_table: dict) -> None:
    classes, mean = odd_table["classes"], odd_table["mean"]
    pixel = [key for key in FIGURES if key.startswith(("pixel", "aupro"))]
    image = [key for key in FIGURES if key not in pixel]
    assert all(classes["dots"][key] is None for key in pixel) and classes["dots"]["pixel_auroc_interval"] is None
    assert all(classes["dots"][key] is not None for key in image)
    assert all(classes["stripes"][key] is None for key in image) and classes["stripes"]["image_auroc_interval"] is None
    assert all(classes["stripes"][key] is not None for key in pixel)
    for key in pixel:
        assert mean["head"][key] == classes["checker"][key]
        assert mean["all"][key] == pytest.approx((classes["checker"][key] + classes["stripes"][key]) / 2)
    assert all(mean["tail"][key] is None for key in image) and mean["tail"]["image_auroc_interval"] is None
    stripes = classes["stripes"]
    assert stripes["false_alarms"] is stripes["false_alarms_interval"] is stripes["found_at_best"] is None
    assert stripes["found"] is not None and stripes["refused"] is not None
    assert mean["tail"]["false_alarms"] is mean["tail"]["false_alarms_interval"] is None
    assert mean["all"]["false_alarms"] == mean["head"]["false_alarms"] is not None
    assert json.loads(json.dumps(odd_table, allow_nan=False))["classes"]["dots"]["aupro_30"] is None


def test_unknown_classes_are_named_and_left_out(odd_table: dict) -> None:
    assert odd_table["left_out"] == ["bolt", "gear"]
    assert odd_table["classes"].keys() == {"checker", "dots", "stripes"}
    assert odd_table["class_name"] == "auto"


def test_the_table_for_people(odd_table: dict) -> None:
    lines = format_table(odd_table).splitlines()
    assert lines[-1] == "left out, unknown to toy: bolt, gear"
    assert "at the checkpoint's own rate of 12.0 %" in lines[-2]
    dots, stripes = (next(line for line in lines if line.startswith(name)) for name in ("dots", "stripes"))
    assert dots.split()[1:3] == ["4", "head"] and dots.count("n/a") == 2  # in pixels
    assert stripes.count("n/a") == 5  # image AUROC and false alarms with their intervals, and found at best
    assert len(lines[0]) <= 150 and len({len(line) for line in lines[:-2]}) == 1  # columns


@pytest.fixture
def dots(toy_data: Dataset) -> Dataset:
    """One class of the toy data to test with."""
    return replace(toy_data, test=tuple(s for s in toy_data.test if s.class_name == "dots"))


def test_an_image_without_a_mask_is_in_the_image_figures_and_in_no_pixel_figure(
    predictor: Predictor, dots: Dataset
) -> None:
    bare = next(s for s in dots.test if s.label)
    some = tuple(replace(s, read_mask=None) if s == bare else s for s in dots.test)
    table = evaluate(replace(dots, test=some), predictor, progress=quiet)
    fewer = evaluate(replace(dots, test=tuple(s for s in dots.test if s != bare)), predictor, progress=quiet)
    published, without, row = (each["classes"]["dots"] for each in (predictor.card.metrics, fewer, table))
    assert (row["n_anomalous"], row["n_unmarked"], published["n_unmarked"]) == (3, 1, 0)
    for key in FIGURES:
        same = without if key.startswith(("pixel", "aupro")) else published
        assert row[key] == pytest.approx(same[key], abs=1e-4), key
    assert row["pixel_auroc_interval"] == pytest.approx(without["pixel_auroc_interval"], abs=1e-4)
    assert format_table(table).splitlines()[-1] == "defective images without a mask, in no pixel figure: 1 of dots"
    assert "without a mask" not in format_table(fewer)


def unreadable() -> Image.Image:
    raise ImageError("“/data/1.png” cannot be used: x") from ImageError("This image is empty.")


def unmarkable() -> np.ndarray:
    raise DatasetError("“/data/1_mask.png” cannot be used: x") from DatasetError("The mask is of another size.")


def test_a_bad_picture_costs_no_evaluation(predictor: Predictor, dots: Dataset) -> None:
    good, other = (next(s for s in dots.test if s.label == label) for label in (0, 1))
    left = (replace(s, read_mask=None) if s == other else s for s in dots.test if s != good)
    expected = evaluate(replace(dots, test=tuple(left)), predictor, progress=quiet)
    spoilt = {good: replace(good, read=unreadable), other: replace(other, read_mask=unmarkable)}
    test = tuple(spoilt.get(s, s) for s in dots.test)
    known = Fault("dots/lost.png", Path("/data/dots/lost.png"), "It is lost.")
    told: list[Fault] = []
    table = evaluate(
        replace(dots, test=test, faults=(known,)),
        predictor,
        harmless=True,  # asks for every image once more
        strangers=replace(dots, test=tuple(replace(s, class_name="nuts") for s in test)),
        tell=told.append,
        progress=quiet,
    )
    assert [(fault.name, fault.reason) for fault in told] == [
        (good.name, "This image is empty."),
        (f"mask of {other.name}", "The mask is of another size."),
    ]
    assert table["broken"] == [{"name": fault.name, "reason": fault.reason} for fault in (known, *told)]
    assert table["strangers"]["classes"]["nuts"]["n"] == 2  # good ones, of which one is broken
    row, same = table["classes"]["dots"], expected["classes"]["dots"]
    assert (row["n_normal"], row["n_anomalous"], row["n_unmarked"]) == (2, 3, 1)
    assert {key: row[key] for key in FIGURES} == pytest.approx({key: same[key] for key in FIGURES}, abs=1e-4)
    names = ", ".join(each["name"] for each in table["broken"])
    assert format_table(table).splitlines()[-1] == f"left out, 3 files that cannot be used: {names}"


def test_a_class_of_bad_pictures_is_left_out_and_so_are_such_strangers(predictor: Predictor, toy_data: Dataset) -> None:
    test = tuple(replace(s, read=unreadable) if s.class_name == "dots" else s for s in toy_data.test)
    strangers = replace(toy_data, test=tuple(replace(s, class_name="nuts", read=unreadable) for s in test))
    table = evaluate(replace(toy_data, test=test), predictor, strangers=strangers, progress=quiet)
    assert table["classes"].keys() == {"checker", "stripes"} and table["mean"]["all"]["n_classes"] == 2
    assert table["strangers"] is None and len(table["broken"]) >= 6
    assert "NaN" not in json.dumps(table)


def test_where_no_class_is_known_it_is_an_error(predictor: Predictor, toy_data: Dataset) -> None:
    strangers = replace(toy_data, test=tuple(replace(s, class_name="gear") for s in toy_data.test))
    for auto in (False, True):
        with pytest.raises(
            DatasetError, match=r"toy knows none of the classes of toy \(gear\); it knows checker, dots"
        ):
            evaluate(strangers, predictor, auto=auto, progress=quiet)
    with pytest.raises(DatasetError, match="no test images"):
        evaluate(replace(toy_data, test=()), predictor, progress=quiet)
