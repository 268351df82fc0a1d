"""The model card: everything that a stranger must know before using a checkpoint."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from ltad.checkpoint.card import CheckpointCard, ClassCard, Parent
from ltad.checkpoint.folder import Checkpoint, add_metrics, read_card
from ltad.checkpoint.readme import model_card, with_front_matter
from ltad.judging.calibration import HeldOut

FIGURES = {"image_auroc": 0.9876, "image_auroc_interval": (0.91, 0.995), "pixel_auroc": 0.95, "aupro_30": 0.5}
FIGURES |= {"false_alarms": 0.0625, "found": 0.75}
UNDEFINED = dict.fromkeys(FIGURES)


@pytest.fixture
def card(tiny_checkpoint: Checkpoint) -> CheckpointCard:
    """Three classes, of which one could be measured."""
    classes = {"checker": FIGURES, "dots": FIGURES | {"pixel_auroc": None, "aupro_30": None}, "stripes": UNDEFINED}
    mean = {"all": FIGURES | {"n_classes": 3}, "tail": UNDEFINED | {"n_classes": 1}}
    return replace(tiny_checkpoint.card, metrics={"classes": classes, "mean": mean})


def row(text: str, name: str) -> list[str]:
    """The cells of the row of a class."""
    (line,) = re.findall(rf"^\| {re.escape(name)} \|.*$", text, flags=re.M)
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def front_matter(text: str) -> dict[str, Any]:
    return yaml.safe_load(text.split("---\n")[1])


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        ("Apache-2.0, rendered by this project", "apache-2.0"),
        ("CC BY-NC-SA 4.0", "cc-by-nc-sa-4.0"),
        ("CC BY-SA 4.0 (sample data)", "cc-by-sa-4.0"),
        ("CC0-1.0; of the added images: their owner's", "other"),
        ("screw: CC BY-NC-SA 4.0 (MVTec AD); cookie: CC BY-SA 4.0", "other"),
        ("free to use with citation", "other"),
        ("", None),
    ],
)
def test_the_hub_is_told_the_licence_by_its_own_name(card: CheckpointCard, stated: str, told: str | None) -> None:
    front = front_matter(model_card(replace(card, data=replace(card.data, licence=stated))))
    assert front.get("license") == told and ("license_name" in front) == (told == "other")


def test_the_hub_is_told_library_task_and_figures(card: CheckpointCard) -> None:
    front = front_matter(model_card(card))
    assert (front["library_name"], front["pipeline_tag"], front["metrics"]) == (
        "ltad",
        "image-segmentation",
        ["roc_auc"],
    )
    ((result,),) = [model["results"] for model in front["model-index"]]
    assert result["dataset"] == {"type": "toy", "name": "toy, imbalance none", "split": "test"}
    assert [(m["type"], m["value"]) for m in result["metrics"]] == [
        ("roc_auc", 0.9876), ("roc_auc", 0.95), ("aupro_30", 0.5),
    ]  # fmt: skip
    before = front_matter(model_card(replace(card, metrics=None)))
    assert not {"metrics", "model-index"} & before.keys()


def test_a_card_of_ones_own_words_keeps_them(card: CheckpointCard) -> None:
    for text in ("# Mine\n", "---\nlicense: mit\n---\n# Mine\n"):
        told = with_front_matter(text, card)
        assert told.endswith("---\n\n# Mine\n") and front_matter(told)["license"] == "cc0-1.0"


def test_it_names_data_licence_foundation_and_tensors(card: CheckpointCard) -> None:
    text = model_card(card)
    assert text.startswith("---\n") and "\n# tiny\n" in text
    assert f"Data: toy, imbalance `none`, class order alphabetical, split `{card.data.split_hash}`" in text
    assert "Licence of the data: CC0-1.0." in text
    assert "`tiny` (128 px, sha256 `0000000000000000…`)" in text
    size = (card.path / "model.safetensors").stat().st_size
    assert f"Tensors: {size / 1e6:.1f} MB, sha256 `{card.sha256()}`" in text


def test_a_licence_that_nobody_stated_is_to_be_asked_for(card: CheckpointCard) -> None:
    text = model_card(replace(card, data=replace(card.data, licence="")))
    assert "Licence of the data: not stated; ask the owner of the data." in text


def test_figures_are_per_cent_and_what_is_undefined_is_not_0(card: CheckpointCard) -> None:
    text = model_card(card)
    assert row(text, "class")[2:8] == ["image AUROC", "interval", "false alarms", "found", "pixel AUROC", "AUPRO@0.3"]
    assert row(text, "checker") == ["8", "head", "98.8", "91.0 to 99.5", "6.2", "75.0", "95.0", "50.0", "8"]
    assert row(text, "dots") == ["4", "head", "98.8", "91.0 to 99.5", "6.2", "75.0", "n/a", "n/a", "4"]
    assert row(text, "stripes") == ["1", "tail", *["n/a"] * 6, "0"]
    assert row(text, "**mean over all**") == ["", "3", "98.8", "91.0 to 99.5", "6.2", "75.0", "95.0", "50.0", ""]
    assert row(text, "**mean over tail**") == ["", "1", *["n/a"] * 6, ""]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in lines} == {11}
    assert "at the checkpoint's own rate of 12.0 %" in text


def test_what_harmless_change_and_strangers_do_is_said_where_it_was_measured(card: CheckpointCard) -> None:
    assert card.metrics and "harmless" not in model_card(card) and "Strangers" not in model_card(card)
    changed = {"image_auroc": 0.876, "false_alarms": 0.043, "found": 0.654}
    mean = {"all": card.metrics["mean"]["all"] | {"harmless": changed}}
    strangers = {"classes": {"nut": {}, "cap": {}}, "mean": 0.021, "mean_interval": [0.01, 0.034]}
    text = model_card(replace(card, metrics=card.metrics | {"mean": mean, "strangers": strangers}))
    assert "\n\nAfter harmless change: image AUROC 87.6, false alarms 4.3, found 65.4 (means over all)." in text
    assert "\n\nStrangers taken for a known product: 2.1 (1.0 to 3.4), mean over nut, cap." in text
    assert f"evaluate --data DATA --checkpoint {card.name} --harmless --strangers OTHERS\n" in text


def test_older_figures_were_not_taken_at_a_rate(card: CheckpointCard) -> None:
    assert card.metrics
    older = {
        part: {name: {k: v for k, v in row.items() if k not in ("false_alarms", "found")} for name, row in rows.items()}
        for part, rows in card.metrics.items()
    }
    text = model_card(replace(card, metrics=older))
    assert row(text, "checker") == ["8", "head", "98.8", "91.0 to 99.5", "n/a", "n/a", "95.0", "50.0", "8"]


def test_before_it_is_measured_no_class_has_a_figure(card: CheckpointCard) -> None:
    text = model_card(replace(card, metrics=None))
    assert [row(text, name)[2:8] for name in card.class_names] == [["n/a"] * 6] * 3
    assert "mean over" not in text


def test_a_class_that_was_not_measured_has_none_either(card: CheckpointCard) -> None:
    calibration = card.calibration.with_held_out({"rings": HeldOut(scores=(0.5, 1.5))})
    classes = (*card.classes, ClassCard(name="rings", n_train=2, group="tail"))
    text = model_card(replace(card, classes=classes, calibration=calibration))
    assert row(text, "rings") == ["2", "tail", *["n/a"] * 6, "2"]


def test_it_says_how_to_make_it_again(card: CheckpointCard) -> None:
    _, commands, _ = model_card(card).split("```")
    assert commands.split("\n")[1:-1] == [
        "python -m ltad train",
        "python -m ltad evaluate --data DATA --checkpoint tiny",
    ]


def test_it_names_its_parent_if_it_has_one(card: CheckpointCard) -> None:
    assert "Adapted from" not in model_card(card)
    adapted = replace(card, parent=Parent(name="first", sha256="ab" * 32))
    assert f"- Adapted from: first, sha256 `{'ab' * 32}`." in model_card(adapted)


def test_the_file_in_the_folder_follows_its_figures(card: CheckpointCard, tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    folder.mkdir()
    for file in card.path.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    assert card.metrics
    before = (folder / "README.md").read_text(encoding="utf-8")
    add_metrics(folder, card.metrics)
    after = (folder / "README.md").read_text(encoding="utf-8")
    assert before != after == model_card(read_card(folder))
