"""How the web interface stands many clients at once, with and without a lesson in the background, and what it keeps.

``python -m benchmarks.load [--clients N ...] [--requests N] [--long N] [--root DIR] [--json FILE]``

A server of its own is started and asked on the loopback, by clients that all send the same example to ``/inspect``:
upload, call, wait, fetch the overlay, and look whether it is whole. Figures are answers a second, and the median and
95th percentile of the seconds from the first byte sent to the last one read. The lesson is one of ``/adapt``. Memory is
the server's resident set; the long run asks so many times in a row. ``--root`` measures another checkout of this
project by the same clients.
"""

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import httpx
from PIL import Image

from benchmarks.cost import ROOT, SIDE
from benchmarks.desk import photograph

CHECKPOINT = "demo-exp100"
EXAMPLE = ROOT / "assets" / "examples" / "gear-missing_tooth.jpg"
TAUGHT = 8  # good photographs of the lesson
PORT = 7897
STARTING = 180.0  # seconds that the server may take to come up
PATIENCE = 300.0  # seconds that an answer may take
START = (
    "import sys; from app.ui import build_demo, launch_options as o; "
    "build_demo().launch(server_port=int(sys.argv[1]), quiet=True, **o())"
)


class Server(NamedTuple):
    """A running server: its address, and the process that it is, None = this one."""

    url: str
    process: subprocess.Popen[bytes] | None = None

    def memory(self) -> int:
        """Resident bytes; 0 where the system does not say."""
        status = Path(f"/proc/{self.process.pid if self.process else 'self'}/status")
        lines = status.read_text().splitlines() if status.is_file() else []
        return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmRSS")), 0)


@contextmanager
def serving(root: Path) -> Iterator[Server]:
    """Start a checkout's server, with jobs of its own, and stop it at the end."""
    with TemporaryDirectory() as jobs:
        environment = {"LTAD_JOBS": jobs, "PYTHONPATH": str(root)}
        command = [sys.executable, "-c", START, str(PORT)]
        log = subprocess.DEVNULL
        process = subprocess.Popen(command, cwd=root, env=os.environ | environment, stdout=log, stderr=log)
        try:
            server = Server(f"http://127.0.0.1:{PORT}/gradio_api", process)
            _await(server)
            yield server
        finally:
            process.terminate()
            process.wait()


def _await(server: Server) -> None:
    """Wait until the server has answered one request, so that its models are there."""
    deadline = time.monotonic() + STARTING
    while True:
        try:
            ask(server, photograph(EXAMPLE))
            return
        except (httpx.HTTPError, AnswerError):
            if time.monotonic() > deadline or (server.process and server.process.poll() is not None):
                raise SystemExit(f"load: the server did not come up within {STARTING:.0f} s") from None
            time.sleep(0.2)


class AnswerError(Exception):
    """An answer that is not what it should be."""


def ask(server: Server, content: bytes) -> float:
    """One inspection, as a client does it; seconds. Raises AnswerError where the answer is not whole."""
    start = time.perf_counter()
    with httpx.Client(timeout=PATIENCE) as client:
        (path,) = client.post(f"{server.url}/upload", files={"files": ("part.jpg", content)}).json()
        picture, report = call(client, server, "inspect", [_file(path), CHECKPOINT, "auto"])
        overlay = client.get(f"{server.url}/file={picture['path']}").content
    seconds = time.perf_counter() - start
    try:
        with Image.open(io.BytesIO(overlay)) as image:
            image.load()
            size = image.size
    except OSError as error:
        raise AnswerError(f"the overlay has {len(overlay)} bytes and is no picture") from error
    if size != (SIDE, SIDE) or "verdict" not in report:
        raise AnswerError(f"the overlay has {size} pixels")
    return seconds


def _file(path: str) -> dict[str, Any]:
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


def call(client: httpx.Client, server: Server, endpoint: str, data: list[Any]) -> list[Any]:
    """Ask an endpoint and wait for what it gives."""
    event = client.post(f"{server.url}/call/{endpoint}", json={"data": data}).json()["event_id"]
    kind = ""
    with client.stream("GET", f"{server.url}/call/{endpoint}/{event}") as lines:
        for line in lines.iter_lines():
            if line.startswith("event:"):
                kind = line.removeprefix("event:").strip()
            elif line.startswith("data:") and kind in ("complete", "error"):
                if kind == "error":
                    raise AnswerError(line)
                return json.loads(line.removeprefix("data:"))
    raise AnswerError("the answer broke off")


def crowd(server: Server, clients: int, requests: int, content: bytes) -> dict[str, Any]:
    """So many clients that ask until there are so many answers."""
    errors: list[str] = []
    taken: list[float] = []

    def one(_: int) -> None:
        try:
            taken.append(ask(server, content))
        except (AnswerError, httpx.HTTPError) as error:
            errors.append(f"{type(error).__name__}: {error}")

    start = time.perf_counter()
    with ThreadPoolExecutor(clients) as threads:
        list(threads.map(one, range(requests)))
    seconds = time.perf_counter() - start
    ordered = sorted(taken) or [float("nan")]
    return {
        "clients": clients,
        "requests": requests,
        "answers_per_second": len(taken) / seconds,
        "median_s": statistics.median(ordered),
        "p95_s": ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))],
        "errors": errors,
        "memory_bytes": server.memory(),
    }


@contextmanager
def lesson(server: Server) -> Iterator[None]:
    """Let the server teach a product meanwhile."""
    good = sorted((ROOT / "assets" / "examples").glob("*-good.jpg"))[:TAUGHT]
    with httpx.Client(timeout=PATIENCE) as client:
        files = [("files", (path.name, path.read_bytes())) for path in good]
        paths = client.post(f"{server.url}/upload", files=files).json()
        (job,) = call(client, server, "adapt", [[_file(path) for path in paths], CHECKPOINT, "thing", 15])
        time.sleep(15)  # until it is past its start
        yield
        (state,) = call(client, server, "job", [job["job"]])
        if state["state"] != "running":
            raise SystemExit(f"load: the lesson did not run to the end of the measurement: {state}")
        call(client, server, "cancel", [job["job"]])


def format_load(load: dict[str, Any]) -> str:
    """The figures as Markdown."""
    lines = ["| clients | lesson | answers a second | median, s | 95 %, s | errors | memory, MB |", "|" + " --- |" * 7]
    for row in load["crowds"]:
        figures = f"{row['answers_per_second']:.1f} | {row['median_s']:.2f} | {row['p95_s']:.2f} | {len(row['errors'])}"
        lesson = "yes" if row["lesson"] else "no"
        lines.append(f"| {row['clients']} | {lesson} | {figures} | {row['memory_bytes'] / 1e6:.0f} |")
    if load["long"]:
        told = ", ".join(f"{row['asked']}: {row['memory_bytes'] / 1e6:.0f}" for row in load["long"])
        wrong = sum(len(row["errors"]) for row in load["long"])
        lines += [
            "",
            f"Memory in MB after so many requests of {load['long'][0]['clients']} clients: {told}; errors: {wrong}.",
        ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, and write the figures as JSON where asked."""
    parser = argparse.ArgumentParser(description="How the web interface stands many clients at once.")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--requests", type=int, default=64, help="of each crowd")
    parser.add_argument("--long", type=int, default=0, help="requests of the long run; 0 = none")
    parser.add_argument("--root", type=Path, default=ROOT, metavar="DIR", help="the checkout to measure")
    parser.add_argument("--no-lesson", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    content = photograph(EXAMPLE)
    load: dict[str, Any] = {"crowds": [], "long": []}
    with serving(options.root.resolve()) as server:
        for teaching in (False,) if options.no_lesson else (False, True):
            with lesson(server) if teaching else nullcontext():
                for clients in options.clients:
                    load["crowds"].append(crowd(server, clients, options.requests, content) | {"lesson": teaching})
        for asked in range(0, options.long, max(1, options.long // 10)):
            row = crowd(server, 8, max(1, options.long // 10), content)
            load["long"].append(row | {"asked": asked + row["requests"]})
            print(f"{asked + row['requests']}: {row['memory_bytes'] / 1e6:.0f} MB", file=sys.stderr, flush=True)
    print(format_load(load))
    if options.json:
        options.json.write_text(json.dumps(load, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
