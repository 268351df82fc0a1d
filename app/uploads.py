"""Uploads are bounded before their first byte is written: Gradio itself bounds each file, but neither sum nor disk."""

import shutil
from pathlib import Path

from gradio.utils import get_upload_folder
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.limits import FREE_BYTES, UPLOAD_BYTES


class BoundedUploads:
    """Middleware that refuses an upload with a sentence where it is too large, or the disk too full for it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let it pass."""
        refusal = _refusal(scope) if scope["type"] == "http" and scope["method"] == "POST" else None
        await (refusal or self._app)(scope, receive, send)


def _refusal(scope: Scope) -> Response | None:
    """Why an upload is not taken; None for one that is, and for what is none."""
    headers = Headers(scope=scope)
    if not headers.get("content-type", "").startswith("multipart/form-data"):  # in which Gradio takes files, anywhere
        return None
    length = headers.get("content-length", "")
    if not length.isdigit():  # the server holds whoever says one to it
        return PlainTextResponse("An upload must say its length.", 411)
    if int(length) > UPLOAD_BYTES:
        limit = f"{UPLOAD_BYTES // 10**6} MB can be sent at once"
        return PlainTextResponse(f"These are {int(length) / 1e6:.0f} MB; {limit}. Choose among them.", 413)
    folder = Path(get_upload_folder())
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(folder).free < FREE_BYTES + int(length):
        return PlainTextResponse("The server's disk is nearly full. Try again later, or with fewer photographs.", 507)
    return None
