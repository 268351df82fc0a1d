"""One class more, from a few good images and none of the old ones."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import quiet, toy_picture
from PIL import Image
from safetensors.torch import load_file

from ltad.__main__ import main
from ltad.adaptation import FEWEST, adapt, steps_for, steps_to_do
from ltad.before_after import as_defective, before_and_after, in_words
from ltad.checkpoint import Checkpoint, load_checkpoint
from ltad.config import AdaptConfig
from ltad.data import GOOD, Dataset, Sample
from ltad.errors import DatasetError, TrainingError
from ltad.evaluation import evaluate
from ltad.foundation import FoundationModel
from ltad.predictor import Predictor
from ltad.training import phase2_loss

SHORT = AdaptConfig(name_steps=30, generator_steps=10, steps=20)


def rings(seed: int) -> Image.Image:
    """A product that the toy checkpoint does not know."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:96, :128] + generator.uniform(-1, 1, (2, 1, 1))
    wave = np.sin(np.hypot(x - 64, y - 48) / 2.5)[..., None] > 0
    picture = np.where(wave, (210, 120, 30), (60, 20, 90)) + generator.normal(0, 4, (96, 128, 3))
    return Image.fromarray(picture.clip(0, 255).astype(np.uint8))


def samples(count: int, seed: int = 0) -> list[Sample]:
    return [
        Sample(name=f"{i}.png", class_name="rings", defect=GOOD, read=lambda i=i: rings(100 * seed + i))
        for i in range(count)
    ]


def taught(parent: Checkpoint, output: Path, foundation: FoundationModel, **changes: Any) -> Checkpoint:
    settings = changes.pop("settings", SHORT)
    images, name = changes.pop("images", samples(6)), changes.pop("name", "rings")
    given = {"command": "adapt", "progress": quiet} | changes
    return adapt(parent, images, name, foundation, settings, output, **given)


@pytest.fixture(scope="module")
def adapted(predictor: Predictor, foundation: FoundationModel, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return taught(predictor.checkpoint, tmp_path_factory.mktemp("adapted") / "more", foundation)


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
    adapted: Checkpoint, predictor: Predictor, toy_data: Dataset, foundation: FoundationModel
) -> None:
    before = evaluate(toy_data, predictor, auto=True, progress=quiet)["mean"]["all"]
    after = evaluate(toy_data, Predictor(foundation, adapted), auto=True, progress=quiet)["mean"]["all"]
    assert after["image_auroc"] >= before["image_auroc"] - 0.05
    assert after["class_accuracy"] >= before["class_accuracy"] - 0.05


def test_the_folder_is_an_ordinary_checkpoint_that_names_its_parent(
    adapted: Checkpoint, predictor: Predictor, foundation: FoundationModel
) -> None:
    loaded = load_checkpoint(adapted.card.path, foundation)
    for mine, theirs in zip(loaded.model.state_dict().items(), adapted.model.state_dict().items(), strict=True):
        assert mine[0] == theirs[0] and torch.equal(mine[1], theirs[1])
    assert loaded.card.class_names == (*predictor.card.class_names, "rings")
    assert loaded.card.parent and loaded.card.parent.sha256 == predictor.card.sha256()
    assert len(loaded.card.calibration.scores["rings"]) == 6
    assert not (adapted.card.path / ".training").exists()
    again = taught(loaded, adapted.card.path.parent / "again", foundation, name="more rings", images=samples(4, 7))
    assert len(again.card.classes) == 5


def torn(seed: int) -> tuple[Image.Image, Image.Image]:
    """A defective ring and its mask."""
    picture, mask = np.array(rings(seed)), np.zeros((96, 128), dtype=np.uint8)
    picture[30:60, 40:70] = (240, 240, 240)
    mask[30:60, 40:70] = 255
    return Image.fromarray(picture), Image.fromarray(mask)


def test_before_and_after_tell_the_class_and_the_others_apart(
    adapted: Checkpoint, predictor: Predictor, foundation: FoundationModel, tmp_path: Path
) -> None:
    photographs = []
    for i in range(3):
        for picture, name in zip(torn(950 + i), (f"a/{i}.png", f"a/{i}_mask.png"), strict=True):
            picture.save(path := tmp_path / name.replace("/", "-"))
            photographs.append((name, path))
    (tmp_path / "no.png").write_bytes(b"nothing")
    defective, refused = as_defective([*photographs, ("no.png", tmp_path / "no.png")], "rings")
    assert len(defective) == 3 and [name for name, _ in refused] == ["no.png"]
    changes = before_and_after(predictor, Predictor(foundation, adapted), "rings", samples(6), defective, quiet)
    before, after = changes["before"], changes["after"]
    assert changes["is_new"] and before["recognised"] == 0 and after["recognised"] > 0.8
    assert len(before["good"]) == len(after["good"]) == 6 and len(after["defective"]) == 3
    assert after["image_auroc"] > 0.9 and after["pixel_auroc"] > 0.9 and after["found"] == 1
    assert min(after["defective"]) > max(after["good"])
    assert [row["name"] for row in changes["others"]] == list(predictor.card.class_names)
    assert all(row["recognised"] and row["image_auroc"] is None for row in changes["others"])
    assert "rings: image AUROC" in in_words(changes) and "dots: reconstruction error" in in_words(changes)


def test_a_checkpoint_beside_itself_has_changed_nothing(predictor: Predictor) -> None:
    changes = before_and_after(predictor, predictor, "dots", samples(1), [], quiet)
    assert not changes["is_new"] and changes["after"]["good"] == []
    assert changes["after"]["false_alarms"] is changes["after"]["image_auroc"] is None
    assert [row["reconstruction"] for row in changes["others"]] == [1.0, 1.0]


def test_the_steps_are_those_that_were_announced(
    predictor: Predictor, foundation: FoundationModel, tmp_path: Path
) -> None:
    told: dict[str, int] = {}
    settings = replace(SHORT, name_steps=3, generator_steps=2, steps=5)

    def note(stage: str, step: int, steps: int, loss: float | None = None) -> None:
        if loss is not None:
            told[stage] = steps

    looks: list[tuple[str, torch.Tensor]] = []
    watch = {"progress": note, "watch": lambda name, error: looks.append((name, error))}
    taught(predictor.checkpoint, tmp_path / "steps", foundation, settings=settings, **watch)
    assert told == steps_to_do(settings)
    assert {name for name, _ in looks} == {"0.png"} and len(looks) == 3  # the last step of each phase 2
    assert all(error.shape == (16, 16) and error.isfinite().all() and error.min() >= 0 for _, error in looks)


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_what_was_learned(
    predictor: Predictor, foundation: FoundationModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ltad.stages.SAVE_EVERY", 2)
    steps = iter(range(100))

    def spoilt(*arguments: Any) -> torch.Tensor:
        return phase2_loss(*arguments) * (torch.nan if next(steps) == 5 else 1.0)

    monkeypatch.setattr("ltad.adaptation.phase2_loss", spoilt)
    with pytest.raises(TrainingError, match="fold1-phase2 is nan at step 6"):
        taught(predictor.checkpoint, tmp_path / "nan", foundation)
    state = load_file(tmp_path / "nan" / ".training" / "fold1-phase2.safetensors")
    assert all(tensor.isfinite().all() for tensor in state.values() if tensor.is_floating_point())


class Interrupted(Exception):
    """What stops a run in its middle."""


def test_a_run_that_goes_on_ends_as_one_that_never_stopped(
    adapted: Checkpoint,
    predictor: Predictor,
    foundation: FoundationModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ltad.stages.SAVE_EVERY", 5)

    def stop(stage: str, step: int, steps: int, loss: float | None = None) -> None:
        if stage == "phase2" and step == 13:
            raise Interrupted

    with pytest.raises(Interrupted):
        taught(predictor.checkpoint, tmp_path / "more", foundation, progress=stop)
    assert (tmp_path / "more" / ".training" / "phase2.safetensors").is_file()
    assert not (tmp_path / "more" / "config.json").exists()
    resumed = taught(predictor.checkpoint, tmp_path / "more", foundation, resume=True)
    for name, tensor in resumed.model.state_dict().items():
        assert torch.equal(tensor, adapted.model.state_dict()[name]), name
    for mine, theirs in zip(resumed.statistics, adapted.statistics, strict=True):
        assert torch.equal(mine, theirs)
    assert resumed.card.calibration == adapted.card.calibration


def test_a_known_class_is_refined_under_its_own_name(
    predictor: Predictor, foundation: FoundationModel, tmp_path: Path
) -> None:
    more = [Sample(name=f"{i}", class_name="", defect=GOOD, read=lambda i=i: toy(i)) for i in range(5)]
    refined = taught(predictor.checkpoint, tmp_path / "refined", foundation, name="stripes", images=more)
    before, after = (next(c for c in card.classes if c.name == "stripes") for card in (predictor.card, refined.card))
    assert after.n_train == before.n_train + 5 and len(refined.card.classes) == len(predictor.card.classes)
    assert len(refined.card.calibration.scores["stripes"]) == 5  # it had none of its own
    names = refined.model.name_features, predictor.checkpoint.model.name_features
    assert torch.equal(*names)


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
    output = taught(
        predictor.checkpoint, tmp_path / "faded", foundation, settings=settings, name="faded", images=images
    )
    after = Predictor(foundation, output)
    for faded, name in ((0.0, "checker"), (0.3, "faded")):
        told = [after.match_classes(checker(seed, faded))[0]["name"] for seed in range(300, 312)]
        assert told.count(name) >= 10, told


def test_a_name_can_start_from_a_word(predictor: Predictor, foundation: FoundationModel, tmp_path: Path) -> None:
    settings = replace(SHORT, name_steps=1, generator_steps=0, steps=1)
    output = taught(predictor.checkpoint, tmp_path / "word", foundation, settings=settings, start="ring")
    nearest = Predictor(foundation, output).nearest_words()["rings"]
    assert nearest[0] in ("ring", "rings")
    with pytest.raises(ValueError, match="is empty"):
        taught(predictor.checkpoint, tmp_path / "none", foundation, settings=settings, start=" ")


def test_too_few_images_and_no_time_are_refused(
    predictor: Predictor, foundation: FoundationModel, tmp_path: Path
) -> None:
    with pytest.raises(DatasetError, match=f"3 images are too few.*at least {FEWEST}"):
        taught(predictor.checkpoint, tmp_path / "few", foundation, images=samples(3))
    with pytest.raises(ValueError, match="minutes must be over 0"):
        steps_for(0)
    assert steps_for(6).steps == 2 * steps_for(3).steps
    with pytest.raises(ValueError, match="replayed"):
        AdaptConfig(replayed=8)


def test_the_command_says_in_words_what_it_leaves_out(
    toy_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "good"
    folder.mkdir()
    rings(0).save(folder / "0.png")
    (folder / "broken.png").write_bytes(b"nothing")
    arguments = ["adapt", "--images", str(folder), "--checkpoint", str(toy_checkpoint), "--class-name", "rings"]
    assert main([*arguments, "--output", str(tmp_path / "new")]) == 1
    said = capsys.readouterr().err
    assert "left out “broken.png”" in said and "1 images are too few" in said


def test_the_command_adapts_and_names_what_it_leaves_out(
    toy_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "good"
    folder.mkdir()
    for i in range(5):
        rings(i).save(folder / f"{i}.png")
    (folder / "broken.png").write_bytes(b"nothing")
    rings(0).save(folder / "twice.jpg", quality=95)
    arguments = ["adapt", "--images", str(folder), "--checkpoint", str(toy_checkpoint), "--class-name", "rings"]
    report = ["--report", str(tmp_path / "changes.json")]
    assert (
        main(
            [*arguments, "--output", str(tmp_path / "new"), "--minutes", "0.1", "--json", "--exclude", "4.png", *report]
        )
        == 0
    )
    said = capsys.readouterr()
    assert "look at “twice.jpg”: it shows the same as “0.png”" in said.err
    told = [json.loads(line) for line in said.err.splitlines() if line.startswith("{")]
    assert [line["left_out"] for line in told if "left_out" in line] == ["broken.png"]
    told = [line for line in told if line.get("loss") is not None]
    assert told[-1]["stage"] == "phase2" and told[-1]["step"] == told[-1]["steps"] and told[-1]["loss"] > 0
    summary = json.loads(said.out)
    assert summary["classes"][-1] == {"name": "rings", "n_train": 5, "group": summary["classes"][-1]["group"]}
    assert summary["parent"]["name"] == "toy"
    assert json.loads((tmp_path / "changes.json").read_text()) == summary["changes"]
    assert summary["changes"]["after"]["image_auroc"] is None and len(summary["changes"]["after"]["good"]) == 5
    assert "Adapted from: toy" in (tmp_path / "new" / "README.md").read_text()
