"""Make the examples again: ``python -m app.examples``; once checkpoints are others, ``--judge`` alone.

The factory's pictures are one clean and three defective ones of every class, and some in large, which neither training
nor testing uses: each index lies just beyond the test set's.
"""

import argparse
from collections.abc import Callable

from PIL import Image

from app.examples.judged import JUDGED, judge_all
from app.examples.pictures import ASSETS
from app.predictors import Predictors
from ltad.data import Dataset, Sample
from ltad.data.demo import demo_dataset, large_dataset
from ltad.inspection.predictor import Predictor

TEST_GOOD, TEST_DEFECTIVE = 20, 6  # images per class, and per kind of defect, in the default test set
EXAMPLES_PER_CLASS = 4
LARGE_GOOD, LARGE_FLAWED = 20, 10  # images per class, and per kind of flaw, in the default test set
LARGE = (
    "bottle_cap-fibre",
    "brushed_metal-scratch",
    "capsule-good",
    "ceramic_tile-good",
    "ceramic_tile-scratch",
    "gear-scratch",
    "hex_nut-scratch",
    "leather-scratch",
    "printed_board-fibre",
    "wood-fibre",
    "wood-pinhole",
    "zipper-fibre",
)  # a file of some two hundred KB each
TILE = 160  # pixels, on the sheet of all examples


def main() -> None:
    """Render them, and ask every checkpoint that ships what it says of them."""
    parser = argparse.ArgumentParser(prog="python -m app.examples", description=main.__doc__)
    parser.add_argument("--judge", action="store_true", help="keep the pictures, only ask the checkpoints")
    if not parser.parse_args().judge:
        _render()
    judge_all(map(Predictor.from_checkpoint, Predictors().names()))
    print(f"wrote {JUDGED}")


def _render() -> None:
    beyond = _beyond(demo_dataset, TEST_GOOD, TEST_DEFECTIVE)
    ASSETS.mkdir(parents=True, exist_ok=True)
    for sample in _beyond(large_dataset, LARGE_GOOD, LARGE_FLAWED):
        name = f"{sample.class_name}-{sample.defect}"
        if name in LARGE:
            sample.read().save(ASSETS / f"{name}-large.jpg", quality=92)
    tiles = []
    for class_name in sorted({sample.class_name for sample in beyond}):
        for sample in [s for s in beyond if s.class_name == class_name][:EXAMPLES_PER_CLASS]:
            picture = sample.read()
            picture.save(ASSETS / f"{class_name}-{sample.defect}.jpg", quality=95, subsampling=0)
            tiles.append(picture)
    sheet = Image.new("RGB", (2 * EXAMPLES_PER_CLASS * TILE, len(tiles) // (2 * EXAMPLES_PER_CLASS) * TILE))
    for number, tile in enumerate(tiles):
        row, column = divmod(number, 2 * EXAMPLES_PER_CLASS)
        sheet.paste(tile.resize((TILE, TILE), Image.Resampling.LANCZOS), (column * TILE, row * TILE))
    sheet.save(ASSETS.parent / "demo-factory.jpg", quality=90)
    print(f"wrote {len(tiles)} examples, {len(LARGE)} large ones and a sheet of the others below {ASSETS.parent}")


def _beyond(describe: Callable[[int, int, int], Dataset], good: int, defective: int) -> list[Sample]:
    """The test images after the last ones of the default, whose numbers these are."""
    dataset = describe(0, good + 1, defective + 1)
    return [s for s in dataset.test if s.name.endswith(f"/{(defective if s.label else good):03d}.png")]


if __name__ == "__main__":
    main()
