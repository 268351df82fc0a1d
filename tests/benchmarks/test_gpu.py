"""The script for a GPU, on the CPU and with little of everything; and which optimiser learns soonest, on toys."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import gpu, optimisers
from ltad.foundation import FoundationModel
from ltad.presets import default


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One quick run on the CPU, of one checkpoint."""
    output = tmp_path_factory.mktemp("gpu") / "gpu.json"
    folders = [folder for folder in gpu.checkpoint_folders() if folder.name == "demo-exp100"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gpu, "checkpoint_folders", lambda: iter(folders))
        patch.setattr(gpu, "SIZES", {"128 x 1": (128, 1, 4), "16 x 2": (16, 2, 2)})
        gpu.main(["--device", "cpu", "--quick", "--json", str(output)])
    return json.loads(output.read_text(encoding="utf-8"))


def test_a_device_is_held_against_the_cpu(found: dict[str, Any]) -> None:
    assert found["device"].startswith("cpu") and found["seconds"] > 0
    (row,) = found["parity"]
    assert row == {
        "checkpoint": "demo-exp100",
        "images": 2,
        "score_apart": 0.0,
        "map_apart": 0.0,
        "same_verdicts": 2,
    }


def test_images_and_steps_a_second_are_told(found: dict[str, Any]) -> None:
    (tower,) = found["towers"]
    assert tower["tower"] == "align-mini" and tower["engine"].startswith("torch")
    assert tower["batch_1_per_second"] > 0 and tower["batch_16_per_second"] > 0
    assert [row["size"] for row in found["phase2"]] == ["128 x 1", "16 x 2"]
    assert all(row["steps_per_second"] > 0 and row["peak_bytes"] is None for row in found["phase2"])
    lines = gpu.format_gpu(found).splitlines()
    assert "| demo-exp100 | 2 | 0.0e+00 | 0.0e+00 | 2 |" in lines
    assert lines[-1].startswith("| 16 x 2 | 8 | ") and lines[-1].endswith("| n/a |")


def test_random_features_are_like_real_ones(foundation: FoundationModel) -> None:
    features = gpu.random_features(foundation, 5)
    encoded = foundation.encode_image(torch.zeros(1, 3, 256, 256))
    assert [m.shape[1:] for m in features.maps] == [m.shape[1:] for m in encoded.maps]
    assert features.embeddings.shape == (5, foundation.joint_dim) and len(features.class_ids) == 5


# Optimisers


def test_every_optimiser_takes_every_parameter_once(foundation: FoundationModel) -> None:
    config = default()
    features = gpu.random_features(foundation, 2)
    module = optimisers.untrained(foundation, features, config, gpu.CLASSES).reconstruction
    everything = {id(parameter) for parameter in module.parameters()}
    for rival in optimisers.RIVALS:
        taken = [
            id(parameter)
            for each in optimisers.optimisers_of(rival, module, config)
            for group in each.param_groups
            for parameter in group["params"]
        ]
        assert len(taken) == len(everything) and set(taken) == everything
    hidden = optimisers.hidden_matrices(module)
    assert len(hidden) == 16 and all(parameter.ndim == 2 for parameter in hidden)
    assert all(parameter is not module.embed.weight for parameter in hidden)


def test_scores_are_compared_within_a_class_and_averaged_over_them() -> None:
    scores, labels = np.array([1.0, 2.0, 11.0, 10.0, 5.0]), np.array([0, 1, 0, 1, 0])
    found = optimisers.measure(scores, np.array([0, 0, 1, 1, 2]), labels, {1, 2})
    assert found == {"all": 0.5, "head": 1.0, "tail": 0.0}  # class 2 has no defect
    assert optimisers.measure(scores[:2], np.array([0, 0]), labels[:2], set())["tail"] is None


def test_curves_have_a_point_for_every_mark(
    toy_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "curves.json"
    small = ["--set", "reconstruction.dim=16", "--set", "reconstruction.heads=2", "--set", "phase2.batch_size=2"]
    optimisers.main(["--data", str(toy_folder), "--steps", "2", "3", *small, "--output", str(output)])
    rows = json.loads(output.read_text(encoding="utf-8"))["rows"]
    assert [(row["optimiser"], row["steps"]) for row in rows] == [(r, s) for r in optimisers.RIVALS for s in (2, 3)]
    assert all(0 <= row["all"] <= 1 and math.isfinite(row["seconds"]) for row in rows)
    printed = capsys.readouterr().out
    optimisers.main(["--table", str(output)])
    assert capsys.readouterr().out == printed and printed.count("| Muon |") == 2
