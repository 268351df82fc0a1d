"""What large photographs cost: each size in a process of its own, printed and drawn again."""

import json
from pathlib import Path

import pytest

from benchmarks import megapixels


def test_every_size_and_detail_is_measured_printed_and_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(megapixels, "SIZES", ((300, 200),))
    monkeypatch.setattr(megapixels, "DETAILS", (1, 2))
    output, figure = tmp_path / "megapixels.json", tmp_path / "megapixels.png"
    megapixels.main(["--rounds", "1", "--output", str(output), "--figure", str(figure)])
    printed = capsys.readouterr().out
    rows = json.loads(output.read_text())["rows"]
    assert [(row["detail"], row["size"]) for row in rows] == [(1, [300, 200]), (2, [300, 200])]
    assert all(row["predict"] > row["decode"] > 0 and row["tower"] > 0 for row in rows)
    assert rows[1]["tower"] > 2 * rows[0]["tower"] and 1e8 < rows[0]["peak_bytes"] < megapixels.MOST_MEMORY
    assert figure.stat().st_size > 1000
    megapixels.main(["--table", str(output)])
    assert capsys.readouterr().out == printed and "| 2 | 300 × 200 | 0.06 |" in printed
