"""The costs of an inspection: figures that follow from each other, and a checkpoint of any number of classes."""

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from benchmarks import cost
from ltad.checkpoint.card import CheckpointCard, ClassCard
from ltad.checkpoint.folder import read_card, untrained
from ltad.foundation import FoundationModel
from ltad.inspection.predictor import Predictor

LEVELS = ("predict_tensors", "predict")


@pytest.fixture(scope="module")
def figures(toy_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One tiny round."""
    output = tmp_path_factory.mktemp("cost") / "cost.json"
    options = ["--checkpoint", str(toy_checkpoint), "--rounds", "1", "--classes", "7", "3", "--json", str(output)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cost, "BATCH", 4)
        cost.main(options)
    return json.loads(output.read_text(encoding="utf-8"))


def numbers(values: Any) -> Iterator[float]:
    """Every number in it, however deep."""
    if isinstance(values, dict | list):
        for value in values.values() if isinstance(values, dict) else values:
            yield from numbers(value)
    elif isinstance(values, int | float) and not isinstance(values, bool):
        yield values


def test_the_figures_are_of_one_run(figures: dict[str, Any]) -> None:
    assert list(figures) == ["checkpoint", "foundation", "rounds", "machine", "one_image", "batch", "classes"]
    assert (figures["checkpoint"], figures["foundation"], figures["rounds"]) == ("toy", "align-mini", 1)
    assert figures["machine"]["torch_threads"] == torch.get_num_threads()
    assert all(map(math.isfinite, numbers(figures)))


@pytest.mark.parametrize("level", LEVELS)
def test_an_image_is_measured_beside_the_bare_tower(figures: dict[str, Any], level: str) -> None:
    one, bare = figures["one_image"][level], figures["one_image"]["bare_ms"]
    assert list(one) == ["ms", "ratio", "extra_ms", "within_target"] and bare > 0
    assert one["ratio"] == pytest.approx(one["ms"] / bare)
    assert one["extra_ms"] == pytest.approx(one["ms"] - bare)
    assert one["within_target"] == (one["ms"] <= 1.3 * bare + 20)


def test_the_steps_make_up_the_prediction(figures: dict[str, Any]) -> None:
    steps = figures["one_image"]["steps_ms"]
    assert list(steps) == ["decode", "encode", "score", "render"]
    assert 0.5 * figures["one_image"]["predict"]["ms"] < sum(steps.values()) <= figures["one_image"]["predict"]["ms"]


def test_a_batch_is_measured_beside_the_bare_tower(figures: dict[str, Any]) -> None:
    batch = figures["batch"]
    assert list(batch) == ["bare_per_second", "predict_tensors_per_second", "share", "within_target"]
    assert batch["share"] == pytest.approx(batch["predict_tensors_per_second"] / batch["bare_per_second"])
    assert batch["within_target"] == (batch["share"] >= 0.9)


def grown(card: CheckpointCard, classes: int) -> CheckpointCard:
    return replace(card, classes=tuple(ClassCard(name=f"{k}", n_train=1, group="tail") for k in range(classes)))


def test_more_classes_are_beside_the_fewest(
    figures: dict[str, Any], toy_checkpoint: Path, foundation: FoundationModel
) -> None:
    few, more = figures["classes"]
    assert list(few) == ["classes", "ratio", "file_bytes", "bytes_per_class", "bare_peak_bytes", "peak_bytes"]
    assert (few["classes"], few["ratio"], few["bytes_per_class"]) == (3, 1, None)
    assert more["classes"] == 7 and more["file_bytes"] > few["file_bytes"]
    assert more["bytes_per_class"] == (more["file_bytes"] - few["file_bytes"]) / 4
    for row in (few, more):
        model, normal = untrained(grown(read_card(toy_checkpoint), row["classes"]), foundation)
        tensors = [*model.state_dict().values(), *normal]
        held = sum(t.numel() * (2 if t.is_floating_point() else t.element_size()) for t in tensors)
        assert held < row["file_bytes"] < held + 20_000  # names and shapes, too
        assert row["peak_bytes"] >= row["bare_peak_bytes"] > row["file_bytes"]


def test_targets_are_met_or_missed_by_the_medians_alone(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    def took(**milliseconds: float) -> None:
        def medians(rounds: int, tasks: dict[str, Any]) -> dict[str, float]:
            for _ in range(2 if "predict" in tasks else 0):
                tasks["predict"]()
            return {name: milliseconds[name] for name in tasks}

        monkeypatch.setattr(cost, "medians", medians)

    took(bare=100, predict_tensors=150, predict=151)
    one = cost.one_image(predictor, 1)
    assert [one[level]["within_target"] for level in LEVELS] == [True, False]
    assert one["predict"] == {"ms": 151, "ratio": 1.51, "extra_ms": 51, "within_target": False}
    took(bare=900, predict_tensors=1000)
    many = cost.batches(predictor, 1)
    assert many["share"] == 0.9 and many["within_target"] and many["predict_tensors_per_second"] == cost.BATCH
    took(bare=890, predict_tensors=1000)
    assert not cost.batches(predictor, 1)["within_target"]


def test_rivals_take_turns_and_the_first_time_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    now, called = [0.0], []
    monkeypatch.setattr(cost, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def task(name: str, seconds: list[float]) -> None:
        called.append(name)
        now[0] += seconds.pop(0)

    slow, fast = [99.0, 3.0, 1.0, 9.0], [99.0, 0.5, 0.5, 0.25]
    taken = cost.medians(3, {"slow": lambda: task("slow", slow), "fast": lambda: task("fast", fast)})
    assert taken == {"slow": 3000, "fast": 500}
    assert called == ["slow", "fast"] * 4


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
