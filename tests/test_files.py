"""Files that are whole or not there: on a disk that is full, as Windows has them, and where nothing can be written."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from ltad import files
from ltad.errors import LTADError, WriteError
from ltad.files import refuse_unwritable, whole_file, write_text
from tests.toys import full_disk


def save_file_whole(path: Path) -> None:
    with whole_file(path) as partial:
        save_file({"weights": torch.zeros(1000)}, partial)


@pytest.mark.parametrize(
    "write",
    [
        lambda folder: write_text(folder / "stage.safetensors", "long " * 1000),
        lambda folder: save_file_whole(folder / "stage.safetensors"),
    ],
    ids=["text", "tensors"],
)
def test_a_full_disk_is_named_in_a_sentence_and_keeps_what_was_there(
    write: Callable[[Path], None], tmp_path: Path
) -> None:
    (tmp_path / "stage.safetensors").write_text("as it was")
    with pytest.raises(LTADError, match=r"stage\.safetensors” could not be written: .+\. Make room"), full_disk():
        write(tmp_path)
    assert [file.read_text() for file in tmp_path.iterdir()] == ["as it was"]


def test_what_is_flushed_was_opened_for_writing_as_windows_wants_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed = []

    def as_on_windows(descriptor: int) -> None:
        os.write(descriptor, b"")  # an OSError where it was opened for reading only
        flushed.append(descriptor)

    monkeypatch.setattr(os, "fsync", as_on_windows)
    write_text(tmp_path / "new" / "folder" / "a.txt", "a")
    save_file_whole(tmp_path / "b.safetensors")
    assert (tmp_path / "new" / "folder" / "a.txt").read_text() == "a" and len(flushed) == 2


def test_a_file_that_somebody_reads_is_waited_for_as_windows_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_text("before", encoding="utf-8")
    replace, tries = Path.replace, []

    def held(partial: Path, path: Path) -> Path:
        tries.append(partial)
        if len(tries) % 4:
            raise PermissionError(13, "Access is denied")
        return replace(partial, path)

    monkeypatch.setattr(Path, "replace", held)
    with pytest.raises(WriteError, match=r"a\.txt” could not be written: Access is denied"):
        write_text(tmp_path / "a.txt", "at once")
    monkeypatch.setattr(files, "PATIENCE", 5.0)
    write_text(tmp_path / "a.txt", "after a while")
    assert [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()] == ["after a while"] and len(tries) == 4


def test_names_that_are_no_text_are_kept_in_json(tmp_path: Path) -> None:
    name = os.fsdecode(b"part\xff.png")
    write_text(tmp_path / "a.json", json.dumps({"name": name}, ensure_ascii=False))
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"name": name}


@pytest.mark.parametrize(
    ("path", "is_folder", "said"),
    [
        ("file", True, "is there and is no folder"),
        ("folder", False, "is there and is no file"),
        ("file/below", True, "cannot be written: Not a directory"),
        ("file/below/deeper.json", False, "cannot be written: Not a directory"),
        ("x" * 300 + "/a.json", False, "cannot be written: File name too long"),
        ("new/folder", True, None),
        ("new/a.json", False, None),
        ("folder", True, None),
        ("file", False, None),
    ],
)
def test_what_can_never_be_written_is_known_before_anything_is_made(
    path: str, is_folder: bool, said: str | None, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    if said:
        with pytest.raises(WriteError, match=said):
            refuse_unwritable(tmp_path / path, is_folder=is_folder)
    else:
        refuse_unwritable(tmp_path / path, is_folder=is_folder)
    assert sorted(each.name for each in tmp_path.rglob("*")) == ["file", "folder"]
