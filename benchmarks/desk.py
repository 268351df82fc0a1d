"""What the page costs beside torch's eager image tower, within one run, and how soon it is there.

``python -m benchmarks.desk [--checkpoint NAME] [--device D] [--rounds N] [--images N] [--before DIR] [--json FILE]``

What the server does for one photograph of 1024 x 1024 pixels (decode, score, draw, and put the answer together) and
for a batch of them, beside the eager tower on as many images; then a server of its own is started and asked for its
first page. Network and browser are not in it. ``--before`` names another checkout of this project, whose batches are
timed in turn with these.
"""

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from app.tabs.batch.batch import Batch
from app.viewer import inspection
from benchmarks.cost import PHOTOGRAPH, ROOT, SIDE, medians, peak_memory, random_views
from benchmarks.eager import eagerly
from ltad.inspection.predictor import AUTO, Predictor
from ltad.machine import AUTO as AUTO_DEVICE
from ltad.machine import DEVICES, settle

FACTOR, EXTRA_MS = 1.3, 15.0  # our target: one click within 1.3 x torch's eager tower + 15 ms
GAIN = 2.0  # our target: times the rate of a batch before image towers had engines
COMPARED, TURNS = 100, 3  # photographs of a batch, and how often each of two checkouts judges one
FIRST_PAGE = 3.0  # seconds, our target, after the server is up
STARTING = 120.0  # seconds that the server may take to come up
PORT = 7899


def photograph(path: Path = PHOTOGRAPH) -> bytes:
    """A photograph of ``SIDE`` pixels as a file, as it is uploaded."""
    buffer = io.BytesIO()
    Image.open(path).convert("RGB").resize((SIDE, SIDE)).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def click(predictor: Predictor, rounds: int) -> dict[str, Any]:
    """One photograph from upload to answer."""
    content, views = photograph(), random_views(predictor.foundation, 1)
    eager = eagerly(predictor.foundation)
    taken = medians(
        rounds,
        {
            "eager": lambda: eager.encode_image(views.whole),
            "click": lambda: inspection(predictor.predict(content)),
        },
    )
    limit = FACTOR * taken["eager"] + EXTRA_MS
    return {"eager_ms": taken["eager"], "click_ms": taken["click"], "within_target": taken["click"] <= limit}


def batch(predictor: Predictor, images: int) -> dict[str, Any]:
    """A batch of so many photographs, twice, and of three times as many: the last one's rate, and what it takes more.

    The first one also brings the process to the memory that any batch needs.
    """
    rates, peaks = [], []
    for count in (images, images, 3 * images):
        rates.append(batch_rate(predictor, count))
        peaks.append(peak_memory())
    return {
        "images": 3 * images,
        "batch_per_second": rates[-1],
        "bytes_per_further_image": max(0, peaks[2] - peaks[1]) / (2 * images),
    }


def batch_rate(predictor: Predictor, images: int) -> float:
    """Photographs a second of a batch."""
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder, "part.jpg")
        part.write_bytes(photograph())
        judged = Batch([str(part)] * images, predictor.card)
        start = time.perf_counter()
        for _ in judged.run(predictor, AUTO):
            pass
        rate = images / (time.perf_counter() - start)
        judged.close()
    return rate


RATE_THERE = """
import sys, time
from app.tabs.batch.batch import Batch
from ltad.inspection.predictor import AUTO, Predictor
predictor = Predictor.from_checkpoint(sys.argv[1])
for count in (8, int(sys.argv[3])):
    judged = Batch([sys.argv[2]] * count, predictor.card)
    start = time.perf_counter()
    for _ in judged.run(predictor, AUTO):
        pass
    rate = count / (time.perf_counter() - start)
    judged.close()
print(rate)
"""


def beside(before: Path, checkpoint: str, images: int) -> dict[str, Any]:
    """Batches of two checkouts in turn, each in a process of its own: their rates, and the gain."""
    rates: dict[Path, list[float]] = {before: [], ROOT: []}
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder, "part.jpg")
        part.write_bytes(photograph())
        for _ in range(TURNS):
            for root, taken in rates.items():
                command = [sys.executable, "-c", RATE_THERE, checkpoint, str(part), str(images)]
                environment = os.environ | {"PYTHONPATH": str(root)}
                done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True)
                taken.append(float(done.stdout))
    gain = statistics.median(new / old for old, new in zip(*rates.values(), strict=True))
    figures = {"before_per_second": rates[before], "per_second": rates[ROOT], "gain": gain}
    return {"root": before.name, "images": images, **figures, "within_target": gain >= GAIN}


def first_page() -> dict[str, Any]:
    """Seconds until the server answers at all, and until it has given its first page."""
    environment = [
        "-c",
        f"from app.ui import build_demo, launch_options as o; build_demo().launch(server_port={PORT}, **o())",
    ]
    start = time.perf_counter()
    server = subprocess.Popen([sys.executable, *environment], cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        while not _answers(f"http://127.0.0.1:{PORT}/gradio_api/startup-events"):
            if time.perf_counter() - start > STARTING:
                raise SystemExit(f"desk: the server did not come up within {STARTING:.0f} s")
            time.sleep(0.02)
        up = time.perf_counter()
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/", timeout=STARTING) as page:
            size = len(page.read())
        seconds = time.perf_counter() - up
    finally:
        server.terminate()
        server.wait()
    return {"up_s": up - start, "page_s": seconds, "page_bytes": size, "within_target": seconds <= FIRST_PAGE}


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1):
            return True
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


def format_desk(desk: dict[str, Any]) -> str:
    """The figures as Markdown."""
    one, many, page, before = desk["click"], desk["batch"], desk["first_page"], desk["before"]
    rows = [
        (
            f"one photograph, {SIDE} × {SIDE}",
            f"{one['click_ms']:.0f} ms beside {one['eager_ms']:.0f} ms",
            f"{FACTOR} × eager + {EXTRA_MS:.0f} ms",
            one,
        ),
        (
            "first page, server up",
            f"{page['page_s']:.2f} s ({page['up_s']:.0f} s after the start)",
            f"{FIRST_PAGE:.0f} s",
            page,
        ),
    ]
    lines = ["| | measured | target | met |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {what} | {got} | {target} | {'yes' if part['within_target'] else 'no'} |"
        for what, got, target, part in rows
    ]
    more = f"{many['bytes_per_further_image'] / 1e3:.0f} KB for each further image"
    lines += ["", f"A batch of {many['images']}: {many['batch_per_second']:.1f} per second, {more}."]
    if before:
        old, new = (statistics.median(before[key]) for key in ("before_per_second", "per_second"))
        lines.append(
            f"A batch of {before['images']} in turn with {before['root']}: {new:.1f} per second beside {old:.1f}, "
            f"{before['gain']:.2f} times (at least {GAIN}: {'yes' if before['within_target'] else 'no'})."
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, and write the figures as JSON where asked."""
    parser = argparse.ArgumentParser(description="What the page costs beside torch's eager image tower.")
    parser.add_argument("--checkpoint", default="demo-exp100")
    parser.add_argument("--device", default=AUTO_DEVICE, metavar=DEVICES)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--images", type=int, default=64, help="of the smaller batch")
    parser.add_argument("--before", type=Path, metavar="DIR", help="another checkout, whose batches are timed in turn")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    settle()
    predictor = Predictor.from_checkpoint(options.checkpoint, device=options.device)
    desk = {
        "checkpoint": predictor.card.name,
        "click": click(predictor, options.rounds),
        "batch": batch(predictor, options.images),
        "first_page": first_page(),
        "before": beside(options.before.resolve(), options.checkpoint, COMPARED) if options.before else None,
    }
    print(format_desk(desk))
    if options.json:
        options.json.write_text(json.dumps(desk, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
