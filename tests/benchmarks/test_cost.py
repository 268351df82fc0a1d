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

TARGETS = [
    ("one_image", "tower", 0.6),
    ("one_image", "predict_views", None),
    ("one_image", "predict", 0.75),
    ("batch", "tower", 0.45),
    ("batch", "predict_views", None),
]


@pytest.fixture(scope="module")
def figures(toy_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One tiny round."""
    output = tmp_path_factory.mktemp("cost") / "cost.json"
    options = ["--checkpoint", str(toy_checkpoint), "--rounds", "1", "--classes", "7", "3", "--json", str(output)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cost, "BATCH", 4)
        patch.setattr(cost, "ENCODED", 3)
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
    parts = ["one_image", "batch", "encoding", "classes"]
    assert list(figures) == ["checkpoint", "foundation", "where", "rounds", "machine", *parts]
    assert (figures["checkpoint"], figures["foundation"], figures["rounds"]) == ("toy", "align-mini", 1)
    assert figures["machine"]["torch_threads"] == torch.get_num_threads() and "OpenVINO" in figures["where"]
    assert all(map(math.isfinite, numbers(figures)))


@pytest.mark.parametrize(("part", "level", "target"), TARGETS)
def test_everything_is_measured_beside_the_eager_tower(
    figures: dict[str, Any], part: str, level: str, target: float | None
) -> None:
    one, eager = figures[part][level], figures[part]["eager"]["ms"]
    assert list(one) == ["ms", "ratio", "target", "within_target"] and eager > 0
    assert one["ratio"] == pytest.approx(one["ms"] / eager) and one["target"] == target
    assert one["within_target"] == (None if target is None else one["ms"] <= target * eager)


def test_the_steps_make_up_the_prediction(figures: dict[str, Any]) -> None:
    steps = figures["one_image"]["steps_ms"]
    assert list(steps) == ["decode", "encode", "score", "render"]
    assert 0.5 * figures["one_image"]["predict"]["ms"] < sum(steps.values()) <= figures["one_image"]["predict"]["ms"]


def test_a_training_encodes_by_the_engine(figures: dict[str, Any]) -> None:
    encoding = figures["encoding"]
    assert encoding["gain"] == pytest.approx(encoding["engine_per_second"] / encoding["eager_per_second"])
    assert encoding["within_target"] == (encoding["gain"] >= 2.2)


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

    took(eager=100, tower=60, predict_views=70, predict=76)
    one = cost.one_image(predictor, 1)
    assert [one[level]["within_target"] for level in ("tower", "predict_views", "predict")] == [True, None, False]
    assert one["predict"] == {"ms": 76, "ratio": 0.76, "target": 0.75, "within_target": False}
    took(eager=1000, tower=451, predict_views=500)
    assert not cost.batches(predictor, 1)["tower"]["within_target"]
    took(eager=220, engine=100)
    encoding = cost.encoding(predictor.foundation, 1)
    assert encoding["gain"] == 2.2 and encoding["within_target"] and encoding["engine_per_second"] == 320


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
    assert f"| 1 image: torch's eager tower | {figures['one_image']['eager']['ms']:.1f} | 1.00 |" in text
    assert f"{figures['machine']['torch_threads']} threads" in text
    assert [row.split(" | ")[0] for row in text.splitlines()[-2:]] == ["| 3", "| 7"]


def test_a_synthetic_checkpoint_loads_and_scores(
    predictor: Predictor, foundation: FoundationModel, tmp_path: Path
) -> None:
    folder = cost.synthetic_checkpoint(predictor.card, foundation, 5, tmp_path / "five")
    scored = Predictor.from_checkpoint(folder, foundation).predict_views(cost.random_views(foundation, 2))
    assert scored.similarities.shape == (2, 5)
    assert torch.isfinite(scored.whole_maps).all() and scored.whole_maps.std() > 0
