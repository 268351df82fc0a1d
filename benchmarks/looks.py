"""The same photographs as two checkpoints see them, one beside the other, drawn for README.md.

``python -m benchmarks.looks BEFORE AFTER PHOTOGRAPH ... --output PICTURE``

Close-ups show, in the photograph's own pixels, the place that stands out most for AFTER.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from PIL import Image

from benchmarks import command
from benchmarks.tables import DPI
from ltad.files import whole_file
from ltad.inspection.pictures import overlay
from ltad.inspection.prediction import Prediction
from ltad.inspection.predictor import Predictor

CLOSE = 160  # pixels of a close-up's side
CELL = 2.1  # inches

Box = tuple[int, int, int, int]


def close_up(place: Box, size: tuple[int, int]) -> Box:
    """The pixels (left, top, right, bottom) around the middle of a place, within a photograph of a size."""
    left, top, width, height = place
    side = min(CLOSE, *size)
    x, y = (
        min(max(middle - side // 2, 0), length - side)
        for middle, length in zip((left + width // 2, top + height // 2), size, strict=True)
    )
    return x, y, x + side, y + side


def seen(prediction: Prediction) -> Image.Image:
    """The photograph with the map laid over it."""
    return overlay(prediction.photo.image, prediction.anomaly_map, prediction.judgement.threshold)


def draw(pairs: Sequence[tuple[Prediction, Prediction]], path: Path) -> None:
    """A row for each photograph: itself, both maps with their verdicts, and close-ups of it and of the second map."""
    figure, axes = plt.subplots(
        len(pairs), 5, figsize=(5 * CELL, (CELL + 0.25) * len(pairs)), squeeze=False, layout="constrained"
    )
    for row, (before, after) in zip(axes, pairs, strict=True):
        photo = before.photo.image
        place = after.regions[0].box if after.regions else (0, 0, *after.size)
        box = close_up(place, after.size)
        _show(row[0], photo, f"{photo.width} × {photo.height}")
        _show(row[1], photo.crop(box), f"{CLOSE} pixels of it")
        for axis, prediction in zip(row[2:4], (before, after), strict=True):
            _show(axis, seen(prediction), f"{prediction.checkpoint}: {prediction.verdict}")
        _show(row[4], seen(after).crop(box), "the same pixels")
    with whole_file(path) as partial:
        figure.savefig(partial, dpi=DPI, format=path.suffix.removeprefix("."))
    plt.close(figure)


def _show(axis: Axes, picture: Image.Image, title: str) -> None:
    axis.imshow(picture)
    axis.set_title(title, fontsize=8)
    axis.axis("off")


def main(arguments: Sequence[str] | None = None) -> None:
    """Ask both and draw."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.looks", description="Two checkpoints, side by side.")
    parser.add_argument("before", metavar="BEFORE", help="a checkpoint")
    parser.add_argument("after", metavar="AFTER", help="another one")
    parser.add_argument("photographs", nargs="+", type=Path, metavar="PHOTOGRAPH")
    parser.add_argument("--output", type=Path, required=True, metavar="PICTURE")
    options = parser.parse_args(arguments)
    with command.plainly("looks"):
        before, after = (Predictor.from_checkpoint(name) for name in (options.before, options.after))
        draw([(before.predict(path), after.predict(path)) for path in options.photographs], options.output)


if __name__ == "__main__":
    main()
