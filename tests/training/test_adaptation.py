"""One class more, from a few good images and none of the old ones."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from ltad.checkpoint.folder import Checkpoint, load_checkpoint
from ltad.config import AdaptConfig
from ltad.data import GOOD, Dataset, Sample
from ltad.errors import CheckpointError, DatasetError, TrainingError
from ltad.evaluation.table import evaluate
from ltad.foundation import FoundationModel
from ltad.foundation.features import Encoder, Store
from ltad.inspection.predictor import Predictor
from ltad.judging.calibration import FAMILIAR_BY
from ltad.progress import Stage, quiet
from ltad.training.adaptation import FEWEST, steps_for, steps_to_do
from ltad.training.images import encode_samples
from ltad.training.phases import phase2_loss
from tests.toys import SHORT, Recorder, Stopped, TinyFoundation, adapted_to, ring_samples, rings, toy_picture


def test_the_new_class_is_recognised_and_its_defects_stand_out(
    adapted: Checkpoint, foundation: FoundationModel
) -> None:
    predictor = Predictor(foundation, adapted)
    good = [predictor.predict(rings(seed)) for seed in range(900, 904)]
    assert {p.class_name for p in good} == {"rings"} and all(p.known for p in good)
    spoilt = np.array(rings(950))
    spoilt[30:60, 40:70] = (240, 240, 240)
    bad = predictor.predict(Image.fromarray(spoilt))
    assert bad.image_score > max(p.image_score for p in good) + 1
    assert bad.regions and bad.regions[0].box[0] < 70 and bad.regions[0].box[1] < 60


def test_the_known_classes_are_kept(
    adapted: Checkpoint, predictor: Predictor, toy_data: Dataset, foundation: FoundationModel, toy_store: Store
) -> None:
    before, after = (
        evaluate(toy_data, Predictor(foundation, each, toy_store), auto=True, progress=quiet)["mean"]["all"]
        for each in (predictor.checkpoint, adapted)
    )
    assert after["image_auroc"] >= before["image_auroc"] - 0.05
    assert after["class_accuracy"] >= before["class_accuracy"] - 0.05


def test_the_folder_is_an_ordinary_checkpoint_that_names_its_parent(
    adapted: Checkpoint, predictor: Predictor, foundation: FoundationModel, tmp_path: Path
) -> None:
    loaded = load_checkpoint(adapted.card.path, foundation)
    for mine, theirs in zip(loaded.model.state_dict().items(), adapted.model.state_dict().items(), strict=True):
        assert mine[0] == theirs[0] and torch.equal(mine[1], theirs[1])
    assert loaded.card.class_names == (*predictor.card.class_names, "rings")
    assert loaded.card.parent and loaded.card.parent.sha256 == predictor.card.sha256()
    assert len(loaded.card.calibration.classes["rings"].scores) == 6
    assert not (adapted.card.path / ".training").exists()
    settings = replace(SHORT, name_steps=2, generator_steps=2, steps=2)
    again = adapted_to(
        loaded, tmp_path / "again", foundation, settings=settings, name="more rings", images=ring_samples(4, 7)
    )
    assert len(again.card.classes) == 5


def test_the_steps_are_those_that_were_announced(
    tiny_checkpoint: Checkpoint, tiny_foundation: TinyFoundation, tmp_path: Path
) -> None:
    told: dict[Stage, int] = {}
    settings = replace(SHORT, name_steps=3, generator_steps=2, steps=5)

    def note(stage: Stage, step: int, steps: int, loss: float | None = None) -> None:
        if loss is not None:
            told[stage] = steps

    looks: list[tuple[str, torch.Tensor]] = []
    watch = {"progress": note, "watch": lambda name, error: looks.append((name, error))}
    adapted_to(tiny_checkpoint, tmp_path / "steps", tiny_foundation, settings=settings, **watch)
    assert told == steps_to_do(settings)
    assert {name for name, _ in looks} == {"0.png"} and len(looks) == 3  # the last step of each phase 2
    assert all(error.shape == (8, 8) and error.isfinite().all() and error.min() >= 0 for _, error in looks)


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_what_was_learned(
    tiny_checkpoint: Checkpoint, tiny_foundation: TinyFoundation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ltad.training.optimisation.SAVE_EVERY", 2)
    steps = iter(range(100))

    def spoilt(*arguments: Any) -> torch.Tensor:
        return phase2_loss(*arguments) * (torch.nan if next(steps) == 5 else 1.0)

    monkeypatch.setattr("ltad.training.student.phase2_loss", spoilt)
    with pytest.raises(TrainingError, match="fold1-phase2 is nan at step 6"):
        adapted_to(tiny_checkpoint, tmp_path / "nan", tiny_foundation)
    state = load_file(tmp_path / "nan" / ".training" / "fold1-phase2.safetensors")
    assert all(tensor.isfinite().all() for tensor in state.values() if tensor.is_floating_point())


class Interrupted(Exception):
    """What stops a run in its middle."""


def test_a_run_that_goes_on_ends_as_one_that_never_stopped(
    adapted: Checkpoint,
    predictor: Predictor,
    foundation: FoundationModel,
    toy_store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ltad.training.optimisation.SAVE_EVERY", 5)
    given = {"output": tmp_path / "more", "foundation": foundation, "store": toy_store}

    def stop(stage: Stage, step: int, steps: int, loss: float | None = None) -> None:
        if stage == Stage("phase2") and step == 13:
            raise Interrupted

    with pytest.raises(Interrupted):
        adapted_to(predictor.checkpoint, **given, progress=stop)
    assert (tmp_path / "more" / ".training" / "phase2.safetensors").is_file()
    assert not (tmp_path / "more" / "config.json").exists()
    resumed = adapted_to(predictor.checkpoint, **given, resume=True)
    for name, tensor in resumed.model.state_dict().items():
        assert torch.equal(tensor, adapted.model.state_dict()[name]), name
    for mine, theirs in zip(resumed.statistics, adapted.statistics, strict=True):
        assert torch.equal(mine, theirs)
    assert resumed.card.calibration == adapted.card.calibration


def test_a_known_class_is_refined_under_its_own_name(
    tiny_checkpoint: Checkpoint, tiny_foundation: TinyFoundation, tmp_path: Path
) -> None:
    more = [Sample(name=f"{i}", class_name="", defect=GOOD, read=lambda i=i: toy(i)) for i in range(5)]
    refined = adapted_to(tiny_checkpoint, tmp_path / "refined", tiny_foundation, name="stripes", images=more)
    cards = tiny_checkpoint.card, refined.card
    before, after = (next(c for c in card.classes if c.name == "stripes") for card in cards)
    assert after.n_train == before.n_train + 5 and len(refined.card.classes) == len(tiny_checkpoint.card.classes)
    assert len(refined.card.calibration.classes["stripes"].scores) == 5  # it had none of its own
    names = refined.model.name_features, tiny_checkpoint.model.name_features
    assert torch.equal(*names)


def test_a_class_of_few_images_gets_copies_where_its_parent_made_some(
    tiny_checkpoint: Checkpoint, tiny_foundation: TinyFoundation, tmp_path: Path
) -> None:
    told = Recorder()
    config = tiny_checkpoint.card.config.override("views.wanted=18", "views.tolerance=100")
    parent = replace(tiny_checkpoint, card=replace(tiny_checkpoint.card, config=config))
    adapted_to(parent, tmp_path / "copied", tiny_foundation, progress=told)
    assert ("turns of rings", 6 * 7) in told.told and ("copies", 12) in told.told


def toy(seed: int) -> Image.Image:
    return Image.fromarray(toy_picture("stripes", np.random.default_rng(seed)).astype(np.uint8))


def test_a_product_that_looks_like_a_known_one_leaves_it_its_images(
    predictor: Predictor, foundation: FoundationModel, tmp_path: Path
) -> None:
    def checker(seed: int, faded: float) -> Image.Image:
        picture = toy_picture("checker", np.random.default_rng(seed))
        return Image.fromarray((faded * 128 + (1 - faded) * picture).clip(0, 255).astype(np.uint8))

    images = [Sample(name=f"{i}", class_name="", defect=GOOD, read=lambda i=i: checker(i, 0.3)) for i in range(6)]
    settings = replace(SHORT, name_steps=100, generator_steps=0, steps=1)
    output = adapted_to(
        predictor.checkpoint, tmp_path / "faded", foundation, settings=settings, name="faded", images=images
    )
    after = Predictor(foundation, output)
    for faded, name in ((0.0, "checker"), (0.3, "faded")):
        pictures = [checker(seed, faded) for seed in range(300, 312)]
        told = [prediction.matches[0].name for prediction in after.predict_many(pictures)]
        assert told.count(name) >= 10, told


def test_a_name_can_start_from_a_word(
    tiny_checkpoint: Checkpoint, tiny_foundation: TinyFoundation, tmp_path: Path
) -> None:
    settings = replace(SHORT, name_steps=1, generator_steps=0, steps=1)
    output = adapted_to(tiny_checkpoint, tmp_path / "word", tiny_foundation, settings=settings, start="ring")
    assert Predictor(tiny_foundation, output).nearest_words()["rings"][0] == "ring"
    with pytest.raises(ValueError, match="is empty"):
        adapted_to(tiny_checkpoint, tmp_path / "none", tiny_foundation, settings=settings, start=" ")


def test_too_few_images_and_no_time_are_refused(
    tiny_checkpoint: Checkpoint, tiny_foundation: TinyFoundation, tmp_path: Path
) -> None:
    with pytest.raises(DatasetError, match=f"3 images are too few.*at least {FEWEST}"):
        adapted_to(tiny_checkpoint, tmp_path / "few", tiny_foundation, images=ring_samples(3))
    with pytest.raises(ValueError, match="minutes must be over 0"):
        steps_for(0)
    assert steps_for(6).steps == 2 * steps_for(3).steps
    with pytest.raises(ValueError, match="replayed"):
        AdaptConfig(replayed=8)


@pytest.mark.parametrize("by", FAMILIAR_BY)
def test_the_class_is_recognised_by_what_its_parents_classes_are(
    by: str, tiny_checkpoint: Checkpoint, tiny_foundation: TinyFoundation, tmp_path: Path
) -> None:
    calibration = replace(tiny_checkpoint.card.calibration, familiar_by=by)
    parent = replace(tiny_checkpoint, card=replace(tiny_checkpoint.card, calibration=calibration))
    adapted = adapted_to(parent, tmp_path / by, tiny_foundation)
    held_out = adapted.card.calibration.classes["rings"].familiarity
    images = [replace(sample, class_name="rings") for sample in ring_samples(6)]
    features = encode_samples(images, adapted.card.class_names, Encoder(tiny_foundation), quiet)
    seen = adapted.model.familiarity(features.embeddings, features.class_ids, by)
    other = adapted.model.familiarity(features.embeddings, features.class_ids, "name" if by == "images" else "images")
    assert abs(mean(held_out) - seen.mean()) < 0.5 * abs(seen.mean() - other.mean())


def test_exchanged_pictures_and_finished_checkpoints_are_not_gone_on_with(
    tiny_checkpoint: Checkpoint, tiny_foundation: TinyFoundation, tmp_path: Path
) -> None:
    def first_stage(seed: int, stop_at: str = "", **options: Any) -> str:
        recorder = Recorder(lambda stage, step: stage == stop_at)
        given = {"images": ring_samples(4, seed), "progress": recorder} | options
        with pytest.raises(Stopped) if stop_at else nullcontext():
            adapted_to(tiny_checkpoint, tmp_path / "more", tiny_foundation, **given)
        return next(stage for stage, _ in recorder.told if stage not in ("encode", "copies", "turns of rings"))

    assert first_stage(0, "fold1-generator") == "fold1-name"
    assert first_stage(0, "fold1-generator", resume=True) == "fold1-generator"
    assert first_stage(1, "fold1-generator", resume=True) == "fold1-name"  # of the same names
    assert first_stage(1, resume=True) == "fold1-generator"
    for options in ({}, {"resume": True, "command": "another"}):
        with pytest.raises(CheckpointError, match="more” holds a finished checkpoint"):
            first_stage(1, **options)
    assert first_stage(1, resume=True) == "fold1-name"
