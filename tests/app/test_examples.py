"""Examples know what they are, and nothing else does."""

import shutil
from pathlib import Path

from PIL import Image

from app.examples import ASSETS, example_at, examples_for
from ltad.checkpoint.folder import find_checkpoint, read_card


def test_every_example_knows_its_truth_wherever_the_page_keeps_its_copy(tmp_path: Path) -> None:
    examples = examples_for(read_card(find_checkpoint("demo-exp100")))
    assert {example.defect for example in examples} > {"good", "dent", "missing_tooth"}
    for example in examples:
        copy = Path(shutil.copy(example.path, tmp_path / "image.jpg"))
        assert example_at(copy) == example


def test_a_visitors_photograph_has_no_truth(tmp_path: Path) -> None:
    with Image.open(ASSETS / "gear-good.jpg") as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "gear-good.jpg")  # by no name
    assert example_at(tmp_path / "gear-good.jpg") is None
