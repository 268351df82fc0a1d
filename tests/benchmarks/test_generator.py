"""The generator's curves, on toys."""

import json
from pathlib import Path

import pytest

from benchmarks import generator


def test_draws_come_nearer_and_are_told_at_every_mark(
    toy_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "generator.json"
    generator.main(["--data", str(toy_folder), "--steps", "1", "40", "--output", str(output)])
    first, last = json.loads(output.read_text(encoding="utf-8"))["rows"]
    assert (first["steps"], last["steps"]) == (1, 40)
    for name, row in last["classes"].items():
        assert row["error"] < first["classes"][name]["error"], name
        assert row["mean"] == pytest.approx(first["classes"][name]["mean"]) and row["spread"] > 0
    printed = capsys.readouterr().out
    generator.main(["--table", str(output)])
    assert capsys.readouterr().out == printed and "| 40 |" in printed
