"""What an adaptation changed, of the class and of the others."""

from dataclasses import replace
from pathlib import Path

import pytest

from ltad.checkpoint.folder import Checkpoint
from ltad.data import DEFECTIVE, Dataset
from ltad.data.listing import photograph_sample
from ltad.evaluation.before_after import before_and_after, in_words, taught_in_words
from ltad.foundation import FoundationModel, ImageFeatures
from ltad.inspection.predictor import Predictor
from ltad.photos.pile import Photograph
from ltad.progress import quiet
from tests.toys import ring_samples, torn


def test_before_and_after_tell_the_class_and_the_others_apart(
    adapted: Checkpoint, predictor: Predictor, foundation: FoundationModel, tmp_path: Path
) -> None:
    defective = []
    for i in range(3):
        picture, mask = torn(950 + i)
        picture.save(path := tmp_path / f"{i}.png")
        mask.save(marked := tmp_path / f"{i}_mask.png")
        defective.append(photograph_sample(Photograph(path.name, path, marked), "rings", DEFECTIVE))
    changes = before_and_after(predictor, Predictor(foundation, adapted), "rings", ring_samples(6), defective, quiet)
    before, after = changes["before"], changes["after"]
    assert changes["is_new"] and before["recognised"] == 0 and after["recognised"] > 0.8
    assert len(before["good"]) == len(after["good"]) == 6 and len(after["defective"]) == 3
    assert after["image_auroc"] > 0.9 and after["pixel_auroc"] > 0.9 and after["found"] == 1
    assert min(after["defective"]) > max(after["good"])
    assert [row["name"] for row in changes["others"]] == list(predictor.card.class_names)
    assert all(row["recognised"] and row["image_auroc"] is None for row in changes["others"])
    alarms = sum(score > 1 for score in after["good"])
    measured = taught_in_words(changes)
    assert measured.startswith("Measured on the photographs of rings: recognised ")
    assert f"{alarms} of 6 good ones over the threshold, 3 of 3 defective ones over the threshold" in measured
    assert "rings: image AUROC" in in_words(changes) and "dots: reconstruction error" in in_words(changes)


def test_a_checkpoint_beside_itself_has_changed_nothing(predictor: Predictor) -> None:
    changes = before_and_after(predictor, predictor, "dots", ring_samples(1), [], quiet)
    assert not changes["is_new"] and changes["after"]["good"] == []
    assert "over the threshold" not in taught_in_words(changes) and "recognised 0 %" in taught_in_words(changes)
    assert changes["after"]["false_alarms"] is changes["after"]["image_auroc"] is None
    assert [row["reconstruction"] for row in changes["others"]] == [1.0, 1.0]


@pytest.mark.parametrize("data", ["demo", "demo and rings", "nuts + demo and rings"])
def test_what_can_be_rendered_again_is_measured_again_after_a_second_class_too(
    data: str, adapted: Checkpoint, toy_data: Dataset, foundation: FoundationModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ltad.evaluation.before_after.demo_dataset", lambda **_: toy_data)
    card = replace(adapted.card, data=replace(adapted.card.data, name=data))
    parent = Predictor(foundation, replace(adapted, card=card))
    changes = before_and_after(parent, parent, "dots", ring_samples(1), [], quiet)
    rows = {row["name"]: row for row in changes["others"]}
    for name in ("checker", "stripes"):
        before, after = rows[name]["image_auroc"]
        assert before == after and rows[name]["class_accuracy"] is not None
    assert rows["rings"]["image_auroc"] is None  # nobody can render them


def test_both_checkpoints_see_what_the_tower_said_once(
    adapted: Checkpoint, predictor: Predictor, foundation: FoundationModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded, tower = [], foundation.encode_image

    def counted(images: object) -> ImageFeatures:
        encoded.append(len(images))
        return tower(images)

    monkeypatch.setattr(foundation, "encode_image", counted)
    store: dict = {}
    parent, child = Predictor(foundation, predictor.checkpoint, store), Predictor(foundation, adapted, store)
    before_and_after(parent, child, "rings", ring_samples(4), [], quiet)
    assert sum(encoded) == 4
