"""The page behind a proxy that speaks HTTPS and shows it below a path: all its addresses are those of the proxy."""

import asyncio
import datetime
import json
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from gradio_client import Client, handle_file
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from app.examples.pictures import ASSETS
from app.predictors import Predictors
from app.ui import build_demo, launch_options
from tests.toys import BROWSER_MARKS, until

pytestmark = pytest.mark.filterwarnings("default")  # the server's libraries have warnings of their own
PATH = "/quality/ltad"
PART = ASSETS / "gear-missing_tooth.jpg"
ONE_HOP = {"connection", "keep-alive", "transfer-encoding", "upgrade"}


class Proxied(NamedTuple):
    """Where the page is seen, what was asked for beside it, and the certificate that proves the proxy."""

    url: str
    beside: list[str]
    certificate: Path


def certificate(folder: Path) -> Path:
    """A certificate of this machine's, signed by itself, and its key in one file."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name.from_rfc4514_string("CN=localhost")
    now, here = datetime.datetime.now(datetime.UTC), x509.IPAddress(ip_address("127.0.0.1"))
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([here]), critical=False)
    signed = builder.sign(key, hashes.SHA256())
    plain = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "proxy.pem").write_bytes(plain + signed.public_bytes(serialization.Encoding.PEM))
    return folder / "proxy.pem"


def proxy(behind: str, beside: list[str]) -> Starlette:
    """Shows what is behind it below PATH, as nginx does with proxy_pass and the usual headers."""
    client = httpx.AsyncClient(base_url=behind, timeout=60)

    async def forward(request: Request) -> Response:
        if not request.url.path.startswith(f"{PATH}/"):
            beside.append(request.url.path)
            return PlainTextResponse("another page", 404)
        headers = {name: value for name, value in request.headers.items() if name not in ONE_HOP}
        headers |= {"x-forwarded-host": headers["host"], "x-forwarded-proto": request.url.scheme}
        target = httpx.URL(path=request.url.path.removeprefix(PATH), query=request.url.query.encode())
        sent = client.build_request(request.method, target, headers=headers, content=request.stream())
        answer = await client.send(sent, stream=True)
        passed = {name: value for name, value in answer.headers.items() if name not in ONE_HOP}
        return StreamingResponse(
            answer.aiter_raw(), answer.status_code, passed, background=BackgroundTask(answer.aclose)
        )

    return Starlette(routes=[Route("/{path:path}", forward, methods=["GET", "POST", "DELETE", "HEAD"])])


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_ROOT_PATH", PATH)
        patch.setattr(Predictors, "warm_up", lambda self: None)
        demo = build_demo(Predictors())
        _, behind, _ = demo.launch(**launch_options(), prevent_thread_lock=True, quiet=True)
    beside: list[str] = []
    pem = certificate(tmp_path_factory.mktemp("proxy"))
    options: dict[str, Any] = {"host": "127.0.0.1", "port": 0, "ssl_certfile": pem, "log_level": "error"}
    server = uvicorn.Server(uvicorn.Config(proxy(behind.removesuffix(PATH), beside), **options))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield Proxied(f"https://127.0.0.1:{port}{PATH}", beside, pem)
    server.should_exit = True
    demo.close()
    thread.join()


def test_every_address_is_the_proxys(proxied: Proxied) -> None:
    page = httpx.get(f"{proxied.url}/", verify=ssl.create_default_context(cafile=proxied.certificate), timeout=60)
    config = json.loads(page.text.split("window.gradio_config = ")[1].split(";</script>")[0])
    assert page.status_code == 200 and config["root"] == proxied.url
    assert "http://127.0.0.1" not in page.text


def test_a_program_uploads_asks_and_fetches_the_answer(proxied: Proxied, tmp_path: Path) -> None:
    client = Client(f"{proxied.url}/", verbose=False, ssl_verify=str(proxied.certificate), download_files=tmp_path)
    overlay, report = client.predict(handle_file(PART), "demo-exp100", api_name="/inspect")
    assert report["verdict"] == "defect" and Path(overlay).is_relative_to(tmp_path)
    client.close()


def test_tools_are_found_and_called(proxied: Proxied) -> None:
    def client(**options: Any) -> httpx.AsyncClient:
        return httpx.AsyncClient(verify=ssl.create_default_context(cafile=proxied.certificate), **options)

    @asynccontextmanager
    async def session() -> AsyncIterator[ClientSession]:
        address = f"{proxied.url}/gradio_api/mcp/"
        async with streamablehttp_client(address, httpx_client_factory=client) as (read, write, _):
            async with ClientSession(read, write) as session:
                await session.initialize()
                yield session

    async def ask() -> tuple[set[str], Any]:
        async with session() as tools:
            return {tool.name for tool in (await tools.list_tools()).tools}, await tools.call_tool("checkpoints", {})

    names, answer = asyncio.run(ask())
    assert names == {"inspect", "match_class", "adapt", "job", "cancel", "checkpoints"}
    assert not answer.isError and "demo-exp100" in answer.content[0].text


class TestInABrowser:
    pytestmark = BROWSER_MARKS

    def test_a_photograph_is_uploaded_and_judged(self, proxied: Proxied, browser: Any) -> None:
        page = browser.new_context(ignore_https_errors=True, locale="en").new_page()
        page.goto(f"{proxied.url}/")
        page.locator("input[type=file]").first.set_input_files(PART)
        page.get_by_text("The image fits none of the learned classes").first.wait_for(timeout=60_000)
        shown = page.locator("img").evaluate_all("images => images.filter(i => i.src && !i.naturalWidth && i.complete)")
        assert shown == [] and set(proxied.beside) <= {"/favicon.ico"}
