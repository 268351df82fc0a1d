"""What large photographs cost: time and peak memory of an inspection against their size, for every detail.

``python -m benchmarks.megapixels [--checkpoint NAME] [--rounds N] --output FILE``

Photographs are noise, as JPEG files; the checkpoints are synthetic, like the one that is named but for their detail.
Tower: what the frozen image tower alone takes for the pixels that are seen of a photograph, whole and finely. Each size
and detail is measured in a process of its own, whose peak memory is told. ``--table FILE`` prints what was written, and
``--figure PICTURE`` draws it.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from benchmarks import command
from benchmarks.cost import ROOT, machine, peak_memory, synthetic_checkpoint
from benchmarks.tables import COLOURS, DPI, markdown
from ltad.checkpoint.folder import find_checkpoint, read_card
from ltad.files import whole_file, write_text
from ltad.foundation import load_foundation
from ltad.inspection.predictor import Predictor
from ltad.machine import settle
from ltad.photos.decode import open_photo

SIZES = ((300, 225), (1000, 800), (2000, 1500), (4000, 3000), (8000, 5000))  # pixels: 0.07 to 40 megapixels
DETAILS = (1, 2, 4)
CLASSES = 6
MOST_MEMORY = 1.5e9  # bytes; our target
MOST_TIME = 1.15  # times the tower's; our target
WIDTH, HEIGHT = 8, 3.4  # inches


def run(options: argparse.Namespace) -> None:
    """Measure every size and detail, and write what was found."""
    card, rows = read_card(find_checkpoint(options.checkpoint)), []
    foundation = load_foundation(card.foundation.name)
    with TemporaryDirectory() as folder:
        for times in DETAILS:
            own = replace(card, config=card.config.override(f"detail.times={times}"))
            checkpoint = synthetic_checkpoint(own, foundation, CLASSES, Path(folder, f"detail-{times}"))
            for size in SIZES:
                photograph = noise(size, Path(folder, f"{size[0]}.jpg"))
                words = ["--one", str(checkpoint), str(photograph), "--rounds", str(options.rounds)]
                done = subprocess.run(
                    [sys.executable, "-m", "benchmarks.megapixels", *words],
                    cwd=ROOT,
                    capture_output=True,
                    text=True,
                    check=True,
                )
                rows.append({"detail": times, "size": size} | json.loads(done.stdout))
                print(rows[-1], file=sys.stderr, flush=True)
    write_text(options.output, json.dumps({"machine": machine(), "rounds": options.rounds, "rows": rows}, indent=1))


def noise(size: tuple[int, int], path: Path) -> Path:
    """A photograph of coarse noise; what is in it changes next to no time."""
    if not path.exists():
        small = np.random.default_rng(0).integers(0, 255, (size[1] // 8, size[0] // 8, 3), dtype=np.uint8)
        Image.fromarray(small).resize(size, Image.Resampling.BICUBIC).save(path, quality=90)
    return path


def one(checkpoint: Path, photograph: Path, rounds: int) -> dict[str, float]:
    """Seconds of an inspection and of the tower alone, and the most bytes that this process had in memory."""
    predictor = Predictor.from_checkpoint(checkpoint)
    predictor.predict(photograph)
    peak = peak_memory()
    views, detail = predictor.encoder.views([open_photo(photograph).image]), predictor.encoder.detail

    def tower() -> None:
        predictor.foundation.encode_image(views.whole)
        for fine in views.fine:
            predictor.foundation.fine_map(fine.float() / 255, detail.layer if detail else 0)

    taken = []
    for _ in range(rounds):  # in turn, so that both see the same machine
        prediction, start = predictor.predict(photograph), time.perf_counter()
        tower()
        alone, steps = time.perf_counter() - start, prediction.seconds
        beside = sum(steps.values()) - steps["decode"]
        taken.append(
            {"predict": sum(steps.values()), "tower": alone, "decode": steps["decode"], "times": beside / alone}
        )
    return {key: statistics.median(each[key] for each in taken) for key in taken[0]} | {"peak_bytes": peak}


def table(results: dict[str, Any]) -> str:
    """Milliseconds and megabytes; beside the tower: what an inspection takes without decoding, times the tower's."""
    heads = ["detail", "pixels", "megapixels", "predict, ms", "tower, ms", "decode, ms", "beside the tower", "peak, MB"]
    rows = []
    for row in results["rows"]:
        width, height = row["size"]
        figures = (1000 * row[key] for key in ("predict", "tower", "decode"))
        told = [f"{milliseconds:.0f}" for milliseconds in figures]
        size = [f"{width} × {height}", f"{width * height / 1e6:.2f}"]
        rows.append([str(row["detail"]), *size, *told, f"{row['times']:.2f}", f"{row['peak_bytes'] / 1e6:.0f}"])
    return markdown(heads, rows)


def draw(results: dict[str, Any], path: Path) -> None:
    """Draw time and peak memory over megapixels."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, HEIGHT), layout="constrained")
    for colour, times in zip(COLOURS, DETAILS, strict=False):
        own = [row for row in results["rows"] if row["detail"] == times]
        megapixels = [row["size"][0] * row["size"][1] / 1e6 for row in own]
        for key, style in (("predict", "-"), ("tower", "--")):
            label = f"detail {times}, {'inspection' if key == 'predict' else 'tower alone'}"
            left.plot(megapixels, [row[key] for row in own], style, color=colour, marker=".", label=label)
        right.plot(megapixels, [row["peak_bytes"] / 1e6 for row in own], color=colour, marker=".")
    right.axhline(MOST_MEMORY / 1e6, color="grey", linewidth=1, linestyle=":")
    left.set(xscale="log", yscale="log", xlabel="megapixels", ylabel="seconds")
    right.set(xscale="log", xlabel="megapixels", ylabel="peak memory, MB", ylim=(0, None))
    figure.legend(loc="outside lower center", ncols=len(DETAILS), fontsize=7)
    with whole_file(path) as partial:
        figure.savefig(partial, dpi=DPI, format=path.suffix.removeprefix("."))
    plt.close(figure)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print, or print and draw again."""
    parser = argparse.ArgumentParser(description="What large photographs cost.")
    parser.add_argument("--checkpoint", default="demo-exp100")
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    parser.add_argument("--output", type=Path, default=Path("megapixels.json"), metavar="FILE")
    parser.add_argument("--table", type=Path, metavar="FILE", help="print what a run wrote")
    parser.add_argument("--figure", type=Path, metavar="PICTURE", help="draw it, too")
    parser.add_argument("--one", type=Path, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    settle()
    if options.one:
        checkpoint, photograph = options.one
        print(json.dumps(one(checkpoint, photograph, options.rounds)))
        return
    command.carry_out("megapixels", options, run, table, draw)


if __name__ == "__main__":
    main()
