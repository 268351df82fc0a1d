"""The crowd at the web interface: whole answers, and cut ones that are noticed."""

import io
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from PIL import Image

from benchmarks import load


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    """Let every request be answered, the overlay with the given bytes."""

    def with_overlay(overlay: bytes) -> None:
        def answer(request: httpx.Request) -> httpx.Response:
            path = request.url.path
            if path.endswith("/upload"):
                return httpx.Response(200, json=["/tmp/part.jpg"])
            if "/file=" in path:
                return httpx.Response(200, content=overlay)
            if request.method == "POST":
                return httpx.Response(200, json={"event_id": "1"})
            return httpx.Response(200, text='event: complete\ndata: [{"path": "a.png"}, {"verdict": "ok"}]\n\n')

        real = httpx.Client
        monkeypatch.setattr(httpx, "Client", lambda **_: real(transport=httpx.MockTransport(answer)))

    return with_overlay


def png(side: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (side, side)).save(buffer, "PNG")
    return buffer.getvalue()


def crowd(requests: int = 6) -> dict[str, Any]:
    return load.crowd(load.Server("http://server/gradio_api"), 3, requests, b"photograph")


def test_whole_answers_are_counted(answered: Callable[[bytes], None]) -> None:
    answered(png(load.SIDE))
    row = crowd()
    assert row["errors"] == [] and row["answers_per_second"] > 0 and row["median_s"] <= row["p95_s"]
    table = load.format_load({"crowds": [row | {"lesson": False}], "long": [row | {"asked": 6}]})
    assert "| 3 | no |" in table and "; errors: 0." in table and row["memory_bytes"] > 1e8


@pytest.mark.parametrize("overlay", [b"", png(load.SIDE)[:500], png(8)])
def test_a_picture_that_is_cut_or_another_one_is_an_error(answered: Callable[[bytes], None], overlay: bytes) -> None:
    answered(overlay)
    row = crowd(2)
    assert len(row["errors"]) == 2 and all("overlay has" in error for error in row["errors"])


@pytest.mark.slow
def test_a_real_server_stands_a_small_crowd(capsys: pytest.CaptureFixture[str]) -> None:
    load.main(["--clients", "4", "--requests", "8", "--long", "8", "--no-lesson"])
    told = capsys.readouterr().out
    assert "| 4 | no |" in told and "errors: 0" in told
