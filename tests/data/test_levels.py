"""Photographs of more than 8 bits: a class is learned by the levels of all of them, and judged by the same."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ltad.checkpoint.folder import CONFIG, read_card
from ltad.config import LTADConfig
from ltad.data import Dataset
from ltad.data.folder import folder_dataset
from ltad.data.levels import levels_by_class, shown_by
from ltad.errors import CheckpointError
from ltad.evaluation.harmless import harmlessly_changed
from ltad.evaluation.table import evaluate
from ltad.inspection.predictor import Predictor
from ltad.photos.levels import Levels
from ltad.progress import quiet
from tests.toys import TinyFoundation, TrainToy, adapted_to, save_picture, toy_picture

TWELVE = Levels(0, 4095)


def save_deep(pixels: np.ndarray, path: Path, share: float) -> None:
    """A picture as a camera of 12 bits writes it; share: of the light."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((pixels.clip(0, 255).mean(2) * share * 4095 / 255).astype(np.uint16)).save(path)


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Dots in 12 bits, of which some are so dark that 10 would hold them, and stripes in 8."""
    root = tmp_path_factory.mktemp("deep")
    generator = np.random.default_rng(0)
    for number, share in enumerate((0.95, 0.2, 0.2, 0.2)):
        save_deep(toy_picture("dots", generator), root / "dots" / "train" / "good" / f"{number}.png", share)
    for number in range(3):
        save_picture(toy_picture("stripes", generator), root / "stripes" / "train" / "good" / f"{number}.png")
    for kind in ("good", "dark"):
        save_deep(toy_picture("dots", generator), root / "dots" / "test" / kind / "0.png", 0.2)
    return folder_dataset(root)


@pytest.fixture(scope="module")
def folder(
    deep: Dataset,
    train_toy: TrainToy,
    short: LTADConfig,
    tiny_foundation: TinyFoundation,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    output = tmp_path_factory.mktemp("checkpoints") / "deep"
    train_toy(output, dataset=deep, config=short, foundation=tiny_foundation)
    return output


def test_a_class_has_the_levels_that_hold_all_of_it(deep: Dataset) -> None:
    levels = levels_by_class(deep.train)
    assert levels == {"dots": TWELVE}
    dark = next(sample for sample in deep.train if sample.name == "dots/train/good/1.png")
    assert dark.read_levels and dark.read_levels() == Levels(0, 1023)
    (shown,) = shown_by([dark], levels)
    assert shown.read().getextrema()[0][1] < 60 < dark.read().getextrema()[0][1]
    assert shown_by([dark], {}) == (dark,)
    changed = harmlessly_changed(dark)  # whoever reads that cannot say by which levels
    assert shown_by([changed], levels) == (changed,) and changed.read().size == dark.read().size


def test_a_checkpoint_judges_by_the_levels_that_it_learned(
    folder: Path, deep: Dataset, tiny_foundation: TinyFoundation, tmp_path: Path
) -> None:
    assert read_card(folder).levels == {"dots": TWELVE}
    predictor = Predictor.from_checkpoint(folder, tiny_foundation)
    save_deep(toy_picture("dots", np.random.default_rng(9)), tmp_path / "a.png", 0.2)
    given = predictor.predict(tmp_path / "a.png", "dots")
    assert given.photo.levels == TWELVE and "from 0 to 4095" in given.notes[0]
    assert predictor.predict(tmp_path / "a.png", "stripes").photo.levels == Levels(0, 1023)
    with (tmp_path / "a.png").open("rb") as file:
        recognised = predictor.predict(file)
    assert recognised.photo.levels == (TWELVE if recognised.class_name == "dots" else Levels(0, 1023))
    (table,) = [row for name, row in evaluate(deep, predictor, progress=quiet)["classes"].items() if name == "dots"]
    assert table["n_normal"] == 1


def test_a_recognised_photograph_is_read_by_its_class(folder: Path, tiny_foundation: TinyFoundation) -> None:
    """Both classes learned by the same levels: whichever is recognised, the photograph is shown by them."""
    predictor = Predictor.from_checkpoint(folder, tiny_foundation)
    predictor.card = replace(predictor.card, levels={"dots": TWELVE, "stripes": TWELVE})
    dark = Image.fromarray((toy_picture("dots", np.random.default_rng(9)).clip(0, 255)[..., 0] * 3).astype(np.uint16))
    deep, usual = predictor.predict_many([dark, dark.convert("L").convert("RGB")])
    assert deep.photo.levels == TWELVE and usual.photo.levels is None


def test_what_is_taught_later_keeps_or_brings_levels(
    folder: Path, deep: Dataset, tiny_foundation: TinyFoundation, tmp_path: Path
) -> None:
    parent = Predictor.from_checkpoint(folder, tiny_foundation).checkpoint
    dark = [sample for sample in deep.train if sample.class_name == "dots"][1:] * 2
    images = [replace(sample, name=f"{i}") for i, sample in enumerate(dark)]
    more = adapted_to(parent, tmp_path / "more", tiny_foundation, images=images, name="dots")
    assert read_card(more.card.path).levels == {"dots": TWELVE}
    new = adapted_to(parent, tmp_path / "new", tiny_foundation, images=images, name="rings")
    assert read_card(new.card.path).levels == {"dots": TWELVE, "rings": Levels(0, 1023)}


@pytest.mark.parametrize("levels", ['{"bolts": [0, 1]}', '{"dots": [0]}', '{"dots": "ab"}', "[]"])
def test_wrong_levels_are_refused(folder: Path, levels: str, tmp_path: Path) -> None:
    config = (folder / CONFIG).read_text(encoding="utf-8")
    start = config.index('"levels": {')
    (tmp_path / CONFIG).write_text(config[:start] + f'"levels": {levels}' + "\n}", encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"cannot be used|other classes"):
        read_card(tmp_path)
