"""How far harmless change raises thresholds: more caution flags and finds no more, and a file is printed again."""

import json
from pathlib import Path

import pytest

from benchmarks import caution


def test_more_caution_flags_and_finds_no_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caution, "GOOD", 2)
    monkeypatch.setattr(caution, "BEYOND", 1)
    monkeypatch.setattr(caution, "DRAWS", 1)
    good, defective = caution.unseen()
    assert len(good) == 24 and {sample.class_name for sample in good} == {sample.class_name for sample in defective}
    monkeypatch.setattr(caution, "unseen", lambda: (good, defective[::4]))
    output = tmp_path / "caution.json"
    caution.main(["demo-exp100", "--output", str(output)])
    printed = capsys.readouterr().out
    rows = json.loads(output.read_text())["checkpoints"]["demo-exp100"]
    for figure in caution.FIGURES:
        shares = [row[figure] for row in rows]
        assert shares == sorted(shares) and 0 <= shares[0] <= shares[-1] <= 1
    assert rows[0]["found"] > rows[-1]["flagged"] and rows[0] != rows[-1]
    caution.main(["--table", str(output)])
    assert capsys.readouterr().out == printed and "| times the rate | 1 | 1.5 | 2 | 3 | 4 | 6 | any |" in printed
