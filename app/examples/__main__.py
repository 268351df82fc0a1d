"""Make the examples again: ``python -m app.examples``; once checkpoints are others, ``--judge`` alone.

The factory's pictures are one clean and three defective ones of every class, which neither training nor testing uses:
each index lies just beyond the test set's.
"""

import argparse

from PIL import Image

from app.examples.judged import JUDGED, judge_all
from app.examples.pictures import ASSETS
from app.predictors import Predictors
from ltad.data.demo import demo_dataset
from ltad.inspection.predictor import Predictor

TEST_GOOD, TEST_DEFECTIVE = 20, 6  # images per class, and per kind of defect, in the default test set
EXAMPLES_PER_CLASS = 4
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
    dataset = demo_dataset(0, test_good=TEST_GOOD + 1, test_defective_per_type=TEST_DEFECTIVE + 1)
    beyond = [s for s in dataset.test if s.name.endswith(f"/{(TEST_DEFECTIVE if s.label else TEST_GOOD):03d}.png")]
    ASSETS.mkdir(parents=True, exist_ok=True)
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
    print(f"wrote {len(tiles)} examples and a sheet of them below {ASSETS.parent}")


if __name__ == "__main__":
    main()
