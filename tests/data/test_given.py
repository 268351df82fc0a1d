"""One class whose folders are given apart, as a person types them."""

import json
from pathlib import Path

import pytest

from ltad.__main__ import main
from ltad.data.given import given_dataset
from ltad.data.sources import open_dataset
from ltad.errors import DatasetError
from tests.data.test_layouts import lay, read


def test_three_folders_anywhere_are_one_class(tmp_path: Path) -> None:
    good, bad = lay(tmp_path / "a" / "bolt", "0-9.png"), lay(tmp_path / "b", "crack/0-1.png", "7.png")
    masks = lay(tmp_path / "c", "crack/0-1_mask.png")
    dataset = given_dataset(good, bad, masks, None)
    assert (dataset.name, read(dataset)) == ("bolt", {"bolt": "8, 2 good, 1 defective, 2 crack*"})
    assert {sample.name.partition("/")[0] for sample in (*dataset.train, *dataset.test)} == {"normal", "abnormal"}
    assert all(sample.read().size == (24, 16) for sample in (*dataset.train, *dataset.test))
    assert read(given_dataset(good, None, None, "nut")) == {"nut": "8, 2 good"}
    assert "2 of the 10 of bolt" in dataset.notes[0]


@pytest.mark.parametrize("names", [["0-2_mask.png"], ["0-2.png"], ["ng/0-2.png"], ["defect/0-2_mask.png"]])
def test_masks_lie_together_or_by_kind(names: list[str], tmp_path: Path) -> None:
    good, bad = lay(tmp_path / "bolt" / "OK", "0.png"), lay(tmp_path / "bolt" / "NG", "0-2.png")
    dataset = given_dataset(good, bad, lay(tmp_path / "masks", *names), None)
    assert read(dataset) == {"bolt": "1, 3 defective*"} and not dataset.faults


def test_the_same_are_held_out_as_from_one_folder(tmp_path: Path) -> None:
    """Or a checkpoint would be tested with what it learned."""
    root = lay(tmp_path / "bolt", "OK/0-19.png", "NG/0.png")
    paths = [
        {sample.file.path for sample in dataset.train if sample.file}
        for dataset in (open_dataset(str(root)), given_dataset(root / "OK", root / "NG", None, None))
    ]
    assert paths[0] == paths[1] and len(paths[0]) == 16


def test_defective_ones_among_the_good_are_not_learned_from(tmp_path: Path) -> None:
    root = lay(tmp_path / "bolt", "0-4.png", "spoilt/0.png", "NG/0.png", "masks/0.png", "monday/5-9.png")
    dataset = given_dataset(root, root / "spoilt", root / "masks", None)
    assert read(dataset) == {"bolt": "8, 2 good, 1 defective*"}
    (fault,) = dataset.faults
    assert fault[:2] == ("normal/NG", root / "NG") and "among good photographs" in fault.reason


def test_nothing_among_the_defective_ones_is_good(tmp_path: Path) -> None:
    good, bad = lay(tmp_path / "bolt", "0.png"), lay(tmp_path / "bad", "ok/0.png", "normal/0.png", "NG/dent/0.png")
    dataset = given_dataset(good, bad, lay(tmp_path / "masks", "ok/0.png"), None)
    assert read(dataset) == {"bolt": "1, 1 dent, 2 defective+"} and not dataset.faults


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    good = lay(tmp_path / "good", "0.png")
    with pytest.raises(DatasetError, match=r"There is no folder “.*absent”"):
        given_dataset(good, tmp_path / "absent", None, None)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match=r"empty” holds no photographs\. Give the folder of good ones\."):
        given_dataset(tmp_path / "empty", None, None, None)
    with pytest.raises(DatasetError, match=r"empty” holds no photographs\. Give the folder of defective ones\."):
        given_dataset(good, tmp_path / "empty", None, None)
    bad, masks = lay(tmp_path / "bad", "0.png"), lay(tmp_path / "masks", "1.png")
    with pytest.raises(DatasetError, match=r"masks/1\.png”: The mask “1\.png” has no image"):
        given_dataset(good, bad, masks, None).whole()


def test_a_split_of_given_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = lay(tmp_path / "good", "0-9.png"), lay(tmp_path / "bad", "0.png")
    words = ["--normal", str(good), "--abnormal", str(bad), "--class-name", "bolt"]
    assert main(["splits", *words, "--output", str(tmp_path / "split"), "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["counts"] == {"bolt": 8}
    assert said.err.startswith("ltad splits: Held out for testing") and said.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--data", "a", "--normal", "b"], "not allowed with argument"),
        ([], "one of the arguments --data --normal is required"),
        (["--data", "a", "--abnormal", "b"], "go with --normal"),
        (["--data", "a", "--class-name", "b"], "go with --normal"),
        (["--normal", "a", "--masks", "b"], "--masks goes with --abnormal"),
    ],
)
@pytest.mark.parametrize("command", ["splits", "train"])
def test_options_that_do_not_go_together(
    command: str, words: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, *words, "--output", str(tmp_path / "out")])
    assert end.value.code == 2 and sentence in capsys.readouterr().err


def test_a_class_of_one_name_in_two_folders_is_refused_by_both_paths(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = lay(tmp_path / "a" / "bolt", "OK/0.png"), lay(tmp_path / "b", "bolt/OK/0.png", "nut/OK/0.png")
    assert main(["splits", "--data", str(first), str(second), "--output", str(tmp_path / "split")]) == 1
    (said,) = [line for line in capsys.readouterr().err.splitlines() if "both have" in line]
    assert f"“{first}” and “{second}” both have a class “bolt”" in said
