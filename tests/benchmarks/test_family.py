"""The tables of checkpoints say what their folders hold."""

import json
from pathlib import Path
from shutil import copytree

import pytest

from benchmarks import family
from ltad.words import percent


def test_tables_tell_what_was_measured(
    toy_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(copytree(toy_checkpoint, tmp_path / "measured"))
    table = json.loads((folder / "metrics.json").read_text())
    changed = {"false_alarms": 0.25, "found": 0.5, "image_auroc": 0.75}
    table["mean"]["all"]["harmless"] = changed
    for row in table["classes"].values():
        row["harmless"] = changed
    table["strangers"] = {"mean": 0.125, "classes": {"mug": {"taken": 0.25}, "pen": {"taken": 0.0}}}
    (folder / "metrics.json").write_text(json.dumps(table))
    family.main([str(folder)])
    printed = capsys.readouterr().out
    accuracy, at_work, title, classes = (block.splitlines() for block in printed.strip().split("\n\n"))
    assert title == ["`measured` by class:"]
    assert accuracy[2].startswith("| `measured` | 8 to 1 | " + percent(table["mean"]["all"]["image_auroc"]))
    assert "| 25.0 | 50.0 | 75.0 | 12.5, 25 |" in at_work[2]
    few = [row for row in table["classes"].values() if row["group"] == "tail" and row["n_train"] <= family.FEW]
    assert f"{percent(sum(row['false_alarms'] for row in few) / len(few))} (worst" in at_work[2]
    assert [line.split(" | ")[0] for line in classes[2:]] == ["| checker", "| dots", "| stripes"]


def test_a_checkpoint_that_was_not_measured_has_no_figures(
    toy_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(copytree(toy_checkpoint, tmp_path / "new"))
    (folder / "metrics.json").unlink()
    family.main([str(folder)])
    assert "| `new` | 8 to 1 | n/a | n/a | n/a | n/a | n/a | n/a |" in capsys.readouterr().out
