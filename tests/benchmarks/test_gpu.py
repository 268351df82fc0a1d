"""The script for a GPU, on the CPU and with little of everything."""

import json
from typing import Any

import pytest
import torch

from benchmarks import gpu
from ltad.foundation import FoundationModel


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
