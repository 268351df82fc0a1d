"""Solar cells out of an installed package."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest

from ltad.data.elpv import elpv_dataset
from ltad.data.sources import open_dataset
from ltad.errors import DatasetError


@pytest.mark.skipif(importlib.util.find_spec("elpv_dataset") is None, reason="elpv-dataset is optional")
def test_the_installed_cells() -> None:
    dataset = elpv_dataset()
    assert dataset.name == "elpv"
    assert dataset.train_counts == {"solar_mono": 438, "solar_poly": 770}
    assert all(sample.label == 0 for sample in dataset.train)
    for class_name in dataset.class_names:
        labels = [sample.label for sample in dataset.test if sample.class_name == class_name]
        assert (len(labels), sum(labels)) == (300, 150)
    names = [sample.name for sample in dataset.train + dataset.test]
    assert len(set(names)) == len(names)
    assert dataset.test[0].read_mask is None
    image = dataset.test[0].read()
    assert (image.mode, image.size) == ("RGB", (300, 300))
    again = open_dataset("elpv")
    assert [sample.name for sample in again.train + again.test] == names
    # Written down, since published numbers stand on this split.
    assert [sample.name for sample in dataset.test[:3]] == PUBLISHED


PUBLISHED = ["images/cell0002.png", "images/cell0003.png", "images/cell0013.png"]


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DatasetError, match="pip install elpv-dataset"):
        elpv_dataset()


@pytest.mark.parametrize("content", [None, "images/cell0001.png 1.0\n", "a.png one mono\n", "a.png 1.0 thin-film\n"])
def test_a_package_that_is_not_as_expected(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    if content:
        (tmp_path / "data" / "labels.csv").write_text(content)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: SimpleNamespace(origin=str(tmp_path / "__init__.py")))
    with pytest.raises(DatasetError, match=r"labels\.csv” is not as expected"):
        elpv_dataset()
