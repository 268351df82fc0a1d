"""A batch, from the upload to the files that are taken away."""

import csv
import io
import json
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from app.tabs.batch.batch import COLUMNS, Batch, batch_element
from ltad.errors import ArchiveError, ImageError
from ltad.inspection.pictures import load_map
from ltad.inspection.predictor import AUTO, Predictor
from tests.toys import toy_picture

BROKEN = b"this is no picture"


def save(path: Path, class_name: str = "dots", seed: int = 0) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(toy_picture(class_name, np.random.default_rng(seed)).astype(np.uint8)).save(path)
    return str(path)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Two photographs, a broken file, and a ZIP of one more, a broken one and an attack."""
    broken = tmp_path / "broken.png"
    broken.write_bytes(BROKEN)
    archive = tmp_path / "more.zip"
    with ZipFile(archive, "w") as packed:
        packed.write(save(tmp_path / "in" / "c.png", "checker", 2), "folder/c.png")
        packed.writestr("folder/bad.png", BROKEN)
        packed.writestr("../evil.png", BROKEN)
    return [save(tmp_path / "=a.png", "dots"), save(tmp_path / "b.png", "stripes", 1), str(broken), str(archive)]


@pytest.fixture
def batch(files: list[str], predictor: Predictor) -> Batch:
    batch = Batch(files, predictor.card)
    list(batch.run(predictor, AUTO))
    return batch


def test_good_files_are_judged_and_bad_ones_named(batch: Batch, files: list[str], predictor: Predictor) -> None:
    assert batch.total == len(batch.items) == 6
    errors = {item.photograph.name: item.error for item in batch.items if item.error}
    assert set(errors) == {"../evil.png", "broken.png", "folder/bad.png"}
    assert "out of the archive" in errors["../evil.png"]
    assert "not an image" in errors["broken.png"] and "not an image" in errors["folder/bad.png"]
    alone = predictor.predict(files[0])
    found = next(item.prediction for item in batch.items if item.photograph.name == "=a.png")
    assert found and found.class_name == alone.class_name
    assert found.image_score == pytest.approx(alone.image_score, abs=1e-4)


def test_results_come_one_after_the_other(files: list[str], predictor: Predictor) -> None:
    batch = Batch(files, predictor.card)
    steps = batch.run(predictor, AUTO)
    next(steps)
    sent = len(batch.items)
    assert 0 < sent < batch.total == 6
    list(steps)
    assert [row["number"] for row in batch.rows(sent)] == list(range(sent, 6))


def test_the_table_follows_the_false_alarm_rate_and_cannot_be_a_formula(batch: Batch, predictor: Predictor) -> None:
    for rate in (0.05, 0.5):
        lines = list(csv.DictReader(io.StringIO(batch.csv(rate))))
        assert list(lines[0]) == list(COLUMNS) and len(lines) == 6
        for line in (line for line in lines if not line["error"]):
            judged = predictor.card.calibration.judge(float(line["image_score"]), line["class"], rate)
            assert line["verdict"] == judged.verdict
            assert float(line["threshold"]) == pytest.approx(judged.threshold, abs=1e-4)
        assert "'=a.png" in {line["image"] for line in lines}


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.5])
def test_everything_that_is_taken_away_is_judged_at_the_chosen_rate(
    batch: Batch, files: list[str], predictor: Predictor, rate: float
) -> None:
    expected = predictor.predict(files[1], AUTO, rate)
    reports = {report["image"]: report for report in json.loads(batch.json(rate))}
    assert reports["broken.png"] == {"image": "broken.png", "error": reports["broken.png"]["error"]}
    report = reports["b.png"]
    told = expected.report()
    assert report["threshold"] == told["threshold"] and report["verdict"] == told["verdict"]
    assert [region["box"] for region in report["regions"]] == [region["box"] for region in told["regions"]]
    (line,) = (line for line in batch.table(rate) if line["image"] == "b.png")
    assert (line["threshold"], line["verdict"]) == (told["threshold"], told["verdict"])
    assert line["places"] == len(told["regions"])  # above the threshold of the same row
    path = batch.folder / "maps.zip"
    batch.write_maps(path, rate)
    with ZipFile(path) as packed:
        assert len(packed.namelist()) == 3
        name = next(name for name in packed.namelist() if name.endswith("_b_map.png"))
        packed.extract(name, batch.folder)
    top = 2 * max(expected.judgement.threshold, 1e-6)
    np.testing.assert_allclose(load_map(batch.folder / name), np.clip(expected.anomaly_map, 0, top), atol=1e-3 * top)


def test_the_report_holds_every_photograph_and_asks_nobody(batch: Batch) -> None:
    report = batch.report(0.12)
    assert report.count("data:image/jpeg;base64,") >= 2 * 3
    assert "http://" not in report.replace("http://www.w3.org/2000/svg", "") and "https://" not in report


def test_names_are_escaped(tmp_path: Path, predictor: Predictor) -> None:
    batch = Batch([save(tmp_path / '"><img src=x>.png')], predictor.card)
    list(batch.run(predictor, AUTO))
    assert "<img src=x>" not in batch_element(batch.rows(), 1, batch.card, "key")


def test_what_was_unpacked_goes_with_the_batch(batch: Batch) -> None:
    folder = batch.folder
    assert any(folder.rglob("*.png"))
    assert not batch.is_gone
    batch.close()
    assert batch.is_gone
    assert not folder.exists()


def test_nothing_too_much_and_no_archive_get_one_sentence(tmp_path: Path, predictor: Predictor) -> None:
    with pytest.raises(ImageError, match="There are no photographs"):
        Batch([], predictor.card)
    with pytest.raises(ImageError, match="2001 files, and 2000 can be judged"):
        Batch([str(tmp_path / "a.png")] * 2001, predictor.card)
    fake = tmp_path / "fake.zip"
    fake.write_bytes(BROKEN)
    with pytest.raises(ArchiveError):
        Batch([str(fake)], predictor.card)
