"""The page as it ships, for the tests that look at it in a browser."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.predictors import Predictors
from app.ui import build_demo, launch_options


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The address of the page with the checkpoints that ship."""
    demo = build_demo(Predictors())
    _, url, _ = demo.launch(**launch_options() | {"mcp_server": False}, prevent_thread_lock=True, quiet=True)
    yield url
    demo.close()


@pytest.fixture(scope="module")
def toy_url(toy_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a page that begins with the toy checkpoint, which knows three classes and learns in seconds."""
    folder = tmp_path_factory.mktemp("here")
    shutil.copytree(toy_checkpoint, folder / "checkpoints" / "a-toy")
    (folder / "temporary").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(tempfile, "tempdir", str(folder / "temporary"))  # as elsewhere, where jobs do not lie below it
        demo = build_demo()
        _, url, _ = demo.launch(**launch_options() | {"mcp_server": False}, prevent_thread_lock=True, quiet=True)
        yield url
        demo.close()
