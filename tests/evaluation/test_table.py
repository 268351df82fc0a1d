"""Figures per class and their means, with n/a where there are none."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ltad.data import Dataset
from ltad.errors import DatasetError
from ltad.evaluation.table import FIGURES, evaluate, format_table, write_metrics
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
    for key in FIGURES:
        by_class = {name: row[key] for name, row in table["classes"].items()}
        assert table["mean"]["all"][key] == pytest.approx(sum(by_class.values()) / 3)
        assert table["mean"]["head"][key] == pytest.approx((by_class["checker"] + by_class["dots"]) / 2)
        assert table["mean"]["tail"][key] == by_class["stripes"]
    for row in (*table["classes"].values(), *table["mean"].values()):
        for key in ("image_auroc", "pixel_auroc"):
            low, high = row[f"{key}_interval"]
            assert 0 <= low <= row[key] + 1e-3 and row[key] - 1e-3 <= high <= 1


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
    assert json.loads(json.dumps(odd_table, allow_nan=False))["classes"]["dots"]["aupro_30"] is None


def test_unknown_classes_are_named_and_left_out(odd_table: dict) -> None:
    assert odd_table["left_out"] == ["bolt", "gear"]
    assert odd_table["classes"].keys() == {"checker", "dots", "stripes"}
    assert odd_table["class_name"] == "auto"


def test_the_table_for_people(odd_table: dict) -> None:
    lines = format_table(odd_table).splitlines()
    assert lines[-1] == "left out, unknown to toy: bolt, gear"
    dots = next(line for line in lines if line.startswith("dots"))
    assert dots.split()[1:3] == ["4", "head"] and dots.count("n/a") == 4
    assert len({len(line) for line in lines[:-1]}) == 1  # columns


def test_where_no_class_is_known_it_is_an_error(predictor: Predictor, toy_data: Dataset) -> None:
    strangers = replace(toy_data, test=tuple(replace(s, class_name="gear") for s in toy_data.test))
    for auto in (False, True):
        with pytest.raises(
            DatasetError, match=r"toy knows none of the classes of toy \(gear\); it knows checker, dots"
        ):
            evaluate(strangers, predictor, auto=auto, progress=quiet)
    with pytest.raises(DatasetError, match="no test images"):
        evaluate(replace(toy_data, test=()), predictor, progress=quiet)
