"""What the page costs beyond the bare image tower, within one run, and how soon it is there.

``python -m benchmarks.desk [--checkpoint NAME] [--rounds N] [--images N] [--json FILE]``

What the server does for one photograph of 1024 x 1024 pixels (decode, score, draw, and put the answer together) and
for a batch of them, beside the bare forward of as many images; then a server of its own is started and asked for its
first page. Network and browser are not in it.
"""

import argparse
import io
import json
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
from benchmarks.cost import BATCH, PHOTOGRAPH, ROOT, SIDE, medians, peak_memory, random_images
from ltad.inspection.predictor import AUTO, Predictor

FACTOR, EXTRA_MS = 1.3, 60.0  # our target: one click within 1.3 x the bare forward + 60 ms
SHARE = 0.9  # our target: a batch at 90 % of the bare rate
FIRST_PAGE = 3.0  # seconds, our target, after the server is up
STARTING = 120.0  # seconds that the server may take to come up
PORT = 7899


def photograph() -> bytes:
    """The photograph as a file, as it is uploaded."""
    buffer = io.BytesIO()
    Image.open(PHOTOGRAPH).convert("RGB").resize((SIDE, SIDE)).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def click(predictor: Predictor, rounds: int) -> dict[str, Any]:
    """One photograph from upload to answer."""
    content, tensor = photograph(), random_images(predictor.foundation, 1)
    taken = medians(
        rounds,
        {
            "bare": lambda: predictor.foundation.encode_image(tensor),
            "click": lambda: inspection(predictor.predict(content)),
        },
    )
    limit = FACTOR * taken["bare"] + EXTRA_MS
    return {"bare_ms": taken["bare"], "click_ms": taken["click"], "within_target": taken["click"] <= limit}


def batch(predictor: Predictor, images: int) -> dict[str, Any]:
    """A batch of so many photographs, twice, and of three times as many: the last one's rate, and what it takes more.

    The first one also brings the process to the memory that any batch needs.
    """
    tensor = random_images(predictor.foundation, BATCH)
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder, "part.jpg")
        part.write_bytes(photograph())
        rates, peaks = [], []
        for count in (images, images, 3 * images):
            forwards = max(1, count // BATCH)
            start = time.perf_counter()
            for _ in range(forwards):
                predictor.foundation.encode_image(tensor)
            bare = forwards * BATCH / (time.perf_counter() - start)
            judged = Batch([str(part)] * count, predictor.card)
            start = time.perf_counter()
            for _ in judged.run(predictor, AUTO):
                pass
            rates.append((bare, count / (time.perf_counter() - start)))
            peaks.append(peak_memory())
            judged.close()
    bare, rate = rates[-1]
    return {
        "images": 3 * images,
        "bare_per_second": bare,
        "batch_per_second": rate,
        "share": rate / bare,
        "within_target": rate / bare >= SHARE,
        "bytes_per_further_image": max(0, peaks[2] - peaks[1]) / (2 * images),
    }


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
    one, many, page = desk["click"], desk["batch"], desk["first_page"]
    rows = [
        (
            f"one photograph, {SIDE} × {SIDE}",
            f"{one['click_ms']:.0f} ms beside {one['bare_ms']:.0f} ms",
            f"{FACTOR} × bare + {EXTRA_MS:.0f} ms",
            one,
        ),
        (
            f"batch of {many['images']} such",
            f"{many['batch_per_second']:.1f} per second, {100 * many['share']:.0f} % of bare",
            f"{100 * SHARE:.0f} %",
            many,
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
    return "\n".join(
        [*lines, "", f"Memory for each further image of a batch: {many['bytes_per_further_image'] / 1e3:.0f} KB."]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, and write the figures as JSON where asked."""
    parser = argparse.ArgumentParser(description="What the page costs beyond the bare image tower.")
    parser.add_argument("--checkpoint", default="demo-exp100")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--images", type=int, default=64, help="of the smaller batch")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    predictor = Predictor.from_checkpoint(options.checkpoint)
    desk = {
        "checkpoint": predictor.card.name,
        "click": click(predictor, options.rounds),
        "batch": batch(predictor, options.images),
        "first_page": first_page(),
    }
    print(format_desk(desk))
    if options.json:
        options.json.write_text(json.dumps(desk, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
