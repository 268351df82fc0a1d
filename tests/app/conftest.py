"""The page as it ships, for the tests that look at it in a browser."""

from collections.abc import Iterator

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
