"""Examples know what they are, and nothing else does."""

import shutil
from pathlib import Path

from app.examples import ASSETS, example_at, examples_for
from ltad.checkpoint.folder import find_checkpoint, read_card


def test_every_example_knows_its_truth() -> None:
    examples = examples_for(read_card(find_checkpoint("demo-exp100")))
    assert {example.defect for example in examples} > {"good", "dent", "missing_tooth"}
    assert all(example_at(example.path) == example for example in examples)


def test_what_a_visitor_drops_has_none_even_if_it_is_a_copy(tmp_path: Path) -> None:
    assert example_at(Path(shutil.copy(ASSETS / "gear-good.jpg", tmp_path / "gear-good.jpg"))) is None
