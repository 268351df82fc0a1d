"""What visitors may take: the table in the documentation, and uploads, which are bounded before they are written."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from app import limits, uploads

DOCUMENT = (Path(__file__).parents[2] / "docs" / "space.md").read_text(encoding="utf-8")
UNITS = {"": 1, "times": 1, "s": 1, "min": 60, "h": 3600, "MB": 10**6, "GB": 10**9, "megapixels": 10**6, "minutes": 1}

FILES = {"files": ("a.png", b"12345")}
LENGTH = int(httpx.Request("POST", "http://localhost", files=FILES).headers["Content-Length"])


def test_the_documented_table_is_the_one_that_holds() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| ([\d,.]+) ?(\w*) \|", DOCUMENT, flags=re.M)
    told = {name: float(number.replace(",", "")) * UNITS[unit] for name, number, unit in rows}
    assert told == {name: value for name, value in vars(limits).items() if name.isupper()}


@pytest.fixture
def client() -> Iterator[TestClient]:
    async def taken(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"{len(await request.body())} bytes")

    routes = [Route(path, taken, methods=["POST"]) for path in ("/gradio_api/upload", "/gradio_api/queue/join")]
    with TestClient(uploads.BoundedUploads(Starlette(routes=routes))) as client:
        yield client


def test_an_upload_within_the_limits_passes(client: TestClient) -> None:
    assert client.post("/gradio_api/upload", files=FILES).text == f"{LENGTH} bytes"


@pytest.mark.parametrize(
    ("limit", "value", "status", "sentence"),
    [
        ("UPLOAD_BYTES", 4, 413, "These are 0 MB; 0 MB can be sent at once. Choose among them."),
        ("FREE_BYTES", shutil.disk_usage("/").total * 1000, 507, "The server's disk is nearly full."),
    ],
)
def test_an_upload_beyond_them_is_refused_with_a_sentence(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, limit: str, value: int, status: int, sentence: str
) -> None:
    monkeypatch.setattr(uploads, limit, value)
    answer = client.post("/gradio_api/upload", files=FILES)
    assert answer.status_code == status and answer.text.startswith(sentence)
    assert client.post("/gradio_api/queue/join", content=b"12345").status_code == 200


def test_an_upload_of_unsaid_length_is_not_taken(client: TestClient) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    assert client.post("/gradio_api/upload", content=iter([b"--x", b"345"]), headers=headers).status_code == 411
