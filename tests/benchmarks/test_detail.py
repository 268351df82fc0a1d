"""The comparison of details: every method measured alike, and what was written printed again."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import detail
from ltad.data import GOOD, Dataset, Sample
from ltad.data.sources import open_dataset
from ltad.foundation import FoundationModel


def picture(spot: bool, seed: int) -> Image.Image:
    pixels = np.random.default_rng(seed).normal(120, 4, (300, 540, 3))
    if spot:
        pixels[140:150, 300:312] = 250
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def mask() -> np.ndarray:
    marked = np.zeros((300, 540), bool)
    marked[140:150, 300:312] = True
    return marked


def sample(name: str, spot: bool, seed: int) -> Sample:
    return Sample(
        name=name,
        class_name="plate",
        defect="spot" if spot else GOOD,
        read=lambda: picture(spot, seed),
        read_mask=mask if spot else None,
    )


@pytest.fixture(autouse=True)
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bank of few patches."""
    monkeypatch.setattr(detail, "KEPT", 128)
    monkeypatch.setattr(detail, "CANDIDATES", 2_000)


@pytest.fixture(scope="module")
def plates() -> Dataset:
    train = tuple(sample(f"train/{i}", False, i) for i in range(5))
    test = tuple(sample(f"test/{i}", i % 2 == 1, 50 + i) for i in range(6))
    return Dataset(name="plates", train=train, test=test)


def test_a_seed_draws_some_images_of_each_class(plates: Dataset) -> None:
    drawn = [detail.draw(plates, seed) for seed in range(3)]
    assert all(len(each.train) == 4 and each.test == plates.test for each in drawn)
    assert len({tuple(s.name for s in each.train) for each in drawn}) > 1


def test_the_search_sees_the_same_frame_in_every_way(foundation: FoundationModel, plates: Dataset) -> None:
    looks = detail.looks(foundation)
    shapes = {name: tuple(see(plates.train[0]).shape[1:]) for name, see in looks.items()}
    assert list(shapes.values()) == [(16, 16), (32, 32), (32, 58)]
    for name, see in looks.items():
        found = detail.neighbours(plates, see, seed=0)["plate"]
        assert found["image_auroc"] == found["found_at_best"] == 1.0, name
        assert found["pixel_auroc"] > 0.8


def test_what_has_no_mask_has_no_pixel_figures(plates: Dataset) -> None:
    samples = [replace(s, read_mask=None) for s in plates.test]
    maps = (torch.full((2, 3), float(s.label)) for s in samples)
    found = detail.figures("plate", samples, maps)
    assert found["image_auroc"] == 1.0 and found["pixel_auroc"] is None and found["n_unmarked"] == 3


def test_a_run_goes_on_and_is_printed_again(
    toy_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    short = ["phase1.steps=2", "phase2.steps=2", "calibration.phase2_steps=2", "memory.per_class=32", "views.wanted=0"]
    short += ["reconstruction.dim=16", "synthesis.width=8"]
    words = ["--data", str(toy_folder), "--details", "2", "--output", str(tmp_path / "detail.json")]
    words += [word for setting in short for word in ("--set", setting)]
    detail.main(words)
    printed = capsys.readouterr().out
    results = json.loads((tmp_path / "detail.json").read_text())
    assert [run["method"] for run in results["runs"]] == [*list(_names(printed))]
    assert set(results["runs"][0]["classes"]) == set(open_dataset(str(toy_folder)).class_names)
    monkeypatch.setattr(detail, "neighbours", None)  # nothing is measured twice
    detail.main([*words, "--resume"])
    assert capsys.readouterr().out == printed
    detail.main(["--table", str(tmp_path / "detail.json"), "--per-class"])
    assert "| image AUROC / found | checker | dots | stripes |" in capsys.readouterr().out


def _names(table: str) -> list[str]:
    return [line.split(" | ")[0].removeprefix("| ") for line in table.strip().splitlines()[2:]]
