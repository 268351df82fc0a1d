"""The other commands as a person types them."""

import argparse
import importlib
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ltad.__main__ import main
from ltad.checkpoint.folder import Checkpoint, read_card
from ltad.commands import COMMANDS
from ltad.config import HarmlessConfig
from ltad.data.folder import folder_dataset
from ltad.data.longtail import read_split, split_hash
from ltad.inspection.pictures import load_map
from ltad.inspection.predictor import Predictor

ROOT = Path(__file__).parents[2]


def usage_of(command: str) -> str:
    """How a command is called, on one line."""
    module, parser = importlib.import_module(f"ltad.commands.{command}"), argparse.ArgumentParser()
    module.add_options(parser)
    return " ".join(parser.format_usage().split())


def lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def dots(toy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of one class."""
    return shutil.copytree(toy_folder / "dots", tmp_path_factory.mktemp("one") / "dots")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


# inspect


def test_inspect_judges_every_file_and_goes_on_after_a_bad_one(
    toy_checkpoint: Path, dots: Path, predictor: Predictor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    batch = tmp_path / "batch"
    batch.mkdir()
    (batch / "a-broken.png").write_text("no image")
    shutil.copy(dots / "test" / "blotch" / "000.png", batch / "b-bad.png")
    (batch / "more").mkdir()
    shutil.copy(dots / "test" / "good" / "000.png", batch / "more" / "c-good.png")
    (batch / ".hidden").write_text("not looked at")
    output = tmp_path / "out"
    arguments = ["inspect", str(batch), str(tmp_path / "absent.png"), "--checkpoint", str(toy_checkpoint)]
    assert main([*arguments, "--output", str(output)]) == 1
    captured = capsys.readouterr()
    assert captured.err == ""  # no progress bar, no traceback
    broken, bad, good, absent = lines(captured.out)
    assert [Path(row["image"]).name for row in (broken, bad, good, absent)] == [
        "a-broken.png", "b-bad.png", "c-good.png", "absent.png",
    ]  # fmt: skip
    assert broken.keys() == absent.keys() == {"image", "error"}
    assert "a-broken.png" in broken["error"] and "is not a file" in absent["error"]
    assert bad["verdict"] == "defect" and bad["class"]["name"] == good["class"]["name"] == "dots"
    expected = predictor.predict(batch / "b-bad.png")
    pictures = {kind: str(output / f"b-bad_{kind}.png") for kind in ("map", "overlay")}
    assert bad | {"seconds": 0} == {"image": str(batch / "b-bad.png")} | expected.report() | pictures | {"seconds": 0}
    assert sorted(path.name for path in output.iterdir()) == [
        "b-bad_map.png", "b-bad_overlay.png", "c-good_map.png", "c-good_overlay.png",
    ]  # fmt: skip
    full_scale = 2 * expected.judgement.threshold
    clipped = expected.anomaly_map.clip(0, full_scale)
    np.testing.assert_allclose(load_map(output / "b-bad_map.png"), clipped, atol=full_scale / 131070 * 1.01)
    with Image.open(output / "b-bad_overlay.png") as overlay:
        assert (overlay.size, overlay.mode) == ((128, 96), "RGB")
        assert overlay.tobytes() != expected.photo.image.tobytes()


def test_inspect_of_good_files_succeeds_and_writes_nothing_unasked(
    toy_checkpoint: Path, dots: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = str(dots / "test" / "good" / "000.png")
    assert main(["inspect", image, "--checkpoint", str(toy_checkpoint), "--class-name", "dots"]) == 0
    (row,) = lines(capsys.readouterr().out)
    assert row["image"] == image and row["class"]["name"] == "dots"
    assert list(here.iterdir()) == []


def test_no_picture_replaces_another_and_every_line_names_its_own(
    toy_checkpoint: Path, dots: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("a.jpg", "a.png", "a-2.jpg", "A.png")
    for number, name in enumerate(names):
        (tmp_path / f"{number}").mkdir()
        Image.open(dots / "test" / "good" / "000.png").resize((40 + number, 40)).save(tmp_path / f"{number}" / name)
    images = [str(tmp_path / f"{number}" / name) for number, name in enumerate(names)]
    arguments = ["inspect", *images, "--checkpoint", str(toy_checkpoint), "--output", str(tmp_path / "out")]
    assert main(arguments) == main(arguments) == 0  # a later call replaces nothing, either
    rows = lines(capsys.readouterr().out)
    assert (
        len({row[kind] for row in rows for kind in ("map", "overlay")}) == len(list((tmp_path / "out").iterdir())) == 16
    )
    for row in rows:
        with Image.open(row["overlay"]) as overlay:
            assert [*overlay.size] == row["image_size"] == [*load_map(row["map"]).shape[::-1]]


def test_an_unknown_checkpoint_or_class_is_one_sentence(
    toy_checkpoint: Path, dots: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(toy_checkpoint, here / "checkpoints" / "toy")
    image = str(dots / "test" / "good" / "000.png")
    assert main(["inspect", image, "--checkpoint", "tox"]) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("ltad inspect: There is no checkpoint “tox”")
    assert captured.err.count("\n") == 1 and "toy" in captured.err
    assert main(["inspect", image, "--checkpoint", "toy", "--class-name", "dot"]) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("ltad inspect: toy does not know the class “dot”")
    assert captured.err.count("\n") == 1


# splits and train


def test_a_split_is_written_read_and_trained_on(dots: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    split, output = tmp_path / "split.jsonl", tmp_path / "made"
    assert main(["splits", "--data", str(dots), "--imbalance", "exp2", "--output", str(split), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {
        "counts": {"dots": 4}, "tail": [], "total": 4, "imbalance_factor": 1.0, "output": str(split),
    }  # fmt: skip
    rows = lines(split.read_text(encoding="utf-8"))
    assert len(rows) == 4 and rows[0].keys() == {"filename", "label", "label_name", "clsname"}
    split.write_text("".join(json.dumps(row) + "\n" for row in rows[:3]))
    chosen = read_split(split, folder_dataset(dots))
    assert chosen.train_counts == {"dots": 3}

    steps = ["phase1.steps=1", "phase2.steps=1", "calibration.phase2_steps=1"]
    settings = [*steps, "reconstruction.dim=32", "views.wanted=0"]
    arguments = ["train", "--data", str(dots), "--imbalance", str(split), "--output", str(output), "--json"]
    harmless = ["--harmless", "none", "shift=2", "dots:shift=0"]
    assert main([*arguments, *(f"--set={s}" for s in settings), *harmless]) == 0
    said = capsys.readouterr()
    table, told = json.loads(said.out), lines(said.err)
    assert [row["stage"] for row in told if row["loss"]][-2:] == ["phase1", "phase2"] and told[-1][
        "stage"
    ] == "evaluate"
    assert table == json.loads((output / "metrics.json").read_text(encoding="utf-8"))
    card = read_card(output)
    assert (card.classes[0].n_train, card.data.split_hash) == (3, split_hash(chosen))
    assert (card.config.phase1.steps, card.config.reconstruction.dim) == (1, 32)
    assert card.config.harmless == replace(HarmlessConfig.none(), shift=2.0, without=("dots:shift",))
    assert not card.config.harmless.of_class("dots").is_any and card.config.harmless.of_class("caps").is_any
    assert table["classes"]["dots"]["n_train"] == 3
    names = ["README.md", "config.json", "metrics.json", "model.safetensors"]
    assert sorted(path.name for path in output.iterdir()) == names


def test_a_split_for_people(toy_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    split = tmp_path / "split.jsonl"
    arguments = ["splits", "--data", str(toy_folder), "--imbalance", "exp4-reverse", "--output", str(split)]
    assert main(arguments) == 0  # stripes has 1 image only, and so have the others then
    assert capsys.readouterr().out.splitlines()[-1] == "total    3  3 head, 0 tail, imbalance factor 1.0"
    assert main([*arguments[:3], "--output", str(split)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "checker   8  head  " + "█" * 40,
        "dots      4  head  " + "█" * 20,
        "stripes   1  tail  " + "█" * 5,
        "total    13  2 head, 1 tail, imbalance factor 8.0",
    ]
    assert len(lines(split.read_text(encoding="utf-8"))) == 13


def test_a_split_of_another_layout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, split = tmp_path / "DAGM", tmp_path / "split.txt"
    for name in ("0001", "0002", "0003"):
        (root / "Class1" / "Train" / "Label").mkdir(parents=True, exist_ok=True)
        Image.new("L", (40, 24)).save(root / "Class1" / "Train" / f"{name}.PNG")
    split.write_text("DAGM/Class1/Train/0003.PNG\n")
    again = tmp_path / "again.jsonl"
    arguments = ["splits", "--data", str(root), "--imbalance", str(split), "--output", str(again), "--json"]
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["counts"] == {"Class1": 1}
    assert [row["filename"] for row in lines(again.read_text(encoding="utf-8"))] == ["Class1/Train/0003.PNG"]


def test_several_folders_are_one_data_set(
    toy_folder: Path, toy_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders, split = [str(toy_folder / name) for name in ("checker", "stripes")], tmp_path / "split.jsonl"
    assert main(["splits", "--data", *folders, "--imbalance", "step4", "--output", str(split), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["counts"] == {"checker": 8, "stripes": 1}
    again = ["splits", "--data", folders[1], "--data", folders[0], "--imbalance", str(split), "--json"]
    assert main([*again, "--output", str(tmp_path / "again")]) == 0  # in parts, and in another order
    assert (tmp_path / "again").read_text() == split.read_text()
    assert main(["evaluate", "--data", *folders, "--checkpoint", str(toy_checkpoint), "--json"]) == 0
    table = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert table["data"] == "checker + stripes" and table["classes"].keys() == {"checker", "stripes"}
    assert main(["splits", "--data", *folders, str(toy_folder), "--output", str(split)]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"ltad splits: “{folders[0]}” and “{toy_folder}” both have a class “checker”: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--imbalance", "exp0"], "imbalance must be none, expN or stepN"),
        (["--set", "phase1.stepz=3"], "cannot set “phase1.stepz=3”: expected KEY=VALUE with KEY one of .*phase1.steps"),
        (["--set", "phase1.steps=many"], "phase1.steps must be of type int, got 'many'"),
        (["--harmless", "shove=3"], "“shove=3” is no harmless change: give none, KEY=STRENGTH or CLASS:KEY=0"),
        (["--harmless", "shift"], "“shift” is no harmless change"),
        (["--harmless", "shift=far"], "“shift=far”: far is no number"),
        (["--harmless", "shift=99"], "harmless.shift must be 0 to 32"),
        (["--harmless", "dots:jpeg=50"], "for one class a change can only be left out, with dots:jpeg=100"),
        (["--foundation", "clip"], "There is no foundation model “clip”"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_made(
    arguments: list[str], sentence: str, dots: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "--data", str(dots), "--output", str(tmp_path / "made"), *arguments]) == 1
    error = capsys.readouterr().err
    assert error.startswith("ltad train: ") and error.count("\n") == 1
    assert re.search(sentence, error)
    assert list(tmp_path.iterdir()) == []


OUTPUTS = [  # every place where a command writes, and whether it is a folder
    (command, flag, kind)
    for command in COMMANDS
    for flag, kind in re.findall(r"(--(?:output|report|features)) (DIR|FILE)", usage_of(command))
]


@pytest.mark.parametrize(("command", "flag", "kind"), OUTPUTS)
def test_what_cannot_be_written_is_refused_before_any_work(
    command: str,
    flag: str,
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    needed = {"train": "--data demo", "evaluate": "--data demo --checkpoint x", "splits": "--data demo"}
    needed |= {
        "pull": "owner/name",
        "inspect": "x.png --checkpoint x",
        "adapt": "--images x --checkpoint x --class-name x",
    }
    rest = [] if flag == "--output" or command == "evaluate" else ["--output", "new"]
    taken = tmp_path / "taken"
    taken.touch() if kind == "DIR" else taken.mkdir()
    for wrong, said in (
        (taken, "is there and is no"),
        (tmp_path / "a.txt" / "x", "cannot be written: Not a directory"),
    ):
        (tmp_path / "a.txt").touch()
        assert main([command, *needed[command].split(), *rest, flag, str(wrong)]) == 1
        error = capsys.readouterr().err
        assert error.startswith(f"ltad {command}: “{wrong}” {said}") and error.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "taken"]


def test_the_outputs_of_all_commands_are_looked_at() -> None:
    assert {(command, flag) for command, flag, _ in OUTPUTS} == {
        ("train", "--output"), ("train", "--features"), ("evaluate", "--output"), ("inspect", "--output"),
        ("adapt", "--output"), ("adapt", "--report"), ("adapt", "--features"), ("splits", "--output"),
        ("pull", "--output"),
    }  # fmt: skip


def test_a_finished_checkpoint_is_not_replaced(
    dots: Path, tiny_checkpoint: Checkpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = shutil.copytree(tiny_checkpoint.card.path, tmp_path / "tiny")
    before = {path.name: path.read_bytes() for path in output.iterdir()}
    for more, said in (
        ([], "give another --output, or remove it; --resume makes it once more"),
        (["--resume"], "of other"),
    ):
        assert main(["train", "--data", str(dots), "--output", str(output), *more]) == 1
        *before_it, error = capsys.readouterr().err.splitlines()
        assert error.startswith(f"ltad train: “{output}” holds a finished checkpoint") and said in error
        assert len(before_it) == bool(more) and "encode" not in "".join(before_it)  # they were looked at, for all that
    assert {path.name: path.read_bytes() for path in output.iterdir()} == before


# evaluate and checkpoints


def test_evaluate_prints_and_writes_json(
    toy_checkpoint: Path, dots: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", "--data", str(dots), "--checkpoint", str(toy_checkpoint), "--class-name", "auto"]
    output = tmp_path / "new" / "folder" / "table.json"
    assert main([*arguments, "--json", "--output", str(output)]) == 0
    said = capsys.readouterr()
    table = json.loads(said.out)
    assert table["classes"].keys() == {"dots"} and table["class_name"] == "auto"
    assert table == json.loads(output.read_text(encoding="utf-8"))
    told = lines(said.err)
    assert {row["stage"] for row in told} == {"evaluate"} and told[-1]["step"] == told[-1]["steps"] == 6


def test_evaluate_shows_changed_images_and_strangers_where_it_is_asked(
    toy_checkpoint: Path, toy_folder: Path, dots: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign = tmp_path / "foreign"
    for name in ("bolts", "nuts"):
        shutil.copytree(dots, foreign / name)
    arguments = ["evaluate", "--data", str(dots), "--checkpoint", str(toy_checkpoint)]
    assert main([*arguments, "--output", str(tmp_path / "plain.json")]) == 0
    plain = capsys.readouterr().out
    more = ["--harmless", "--strangers", str(foreign / "nuts"), str(foreign / "bolts")]
    assert main([*arguments, *more, "--output", str(tmp_path / "table.json")]) == 0
    told = capsys.readouterr().out
    table, before = (json.loads((tmp_path / name).read_text()) for name in ("table.json", "plain.json"))
    assert before["strangers"] is before["mean"]["all"]["harmless"] is before["classes"]["dots"]["harmless"] is None
    assert before["mean"]["all"]["found"] == table["mean"]["all"]["found"] is not None
    assert table["mean"]["tail"]["harmless"]["found"] is None and table["mean"]["head"]["harmless"]["found"] is not None
    assert table["strangers"]["classes"] == {name: {"n": 3, "taken": 1.0} for name in ("bolts", "nuts")}
    assert "harmlessly changed" in told and "strangers taken for known: 100.0 %" in told
    assert "harmlessly" not in plain and "strangers" not in plain and "false alarms" in plain
    assert main([*arguments, "--strangers", str(toy_folder)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("ltad evaluate: toy has no good test images of a class") and error.count("\n") == 1


def test_a_missing_folder_is_one_sentence(
    toy_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "--data", str(tmp_path / "absent"), "--checkpoint", str(toy_checkpoint)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("ltad evaluate: There is no folder") and error.count("\n") == 1


def test_checkpoints_are_listed(toy_checkpoint: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(toy_checkpoint, here / "checkpoints" / "my-toy")
    assert main(["checkpoints", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    mine = rows["my-toy"]
    assert mine["sha256"] == read_card(toy_checkpoint).sha256() and mine["imbalance"] == "none"
    assert [c["name"] for c in mine["classes"]] == ["checker", "dots", "stripes"]
    assert mine["mean"]["all"]["image_auroc"] >= 0.9
    older = read_card(toy_checkpoint).metrics
    assert older
    for key in ("false_alarms", "found"):
        del older["mean"]["all"][key]
    shutil.copytree(toy_checkpoint, here / "checkpoints" / "older")
    (here / "checkpoints" / "older" / "metrics.json").write_text(json.dumps(older))
    assert main(["checkpoints"]) == 0
    told = capsys.readouterr().out.splitlines()
    at = told.index("my-toy: toy, none, 3 classes on align-mini, detail 1")
    all_ = mine["mean"]["all"]
    assert f"; false alarms {100 * all_['false_alarms']:.1f}, found {100 * all_['found']:.1f}; " in told[at + 1]
    at = told.index("older: toy, none, 3 classes on align-mini, detail 1")
    assert f"image AUROC all {100 * all_['image_auroc']:.1f}" in told[at + 1]
    assert "; false alarms n/a, found n/a; " in told[at + 1]


# Usage


@pytest.mark.parametrize(
    "arguments", [[], ["destroy"], ["inspect"], ["train", "--data", "demo"], ["evaluate", "--class-name", "dots"]]
)
def test_wrong_usage_ends_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith("usage: ltad")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    told = capsys.readouterr().out
    assert "--json" in told and COMMANDS[command] in told.replace("\n", " ")


@pytest.mark.parametrize("debug", [False, True])
def test_only_debug_shows_the_traceback(debug: bool, tmp_path: Path) -> None:
    words = ["splits", "--data", str(tmp_path / "absent"), "--output", str(tmp_path / "split")]
    command = [sys.executable, "-m", "ltad", *words, *(["--debug"] if debug else [])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and "There is no folder" in done.stderr
    assert ("Traceback (most recent call last)" in done.stderr) == debug
    assert debug or (done.stderr.startswith("ltad splits: ") and done.stderr.count("\n") == 1)


def test_the_package_can_be_run() -> None:
    done = subprocess.run([sys.executable, "-m", "ltad", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(command in done.stdout for command in COMMANDS)
