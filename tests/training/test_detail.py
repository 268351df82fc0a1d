"""A checkpoint that sees photographs finely, from the folder to the verdict."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ltad.checkpoint.folder import Checkpoint, load_checkpoint
from ltad.config import LTADConfig
from ltad.data import GOOD, Dataset, Sample
from ltad.foundation.features import Encoder
from ltad.inspection.predictor import Predictor
from ltad.training.detail import affordable
from tests.toys import TinyFoundation, adapted_to, ring_samples

SIDE = 512


def large(width: int, height: int, seed: int) -> Image.Image:
    """A photograph of a board of small studs, all alike but for a little noise."""
    generator, pixels = np.random.default_rng(seed), np.full((height, width, 3), 90.0)
    pixels[16::32, 16::32] = pixels[17::32, 16::32] = 220
    return Image.fromarray((pixels + generator.normal(0, 2, pixels.shape)).clip(0, 255).astype(np.uint8))


def missing(picture: Image.Image) -> Image.Image:
    """The same with a scratch of three pixels that the whole frame, squeezed, hardly shows."""
    pixels = np.array(picture)
    height, width = pixels.shape[:2]
    pixels[height // 2 : height // 2 + 3, width // 2 : width // 2 + 40] = 30
    return Image.fromarray(pixels)


def board(name: str, width: int, height: int, seed: int) -> Sample:
    return Sample(name=name, class_name="board", defect=GOOD, read=lambda: large(width, height, seed))


@pytest.fixture(scope="module")
def boards(few: Dataset) -> Dataset:
    """Boards in two sizes of the same proportions, beside the toy classes."""
    sizes = [(SIDE * 2, SIDE), (SIDE, SIDE // 2)]
    train = tuple(board(f"board/{i}", *sizes[i % 2], i) for i in range(8))
    return replace(few, train=few.train + train, test=())


@pytest.fixture(scope="module")
def fine_config(short: LTADConfig) -> LTADConfig:
    return short.override("detail.times=2")


@pytest.fixture(scope="module")
def fine(
    train_toy: Callable[..., Checkpoint],
    boards: Dataset,
    fine_config: LTADConfig,
    tiny_foundation: TinyFoundation,
    tmp_path_factory: pytest.TempPathFactory,
) -> Checkpoint:
    output = tmp_path_factory.mktemp("fine") / "fine"
    return train_toy(output, dataset=boards, config=fine_config, foundation=tiny_foundation, store=None)


def test_what_is_loaded_is_what_was_trained(fine: Checkpoint, tiny_foundation: TinyFoundation) -> None:
    loaded = load_checkpoint(fine.card.path, tiny_foundation)
    for mine, theirs in zip(loaded.model.state_dict().items(), fine.model.state_dict().items(), strict=True):
        assert mine[0] == theirs[0] and torch.equal(mine[1], theirs[1])
    for one, other in zip(loaded.statistics, fine.statistics, strict=True):
        assert torch.equal(one, other)
    classes = len(fine.card.classes)
    assert fine.statistics.fine_gain.shape == (classes, 1) and (fine.statistics.fine_gain > 0).all()
    assert fine.statistics.fine_mean.shape == (classes, 2)
    assert all(memory.exemplars.any((1, 2)).all() for memory in fine.model.fine_memories)


def test_a_map_has_the_photographs_proportions_and_shows_what_is_small(
    fine: Checkpoint, tiny_foundation: TinyFoundation
) -> None:
    predictor = Predictor(tiny_foundation, fine)
    good, bad = (
        predictor.predict(picture, "board") for picture in (large(1024, 512, 99), missing(large(1024, 512, 99)))
    )
    assert good.patch_maps["all"].shape == (16, 32) and good.whole_map.shape == (8, 8)
    assert bad.image_score > good.image_score
    assert bad.image_score >= bad.part_scores["fine"] and set(bad.report()["scores"]) > {"fine"}
    y, x = np.unravel_index(bad.patch_maps["all"].argmax(), (16, 32))
    assert abs(y - 8) <= 1 and 15 <= x <= 18
    again = list(predictor.predict_many([large(1024, 512, 99), missing(large(1024, 512, 99))], "board"))
    assert [p.image_score for p in again] == pytest.approx([good.image_score, bad.image_score], abs=1e-4)


@pytest.mark.parametrize("size", [(2000, 500), (500, 1270), (300, 40), (16, 16), (4000, 20)])
def test_photographs_of_any_shape_are_judged(
    fine: Checkpoint, tiny_foundation: TinyFoundation, size: tuple[int, int]
) -> None:
    prediction = Predictor(tiny_foundation, fine).predict(Image.new("RGB", size, "grey"))
    height, width = prediction.patch_maps["all"].shape
    assert np.isfinite(prediction.patch_maps["all"]).all() and min(height, width) == 16
    assert width / height == pytest.approx(min(8, max(1 / 8, size[0] / size[1])), rel=0.05)
    assert prediction.report()["image_size"] == list(size)


def test_photographs_of_one_class_come_to_one_scale(fine: Checkpoint, tiny_foundation: TinyFoundation) -> None:
    predictor = Predictor(tiny_foundation, fine)
    scores = [predictor.predict(large(*size, 99), "board").image_score for size in ((1024, 512), (512, 256))]
    assert max(scores) < predictor.card.calibration.normals("board").scores[-1] + 1


def test_a_class_is_taught_as_finely_as_the_others_are_seen(
    fine: Checkpoint, tiny_foundation: TinyFoundation, tmp_path: Path
) -> None:
    taught = adapted_to(fine, tmp_path / "taught", tiny_foundation)
    assert taught.statistics.fine_gain.shape == (len(fine.card.classes) + 1, 1)
    assert all(memory.exemplars[-1].any() for memory in taught.model.fine_memories)
    assert torch.equal(taught.statistics.fine_mean[:-1], fine.statistics.fine_mean)
    prediction = Predictor(tiny_foundation, taught).predict(ring_samples(1, 50)[0].read(), "rings")
    assert np.isfinite(prediction.image_score)


def test_a_fine_view_is_kept_under_a_key_of_its_own(fine: Checkpoint, tiny_foundation: TinyFoundation) -> None:
    store: dict = {}
    kept = Predictor(tiny_foundation, fine, store).encoder
    views = kept.views([large(1024, 512, 1)])
    first = kept.encode(views)
    assert len(store) == 2 and views.fine[0].shape == (3, 256, 512) and views.whole.shape[2:] == (128, 128)
    assert torch.equal(kept.encode(views).fine[0], first.fine[0])
    assert Encoder(tiny_foundation, store).encode(Encoder(tiny_foundation).views([large(1024, 512, 1)])).fine == ()
    with pytest.raises(ValueError, match="a fine view needs a detail"):
        kept.whole.encode(views)


@pytest.mark.parametrize(("size", "times"), [((120, 90), 1), ((300, 240), 2), ((640, 480), 4), ((90, 2000), 1)])
def test_the_finest_look_shows_no_more_than_there_is(
    tiny_foundation: TinyFoundation, size: tuple[int, int], times: int
) -> None:
    look = affordable([board("one", *size, 0)], tiny_foundation)
    assert look.times == times and str(look).startswith(f"detail {times}: photographs of {size[0]} × {size[1]} pixels")
