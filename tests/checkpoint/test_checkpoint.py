"""The folder: written, read and found again, and refused as a whole where anything in it is wrong."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from ltad.checkpoint.card import ClassCard, summarise
from ltad.checkpoint.folder import (
    Checkpoint,
    checkpoint_folders,
    find_checkpoint,
    load_checkpoint,
    read_card,
    save_checkpoint,
    shipped_checkpoint,
    untrained,
)
from ltad.errors import CheckpointError
from ltad.foundation import FoundationModel
from ltad.presets import default


@pytest.fixture
def folder(toy_checkpoint: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return shutil.copytree(toy_checkpoint, tmp_path / "toy")


def change_json(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    values = json.loads(path.read_text(encoding="utf-8"))
    change(values)
    path.write_text(json.dumps(values), encoding="utf-8")


def change_tensors(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def same(one: Checkpoint, other: Checkpoint) -> bool:
    states = one.model.state_dict(), other.model.state_dict()
    pairs = [*((states[0][name], states[1][name]) for name in states[0] | states[1])]
    pairs += zip(one.statistics, other.statistics, strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_the_round_trip_is_exact(toy_checkpoint: Path, foundation: FoundationModel, tmp_path: Path) -> None:
    first = load_checkpoint(toy_checkpoint, foundation)
    save_checkpoint(replace(first, card=replace(first.card, path=tmp_path / "copy")))
    second = load_checkpoint(tmp_path / "copy", foundation)
    assert same(first, second)
    assert replace(second.card, path=toy_checkpoint, metrics=first.card.metrics) == first.card
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "copy" / name).read_bytes() == (toy_checkpoint / name).read_bytes()
    assert sorted(path.name for path in (tmp_path / "copy").iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    assert not second.model.training


def test_a_training_gives_what_a_reader_will_find(
    foundation: FoundationModel, train_toy: Callable, toy_data: Any, tiny_config: Any, tmp_path
) -> None:
    config = tiny_config
    for assignment in ("phase1.steps=1", "phase2.steps=1", "calibration.phase2_steps=1"):
        config = config.override(assignment)
    trained = train_toy(tmp_path / "t", dataset=replace(toy_data, train=toy_data.train[6:11]), config=config)
    loaded = load_checkpoint(tmp_path / "t", foundation)
    assert same(trained, loaded)
    assert loaded.card == trained.card


def test_the_card_of_the_toy_classes(toy_checkpoint: Path, foundation: FoundationModel) -> None:
    card = read_card(toy_checkpoint)
    told = [(c.name, c.n_train, c.group) for c in card.classes]
    assert told == [("checker", 8, "head"), ("dots", 4, "head"), ("stripes", 1, "tail")]
    assert [len(each.scores) for each in card.calibration.classes.values()] == [8, 4, 0]
    assert card.foundation == foundation.fingerprint
    assert card.metrics == json.loads((toy_checkpoint / "metrics.json").read_text())
    row = summarise(card)
    assert json.loads(json.dumps(row)) == row
    assert (row["name"], row["foundation"], row["licence"]) == ("toy", "align-mini", "CC0-1.0")
    assert row["size"] == (toy_checkpoint / "model.safetensors").stat().st_size
    assert set(row["mean"]) == {"all", "head", "tail"}


def test_no_pickle_and_half_precision(toy_checkpoint: Path) -> None:
    assert {path.suffix for path in toy_checkpoint.iterdir()} == {".json", ".safetensors", ".md"}
    tensors = load_file(toy_checkpoint / "model.safetensors")
    kinds = {tensor.dtype for name, tensor in tensors.items() if not name.endswith(".exemplars")}
    assert kinds == {torch.float16}
    assert {tensor.dtype for name, tensor in tensors.items() if name.endswith(".exemplars")} == {torch.int8}


def test_the_model_card_says_data_licence_numbers_and_how_to_make_it(toy_checkpoint: Path) -> None:
    text = (toy_checkpoint / "README.md").read_text(encoding="utf-8")
    for part in (
        "# toy",
        "CC0-1.0",
        "| stripes | 1 | tail |",
        "python -m ltad train",
        read_card(toy_checkpoint).sha256(),
    ):
        assert part in text


def held_out(values: dict[str, Any]) -> dict[str, dict[str, list[float]]]:
    return values["calibration"]["classes"]


def rehearsed(**changes: Any) -> Callable[[dict[str, Any]], object]:
    """Add a rehearsal that is whole but for these."""
    whole = {"usual": [0.0, 1.0], "scores": {"checker": [0.5]}, "changed": {}} | changes
    return lambda v: v["calibration"]["rehearsals"].update({"2": whole})


BROKEN_CARDS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "unknown version": (lambda v: v.update(format_version=7), "format version 7, this program reads 5"),
    "no version": (lambda v: v.pop("format_version"), "is no LTAD checkpoint"),
    "a missing key": (lambda v: v.pop("data"), r"missing keys \['data'\] and unexpected keys \[\]"),
    "an extra key": (lambda v: v.update(x=1, a=2), r"missing keys \[\] and unexpected keys \['a', 'x'\]"),
    "an unknown setting": (lambda v: v["config"]["phase1"].update(stepz=1), r"unknown keys \['stepz'\]"),
    "a missing setting": (lambda v: v["config"].pop("seed"), r"missing keys \['seed'\]"),
    "a setting of another type": (
        lambda v: v["config"]["phase1"].update(steps="9"),
        "phase1.steps must be of type int",
    ),
    "a setting out of range": (lambda v: v["config"]["patches"].update(pool=2), "pool must be odd, got 2"),
    "settings that are no section": (lambda v: v.update(config=[1]), "cannot be used"),
    "a class without its count": (lambda v: v["classes"][0].pop("n_train"), "cannot be used.*n_train"),
    "classes that are a number": (lambda v: v.update(classes=3), "cannot be used"),
    "a class twice": (lambda v: v["classes"].append(v["classes"][0]), "other classes than it lists"),
    "a class without calibration": (lambda v: held_out(v).pop("dots"), "other classes than it lists"),
    "infinite calibration": (lambda v: held_out(v)["dots"]["scores"].append(float("inf")), "must be finite"),
    "an infinite reach": (lambda v: v["calibration"].update(reach=float("inf")), "must be finite"),
    "calibration of words": (lambda v: held_out(v)["dots"].update(scores=["a"]), "cannot be used"),
    "an unknown figure": (lambda v: held_out(v)["dots"].update(more=[1.0]), "cannot be used.*more"),
    "no calibrated classes": (lambda v: v["calibration"].pop("classes"), "cannot be used.*classes"),
    "recognised by its smell": (lambda v: v["calibration"].update(familiar_by="smell"), "familiar_by must be one of"),
    "a rehearsal without spread": (rehearsed(usual=[0.0, 0.0]), "must have scores, and a spread over 0"),
    "a rehearsal without scores": (rehearsed(scores={"checker": []}), "must have scores, and a spread over 0"),
    "a rehearsal of no number": (lambda v: v["calibration"].update(rehearsals={"few": {}}), "cannot be used"),
    "a foundation without name": (lambda v: v["foundation"].pop("name"), "cannot be used.*name"),
}


@pytest.mark.parametrize("case", BROKEN_CARDS)
def test_a_broken_card_is_refused(case: str, folder: Path, foundation: FoundationModel) -> None:
    change, sentence = BROKEN_CARDS[case]
    change_json(folder / "config.json", change)
    with pytest.raises(CheckpointError, match=f"(?s)^toy.*{sentence}.*\\.$"):
        read_card(folder)
    with pytest.raises(CheckpointError, match=sentence):
        load_checkpoint(folder, foundation)


def test_a_folder_of_the_format_before_is_read_as_it_was_meant(folder: Path, foundation: FoundationModel) -> None:
    def without_news(tensors: dict[str, torch.Tensor]) -> None:
        news = ("usual_length", "synthesis.layouts", "mix.weight", "mix.bias")
        for name in [name for name in tensors if name.endswith(news)]:
            del tensors[name]

    def of_one_metric(values: dict[str, Any]) -> None:
        memory = values["config"]["memory"]
        memory["metrics"] = ["euclidean" for _ in memory["strides"]]
        values["config"]["synthesis"]["layouts"] = 0

    change_tensors(folder, without_news)
    change_json(folder / "config.json", of_one_metric)
    now = load_checkpoint(folder, foundation)

    def older(values: dict[str, Any]) -> None:
        values["format_version"] = 3
        values["config"].pop("harmless")
        values["config"]["memory"].pop("metrics")
        values["config"]["synthesis"].pop("layouts")
        for key in ("optimiser", "muon_learning_rate"):
            values["config"]["phase2"].pop(key)
        figures = held_out(values)
        values["calibration"] = {
            "scores": {name: each["scores"] for name, each in figures.items()},
            "similarities": {name: [0.4, 0.6][: len(each["scores"])] for name, each in figures.items()},
        }

    change_json(folder / "config.json", older)
    then = load_checkpoint(folder, foundation)
    assert same(now, then) and not then.card.config.harmless.is_any
    assert set(then.card.config.memory.metrics) == {"euclidean"} and then.card.config.phase2.optimiser == "adamw"
    calibration = then.card.calibration
    assert (calibration.familiar_by, calibration.rehearsals, calibration.reach) == ("name", {}, 0.25)
    assert calibration.classes["dots"].scores == now.card.calibration.classes["dots"].scores
    assert calibration.is_known("checker", 0.26) and not calibration.is_known("checker", 0.24)
    assert 0 < calibration.judge(0.0, "stripes", 0.2).threshold


def test_metrics_that_are_none_are_refused(folder: Path) -> None:
    (folder / "metrics.json").write_text('{"means": 3}')
    with pytest.raises(CheckpointError, match=r"metrics\.json"):
        summarise(read_card(folder))


BROKEN_TENSORS: dict[str, tuple[Callable[[dict[str, torch.Tensor]], object], str]] = {
    "a missing tensor": (
        lambda t: t.pop("name_features"),
        r"missing tensors \['name_features'\] and unexpected tensors \[\]",
    ),
    "missing statistics": (lambda t: t.pop("statistics.std"), r"missing tensors \['statistics.std'\]"),
    "an extra tensor": (lambda t: t.update(more=torch.ones(2)), r"unexpected tensors \['more'\]"),
    "a wrong shape": (
        lambda t: t.update(name_features=torch.zeros(2, 256)),
        r"name_features has the shape \(2, 256\) instead of \(3, 256\)",
    ),
    "not a number": (lambda t: t["text_features"].fill_(float("nan")), "text_features has values that are not finite"),
    "infinite": (lambda t: t["statistics.mean"].fill_(float("inf")), "statistics.mean has values that are not finite"),
    "no spread": (lambda t: t["statistics.std"].zero_(), "a spread that is not positive"),
}


@pytest.mark.parametrize("case", BROKEN_TENSORS)
def test_broken_tensors_are_refused_by_name(case: str, folder: Path, foundation: FoundationModel) -> None:
    change, sentence = BROKEN_TENSORS[case]
    change_tensors(folder, change)
    with pytest.raises(CheckpointError, match=f"^toy/model.safetensors.*{sentence}.*\\.$"):
        load_checkpoint(folder, foundation)


def test_broken_files_are_refused(folder: Path, foundation: FoundationModel) -> None:
    tensors, config = folder / "model.safetensors", folder / "config.json"
    content = tensors.read_bytes()
    for broken in (content[: len(content) // 2], b"", b"\x80\x02}q\x00." * 9):
        tensors.write_bytes(broken)
        with pytest.raises(CheckpointError, match=r"^toy/model\.safetensors is damaged: .*\.$"):
            load_checkpoint(folder, foundation)
    tensors.unlink()
    with pytest.raises(CheckpointError, match=r"^toy is no checkpoint: model\.safetensors is missing\.$"):
        load_checkpoint(folder, foundation)
    for broken, sentence in (
        (b"{", "is not valid JSON"),
        (b"\xff\xfe", "is not valid JSON"),
        (b"[]", "must hold an object"),
    ):
        config.write_bytes(broken)
        with pytest.raises(CheckpointError, match=rf"^toy/config\.json {sentence}.*\.$"):
            read_card(folder)
    config.unlink()
    with pytest.raises(CheckpointError, match=r"^toy is no checkpoint: config\.json is missing\.$"):
        read_card(folder)
    with pytest.raises(CheckpointError, match="absent is no checkpoint"):
        read_card(folder / "absent")


def test_too_large_files_are_not_even_opened(folder: Path, foundation: FoundationModel) -> None:
    with (folder / "model.safetensors").open("r+b") as file:
        file.truncate(64_000_001)
    with pytest.raises(CheckpointError, match="is larger than 64 MB"):
        load_checkpoint(folder, foundation)


def test_another_foundation_model_is_refused(folder: Path, foundation: FoundationModel) -> None:
    change_json(folder / "config.json", lambda v: v["foundation"].update(sha256="f" * 64))
    with pytest.raises(CheckpointError, match=r"toy was trained on align-mini \(ffffffff, 256 px\), but .* here is"):
        load_checkpoint(folder, foundation)


@pytest.fixture
def here(toy_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with two checkpoints of our own in it."""
    for name in ("my-screws", "my-capsules"):
        shutil.copytree(toy_checkpoint, tmp_path / "checkpoints" / name)
    (tmp_path / "checkpoints" / "notes").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_checkpoints_are_found_by_name_and_by_folder(here: Path) -> None:
    names = [folder.name for folder in checkpoint_folders()]
    assert {"my-screws", "my-capsules"} <= set(names) and "notes" not in names
    assert names == sorted(names)
    assert shipped_checkpoint("my-screws").resolve() == here / "checkpoints" / "my-screws"
    assert find_checkpoint("my-screws") == shipped_checkpoint("my-screws")
    assert find_checkpoint(here / "checkpoints" / "my-screws") == here / "checkpoints" / "my-screws"


def test_an_unknown_checkpoint_is_answered_with_the_nearest_first(here: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no checkpoint “my-screw”.* my-screws, .*my-capsules") as caught:
        find_checkpoint("my-screw")
    assert f"Looked for in “{here / 'checkpoints'}”, " in str(caught.value) and "“ltad train”" in str(caught.value)
    with pytest.raises(CheckpointError) as caught:
        shipped_checkpoint("my-screw")
    assert str(here) not in str(caught.value)  # which a visitor need not know


@pytest.mark.parametrize("name", ["../checkpoints/my-screws", "checkpoints/my-screws", ".", "", "my-screws/", "\0"])
def test_a_visitor_may_give_a_name_only(name: str, here: Path) -> None:
    for path in (name, str(here / name)):
        with pytest.raises(CheckpointError, match="There is no checkpoint"):
            shipped_checkpoint(path)


def test_where_there_are_none_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ltad.checkpoint.folder.checkpoint_folders", lambda: iter(()))
    with pytest.raises(CheckpointError, match="There is no checkpoint “any”"):
        shipped_checkpoint("any")


def test_a_further_class_costs_little(toy_checkpoint: Path, foundation: FoundationModel) -> None:
    card = replace(read_card(toy_checkpoint), config=default())

    def size(classes: int) -> int:
        grown = replace(card, classes=tuple(ClassCard(name=f"{i}", n_train=9, group="head") for i in range(classes)))
        model, statistics = untrained(grown, foundation)
        tensors = [*model.state_dict().values(), *statistics]
        return sum(t.numel() * (2 if t.is_floating_point() else t.element_size()) for t in tensors)

    assert (size(256) - size(64)) / 192 <= 20_000  # bytes; both budgets of exemplars are used up
    assert size(6) <= 8_000_000


def test_files_that_were_left_out_are_in_the_card_and_others_carry_no_word_of_it(
    tiny_checkpoint: Checkpoint, tmp_path: Path
) -> None:
    card = replace(tiny_checkpoint.card, path=tmp_path / "plain")
    save_checkpoint(replace(tiny_checkpoint, card=card))
    assert "broken" not in json.loads((card.path / "config.json").read_text())["data"]
    assert read_card(card.path).data.broken == () and "Left out" not in (card.path / "README.md").read_text()
    data = replace(card.data, broken=("OK/1.png", "NG/2.png"))
    card = replace(card, path=tmp_path / "spoilt", data=data)
    save_checkpoint(replace(tiny_checkpoint, card=card))
    assert read_card(card.path).data == data
    assert "- Left out, as it could not be used: OK/1.png, NG/2.png.\n" in (card.path / "README.md").read_text()
    more = data.with_images("nut", "abc", is_new=True, command="adapt", broken=["3.png"])
    assert more.broken == ("OK/1.png", "NG/2.png", "3.png")
