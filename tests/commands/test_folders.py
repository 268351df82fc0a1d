"""A stranger's folder of good and bad photographs, through the commands that the README gives."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ltad.__main__ import main
from ltad.checkpoint.folder import read_card
from ltad.commands.progress import read
from ltad.photos.pile import Refusal
from tests.toys import blotch, save_picture, toy_picture

STEPS = ["phase1.steps=1", "phase2.steps=1", "calibration.phase2_steps=1", "reconstruction.dim=32", "views.wanted=0"]
QUICK = [*(f"--set={step}" for step in STEPS), "--harmless", "none"]


def parts(root: Path, class_name: str = "dots", good: int = 10, bad: int = 3) -> Path:
    """OK and NG, and the masks of all defects but one."""
    generator = np.random.default_rng(0)
    for i in range(good):
        save_picture(toy_picture(class_name, generator), root / "OK" / f"{i}.png")
    for i in range(bad):
        picture, mask = toy_picture(class_name, generator), blotch(generator)
        picture[mask] = 10
        save_picture(picture, root / "NG" / f"{i}.png")
        if i:
            save_picture(mask * 255.0, root / "ground_truth" / "NG" / f"{i}_mask.png")
    return root


def spoil(root: Path) -> list[Path]:
    """Damage some files, add others that are of no use, and return them."""
    (root / "OK" / "x.jpg").write_text("no picture")
    cut = root / "NG" / "cut.png"
    cut.write_bytes((root / "NG" / "0.png").read_bytes()[:500])
    Image.new("L", (16, 16)).save(root / "ground_truth" / "NG" / "1_mask.png")
    shutil.copy(root / "ground_truth" / "NG" / "2_mask.png", root / "ground_truth" / "NG" / "9_mask.png")
    names = ("OK/x.jpg", "NG/cut.png", "ground_truth/NG/1_mask.png", "ground_truth/NG/9_mask.png")
    return [root / name for name in names]


def named(text: str) -> list[Path]:
    """The files that are named at the beginning of a line."""
    return [Path(path) for path in re.findall(r"^ *“(.*?)”(?:: | is left out)", text, flags=re.M)]


def left_out(text: str) -> list[Path]:
    """The files that are named as left out among the lines for programs."""
    lines = (read(line) for line in text.splitlines())
    return [Path(line.name) for line in lines if isinstance(line, Refusal)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A whole folder of OK and NG, and the checkpoint that the README's command makes of it."""
    root = parts(tmp_path_factory.mktemp("stranger") / "dots")
    output = root.parent / "mine"
    assert main(["train", "--data", str(root), "--imbalance", "exp100", "--output", str(output), *QUICK]) == 0
    return root, output


def test_the_commands_of_the_readme_take_it(trained: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    root, output = trained
    card = read_card(output)
    row = card.metrics["classes"]["dots"]
    assert (row["n_train"], row["n_normal"], row["n_anomalous"], row["n_unmarked"]) == (8, 2, 3, 1)
    assert row["image_auroc"] is not None and row["pixel_auroc"] is not None and card.data.broken == ()
    assert "without a mask, in no pixel figure: 1 of dots." in (output / "README.md").read_text()
    for words in (["--data", str(root)], ["--normal", str(root / "OK"), "--abnormal", str(root / "NG")]):
        again = ["evaluate", *words, "--checkpoint", str(output), "--class-name", "auto", "--json"]
        assert main(again) == 0
        said = capsys.readouterr()
        table = json.loads(said.out)
        assert table["broken"] == [] and table["classes"]["dots"]["image_auroc"] == row["image_auroc"]
        assert "2 of the 10 of dots" in said.err.splitlines()[0] and not left_out(said.err)
    # Given under another name, the photographs are those of a class that the checkpoint knows.
    other = ["--normal", str(root / "OK"), "--masks", str(root / "ground_truth"), "--abnormal", str(root / "NG")]
    assert main(["evaluate", *other, "--class-name", "dots", "--checkpoint", str(output), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["classes"]["dots"]["pixel_auroc"] == pytest.approx(row["pixel_auroc"])
    assert main(["evaluate", *other, "--class-name", "bolt", "--checkpoint", str(output)]) == 1
    assert "knows none of the classes" in capsys.readouterr().err


def test_nothing_is_encoded_where_something_is_wrong_unless_it_is_to_be_skipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, output = parts(tmp_path / "dots"), tmp_path / "made"
    broken = spoil(root)
    arguments = ["train", "--data", str(root), "--output", str(output), *QUICK]
    assert main(arguments) == 1
    said = capsys.readouterr().err
    assert sorted(named(said)) == sorted(broken) and said.endswith("go on without it with “--skip-broken”.\n")
    assert not output.exists()
    assert main([*arguments, "--skip-broken", "--json"]) == 0
    said = capsys.readouterr()
    assert sorted(left_out(said.err)) == sorted(broken)
    table, card = json.loads(said.out), read_card(output)
    names = {"OK/x.jpg", "NG/cut.png", "mask of NG/1.png", "ground_truth/NG/9_mask.png"}
    assert {each["name"] for each in table["broken"]} == set(card.data.broken) == names
    assert table["classes"]["dots"]["n_unmarked"] == 2
    assert all(name in (output / "README.md").read_text() for name in names)
    assert str(tmp_path) not in json.dumps(table["broken"])  # what is published tells nothing of its owner's disk


def test_a_folder_of_nothing_readable_is_refused_even_then(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = parts(tmp_path / "dots", good=3)
    for file in (root / "OK").iterdir():
        file.write_text("no picture")
    arguments = ["train", "--data", str(root), "--output", str(tmp_path / "made"), "--skip-broken", *QUICK]
    assert main(arguments) == 1
    assert "No photograph of this class is left" in capsys.readouterr().err and not (tmp_path / "made").exists()


def test_one_bad_picture_never_costs_an_evaluation(
    trained: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, output = shutil.copytree(trained[0], tmp_path / "dots"), trained[1]
    spoil(root)
    (root / "OK" / "x.jpg").unlink()  # or another one would be held out
    arguments = ["evaluate", "--data", str(root), "--checkpoint", str(output), "--output", str(tmp_path / "table.json")]
    for more, status in ([], 1), (["--skip-broken"], 0):
        assert main([*arguments, *more]) == status
        said = capsys.readouterr()
        expected = ["NG/cut.png", "ground_truth/NG/1_mask.png", "ground_truth/NG/9_mask.png"]
        assert sorted(named(said.err)) == sorted(root / name for name in expected)
        assert "left out, 3 files that cannot be used: " in said.out
        row = json.loads((tmp_path / "table.json").read_text())["classes"]["dots"]
        assert (row["n_normal"], row["n_anomalous"], row["n_unmarked"]) == (2, 3, 2)
        assert row["image_auroc"] == read_card(output).metrics["classes"]["dots"]["image_auroc"]


def test_inspecting_a_folder_passes_over_what_is_no_photograph_and_its_own_results(
    trained: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "photographs"
    shutil.copytree(trained[0] / "NG", folder)
    shutil.copytree(trained[0] / "NG", folder / ".ipynb_checkpoints")
    for name in ("Thumbs.db", "desktop.ini", "notes.txt", "list.csv"):
        (folder / name).write_text("no picture")
    for output, maps in ((folder / "results", 3), (folder, 3), (folder / "results", 6)):  # none is replaced
        assert main(["inspect", str(folder), "--checkpoint", str(trained[1]), "--output", str(output)]) == 0
        said = capsys.readouterr()
        rows = [json.loads(line) for line in said.out.splitlines()]
        assert [row["image"] for row in rows] == [str(folder / f"{i}.png") for i in range(3)]
        assert said.err == "" and len([*output.glob("*_map.png")]) == len([*output.glob("*_overlay.png")]) == maps
    (folder / "results" / "0_map.png").unlink()  # the other one of the pair is still a result
    assert main(["inspect", str(folder), "--checkpoint", str(trained[1])]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    # Whoever names a file gets an answer on it.
    assert main(["inspect", str(folder / "notes.txt"), "--checkpoint", str(trained[1])]) == 1
