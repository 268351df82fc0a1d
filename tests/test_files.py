"""Files that are whole or not there, on a disk that is full."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from ltad.errors import LTADError
from ltad.files import whole_file, write_text
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
