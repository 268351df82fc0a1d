"""What commands print: to terminals that lack characters, to readers that go away, and to a disk that is full."""

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from ltad.__main__ import main
from ltad.inspection.predictor import Predictor

ROOT = Path(__file__).parents[2]
NAMES = ("a.png", "零件 😀.png", os.fsdecode(b"part\xff.png"), "naïve “x”.png")


@pytest.fixture
def batch(toy_folder: Path, tmp_path: Path) -> Path:
    """Photographs whose names not every terminal can print, and a broken one."""
    (tmp_path / "batch").mkdir()
    for name in NAMES:
        shutil.copy(toy_folder / "dots" / "test" / "good" / "000.png", tmp_path / "batch" / name)
    (tmp_path / "batch" / "ﬁn.png").write_bytes(b"broken")
    return tmp_path / "batch"


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8", "cp932"])
def test_a_name_that_cannot_be_printed_ends_no_batch(encoding: str, batch: Path, toy_checkpoint: Path) -> None:
    printed = io.BytesIO()
    with redirect_stdout(io.TextIOWrapper(printed, encoding)):
        assert main(["inspect", str(batch), "--checkpoint", str(toy_checkpoint)]) == 1  # for the broken one
        rows = [json.loads(line) for line in printed.getvalue().decode(encoding).splitlines()]
    assert {Path(row["image"]).name for row in rows} == {*NAMES, "ﬁn.png"}
    assert [Path(row["image"]).name for row in rows if "error" in row] == ["ﬁn.png"]


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The photographs that were judged."""
    seen: list[Path] = []
    predict = Predictor.predict

    def noted(self: Predictor, source: Any, *arguments: Any) -> Any:
        seen.append(source)
        return predict(self, source, *arguments)

    monkeypatch.setattr(Predictor, "predict", noted)
    return seen


@contextmanager
def nobody_reads() -> Iterator[None]:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as out, redirect_stdout(out):
        yield


def test_a_reader_who_has_gone_takes_no_picture_along(
    batch: Path, toy_checkpoint: Path, judged: list[Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["inspect", str(batch), "--checkpoint", str(toy_checkpoint), "--output", str(tmp_path / "out")]
    with nobody_reads():
        assert main(arguments) == 1  # for the broken one
    assert len(judged) == len(NAMES) + 1 and len(list((tmp_path / "out").iterdir())) == 2 * len(NAMES)
    assert capfd.readouterr() == ("", "")


def test_nobody_judges_for_a_reader_who_has_gone(
    batch: Path, toy_checkpoint: Path, judged: list[Path], capfd: pytest.CaptureFixture[str]
) -> None:
    with nobody_reads():
        assert main(["inspect", str(batch), "--checkpoint", str(toy_checkpoint)]) == 0
    assert len(judged) == 1 and capfd.readouterr() == ("", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
def test_a_full_disk_under_what_is_printed_is_said(
    toy_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with open("/dev/full", "w", encoding="utf-8") as out, redirect_stdout(out):
        assert main(["splits", "--data", str(toy_folder), "--output", str(tmp_path / "split")]) == 1
    assert capfd.readouterr().err == "ltad splits: what was printed is lost: No space left on device\n"
    assert (tmp_path / "split").is_file()


@pytest.mark.parametrize("closed", ["", "exec >&-; ", "exec 2>&-; "], ids=["a reader", "output", "errors"])
def test_python_itself_has_nothing_to_add_where_something_is_closed(closed: str) -> None:
    read, write = os.pipe()
    os.close(read)
    words = f'{closed}exec "{sys.executable}" -m ltad --help'
    done = subprocess.run(["sh", "-c", words], cwd=ROOT, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert done.returncode == 0 and "Error" not in done.stderr
