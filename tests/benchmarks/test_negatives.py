"""What the semantic module learns to call abnormal, on toys; and the defects that are drawn for it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from benchmarks import gpu, negatives, recipes
from benchmarks.drawn import draw_defect
from ltad.foundation import FoundationModel
from ltad.presets import default

SMALL = ["--set", "reconstruction.dim=16", "--set", "reconstruction.heads=2", "--set", "phase2.batch_size=4"]
QUICK = ["--steps", "30", "--rebuilt", "2", "--set", "phase1.steps=2"]


@given(st.integers(0, 10_000), st.tuples(st.integers(48, 200), st.integers(48, 200)))
def test_only_what_a_defect_covers_is_changed(seed: int, size: tuple[int, int]) -> None:
    picture = Image.effect_noise(size, 40).convert("RGB")
    flawed, mask = draw_defect(picture, np.random.default_rng(seed))
    changed = (np.asarray(flawed) != np.asarray(picture)).any(2)
    assert mask.shape == changed.shape and 0 <= mask.min() and mask.max() <= 1
    assert not (changed & (mask == 0)).any()
    assert mask.mean() < 0.2
    again, same = draw_defect(picture, np.random.default_rng(seed))
    assert np.array_equal(np.asarray(again), np.asarray(flawed)) and np.array_equal(same, mask)


def test_most_defects_can_be_seen() -> None:
    picture = Image.effect_noise((128, 128), 10).convert("RGB")
    far = []
    for seed in range(60):
        flawed, mask = draw_defect(picture, np.random.default_rng(seed))
        change = np.abs(np.asarray(flawed, dtype=int) - np.asarray(picture, dtype=int)).mean(2)
        far.append(change[mask > 0.5].mean() if (mask > 0.5).any() else 0)
    assert np.mean(np.array(far) > 8) > 0.7


def test_abnormal_is_what_was_noised_or_drawn_or_belongs_to_another_class(foundation: FoundationModel) -> None:
    config, features = default(), gpu.random_features(foundation, 6)
    model = recipes.untrained(foundation, features, config, [str(k) for k in range(gpu.CLASSES)])
    images = torch.tensor([0, 1, 2, 3, 5])
    batch = features.batch(images)
    clean = negatives.Clean(images, recipes.patches_of(model, batch), batch.class_ids)
    rows = torch.arange(len(features.class_ids)).repeat_interleave(negatives.DRAWN)
    covered = torch.zeros(len(rows), clean.patches.shape[1], dtype=torch.bool)
    covered[:, 5] = True
    drawn = negatives.Drawn(features.take(rows), covered)
    noised, strange, flawed = (
        kind(model, clean, drawn, config, torch.Generator().manual_seed(0)) for kind in negatives.ABNORMAL["all three"]
    )
    assert noised.where.all() and (noised.patches != clean.patches).any(-1).all()
    for i, own in enumerate(strange.patches):
        (source,) = [j for j, other in enumerate(clean.patches) if torch.equal(own, other)]
        assert strange.where[i].all() == strange.where[i].any() == (clean.class_ids[source] != clean.class_ids[i])
    assert strange.where.any()
    assert torch.equal(flawed.patches, clean.patches)  # nothing was drawn here
    assert flawed.where[:, 5].all() and flawed.where.sum() == len(images)


def test_every_row_learns_and_is_told_once(
    toy_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "negatives.json"
    asked = ["--data", str(toy_folder), *QUICK, *SMALL, "--output", str(output), "--resume"]
    negatives.main([*asked, "--rows", "noise"])
    first = json.loads(output.read_text(encoding="utf-8"))["rows"]
    negatives.main([*asked, "--rows", "noise", "other classes", "drawn defects", "all three", "noise, given names"])
    rows = json.loads(output.read_text(encoding="utf-8"))["rows"]
    assert rows[0] == first[0] and [row["row"] for row in rows].count("noise") == 1 and len(rows) == 5
    assert len({row["mean"]["all"]["0.0"] for row in rows}) == 1  # the reconstruction is
    capsys.readouterr()
    negatives.main(["--table", str(output)])
    assert capsys.readouterr().out.count("| noise |") == 1
