import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import cost
from ltad.foundation import FoundationModel
from ltad.inspection.predictor import Predictor


@pytest.fixture(scope="module")
def figures(toy_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One tiny round."""
    output = tmp_path_factory.mktemp("cost") / "cost.json"
    options = ["--checkpoint", str(toy_checkpoint), "--rounds", "1", "--classes", "7", "3", "--json", str(output)]
    cost.main(options)
    return json.loads(output.read_text(encoding="utf-8"))


def numbers(values: Any) -> Iterator[float]:
    """Every number in it, however deep."""
    if isinstance(values, dict | list):
        for value in values.values() if isinstance(values, dict) else values:
            yield from numbers(value)
    elif isinstance(values, int | float) and not isinstance(values, bool):
        yield values


def test_the_figures_are_there_and_make_sense(figures: dict[str, Any]) -> None:
    assert list(figures) == ["checkpoint", "foundation", "rounds", "machine", "one_image", "batch", "classes"]
    assert figures["checkpoint"] == "toy" and figures["foundation"] == "align-mini"
    assert list(figures["one_image"]) == ["bare_ms", "predict_tensors", "predict", "steps_ms"]
    for level in ("predict_tensors", "predict"):
        assert list(figures["one_image"][level]) == ["ms", "ratio", "extra_ms", "within_target"]
        assert figures["one_image"][level]["ratio"] > 0
    assert list(figures["one_image"]["steps_ms"]) == ["decode", "encode", "score", "render"]
    assert list(figures["batch"]) == ["bare_per_second", "predict_tensors_per_second", "share", "within_target"]
    assert figures["batch"]["share"] > 0
    assert all(map(math.isfinite, numbers(figures)))


def test_more_classes_are_beside_the_fewest(figures: dict[str, Any]) -> None:
    few, more = figures["classes"]
    assert list(few) == ["classes", "ratio", "file_bytes", "bytes_per_class", "bare_peak_bytes", "peak_bytes"]
    assert (few["classes"], few["ratio"], few["bytes_per_class"]) == (3, 1, None)
    assert more["classes"] == 7 and more["ratio"] > 0
    assert more["bytes_per_class"] == (more["file_bytes"] - few["file_bytes"]) / 4 > 0
    assert all(row["peak_bytes"] >= row["bare_peak_bytes"] > 0 for row in figures["classes"])


def test_the_tables_show_the_figures(figures: dict[str, Any]) -> None:
    text = cost.format_cost(figures)
    assert f"| bare image tower | {figures['one_image']['bare_ms']:.1f} |" in text
    assert f"{figures['machine']['torch_threads']} threads" in text
    assert [row.split(" | ")[0] for row in text.splitlines()[-2:]] == ["| 3", "| 7"]


def test_a_synthetic_checkpoint_loads_and_scores(
    predictor: Predictor, foundation: FoundationModel, tmp_path: Path
) -> None:
    folder = cost.synthetic_checkpoint(predictor.card, foundation, 5, tmp_path / "five")
    scored = Predictor.from_checkpoint(folder, foundation).predict_tensors(cost.random_images(foundation, 2))
    assert scored.similarities.shape == (2, 5)
    assert torch.isfinite(scored.anomaly_maps).all() and scored.anomaly_maps.std() > 0
