"""Files that are whole or not there, on a disk that is full."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from ltad.errors import LTADError
from ltad.files import write_text
from ltad.stages import StageFolder

resource = pytest.importorskip("resource", reason="limits the size of files, which Windows does not")


@contextmanager
def full_disk() -> Iterator[None]:
    """No file may grow beyond 1,000 bytes; not even that which the tests' output may go to, so it must be brief."""
    _, most = limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize(
    "write",
    [
        lambda folder: write_text(folder / "stage.safetensors", "long " * 1000),
        lambda folder: StageFolder(folder, "a training").save("stage", 1, {"weights": torch.zeros(1000)}),
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
