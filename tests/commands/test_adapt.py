"""The command that teaches a class, in words and as lines for programs."""

import json
from pathlib import Path

import pytest

from ltad.__main__ import main
from ltad.checkpoint.folder import read_card
from tests.toys import ring_pile, rings


def test_the_command_says_in_words_what_it_leaves_out(
    toy_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "good"
    folder.mkdir()
    for name in ("0.png", "0_mask.png"):
        rings(0).save(folder / name)
    (folder / "broken.png").write_bytes(b"nothing")
    arguments = ["adapt", "--images", str(folder), "--checkpoint", str(toy_checkpoint), "--class-name", "rings"]
    assert main([*arguments, "--output", str(tmp_path / "new")]) == 1
    said = capsys.readouterr().err
    assert "“broken.png” is left out" in said and "1 images are too few" in said
    assert "“0_mask.png” is left out: It is the mask of “0.png”" in said


def test_the_command_adapts_and_names_what_it_leaves_out(
    toy_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "good"
    ring_pile(folder, 5)
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
    assert read_card(tmp_path / "new").data.broken == ("broken.png",)
    assert "Adapted from: toy" in (tmp_path / "new" / "README.md").read_text()


def test_what_was_left_out_is_listed_once_more_at_the_end_where_it_is_to_be_skipped(
    toy_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "good"
    ring_pile(folder, 4)
    (folder / "broken.png").write_bytes(b"nothing")
    (folder / "notes.txt").write_text("no picture")
    arguments = ["adapt", "--images", str(folder), "--checkpoint", str(toy_checkpoint), "--class-name", "rings"]
    arguments += ["--output", str(tmp_path / "new"), "--minutes", "0.01", "--skip-broken"]
    assert main(arguments) == 0
    said = capsys.readouterr().err
    assert said.count("“broken.png” is left out: This image is not an image") == 2 and "notes" not in said
    assert "- Left out, as it could not be used: broken.png.\n" in (tmp_path / "new" / "README.md").read_text()
