"""Curves of the reconstruction's recipes, on toys."""

import json
import math
from pathlib import Path

import pytest

from benchmarks import gpu, recipes
from ltad.foundation import FoundationModel
from ltad.presets import default
from ltad.training.phases import phase2_groups

SMALL = ["--set", "reconstruction.dim=16", "--set", "reconstruction.heads=2", "--set", "phase2.batch_size=2"]


def test_every_parameter_is_learned_once_by_either_optimiser(foundation: FoundationModel) -> None:
    config = default()
    features = gpu.random_features(foundation, 2)
    module = recipes.untrained(foundation, features, config, [str(k) for k in range(gpu.CLASSES)]).reconstruction
    everything = {id(parameter) for parameter in module.parameters()}
    for optimiser, matrices in (("adamw", 0), ("muon", 16)):
        settings = config.override(f"phase2.optimiser={optimiser}").phase2
        groups, muon_groups = phase2_groups(module, module, settings)
        taken = [parameter for group in (*groups, *muon_groups) for parameter in group["params"]]
        assert len(taken) == len(everything) and {id(parameter) for parameter in taken} == everything
        hidden = [parameter for group in muon_groups for parameter in group["params"]]
        assert len(hidden) == matrices and all(parameter.ndim == 2 for parameter in hidden)
        assert all(parameter is not module.embed.weight for parameter in hidden)


def test_readings_are_averaged_over_the_classes_that_have_them() -> None:
    rows = {name: dict.fromkeys(recipes.READINGS, value) for name, value in (("a", 0.5), ("b", 1.0), ("c", None))}
    found = recipes.means(rows, ["b", "c"])
    assert [found[group]["place"] for group in ("all", "head", "tail")] == [0.75, 0.5, 1.0]
    assert recipes.means({"c": rows["c"]}, [])["tail"]["maximum"] is None


def test_every_recipe_learns_and_is_told_once(
    toy_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, picture = tmp_path / "curves.json", tmp_path / "curves.png"
    asked = ["--data", str(toy_folder), "--steps", "2", "4", *SMALL, "--output", str(output), "--resume"]
    recipes.main([*asked, "--recipes", "AdamW"])
    first = json.loads(output.read_text(encoding="utf-8"))["rows"]
    recipes.main([*asked, "--recipes", "AdamW", "Muon", "… and dropout", "… and hard patches alone"])
    rows = json.loads(output.read_text(encoding="utf-8"))["rows"]
    assert rows[:2] == first and len(rows) == 8
    for row in rows:
        assert math.isfinite(row["loss"]) and row["seconds"] > 0
        figures = [value for each in row["classes"].values() for value in each.values()]
        assert all(value is None or 0 <= value <= 1 for value in figures) and figures[0] is not None
    by_recipe = {row["recipe"]: row["loss"] for row in rows}
    assert len(set(by_recipe.values())) == 4  # they are not the same
    capsys.readouterr()
    recipes.main(["--table", str(output), "--figure", str(picture)])
    assert capsys.readouterr().out.count("| Muon |") == 2
    assert picture.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(SystemExit, match="was made with other config"):
        recipes.main([*asked[:-1], "--resume", "--set", "seed=1"])
