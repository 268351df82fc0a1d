"""Folders as people have them, a table: what lies in a folder, and what is read from it."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ltad.data import Dataset
from ltad.data.held_out import SHARE
from ltad.data.parts import DEFECTIVE_NAMES, GOOD_NAMES
from ltad.data.sources import list_dataset, open_dataset
from ltad.errors import DatasetError
from ltad.photos.masks import LOSSY_LIMIT


def lay(root: Path, *names: str) -> Path:
    """A folder of pictures of these names; “0-3.png” stands for four of them, one that ends in “/” for a folder."""
    for name in names:
        first, last = (Path(name).stem.split("-") * 2)[:2] if name[-1] != "/" else ("0", "-1")
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            (root / name).mkdir(parents=True, exist_ok=True)
        ending = "_mask" if last.endswith("_mask") else ""
        for number in range(int(first.removesuffix("_mask")), int(last.removesuffix("_mask")) + 1):
            colour = "white" if ending or "ground" in name or "ask" in name else "grey"
            Image.new("RGB", (24, 16), colour).save((root / name).with_name(f"{number}{ending}{Path(name).suffix}"))
    return root


def read(dataset: Dataset) -> dict[str, str]:
    """Of each class how many are to learn from, and how many of each kind to test with; * where all are marked."""
    found = {}
    for name in sorted({sample.class_name for sample in (*dataset.train, *dataset.test)}):
        own = [sample for sample in dataset.test if sample.class_name == name]
        kinds = dict.fromkeys(sample.defect for sample in own)
        parts = [str(dataset.train_counts.get(name, 0))]
        for kind in kinds:
            marks = [sample.read_mask is not None for sample in own if sample.defect == kind]
            parts.append(f"{len(marks)} {kind}{'*' if all(marks) else '+' if any(marks) else ''}")
        found[name] = ", ".join(parts)
    return found


FOLDERS = {  # what lies in a folder called “parts”, and what is read: + where some are marked, * where all are
    "OK and NG": (["OK/0-9.png", "NG/0-2.png"], {"parts": "8, 2 good, 3 defective"}),
    "other letters": (["Ok/0-9.png", "nG/0-2.png"], {"parts": "8, 2 good, 3 defective"}),
    "good and bad": (["good/0-4.jpg", "bad/0-1.bmp"], {"parts": "4, 1 good, 2 defective"}),
    "normal and abnormal": (["Normal/0-4.png", "Abnormal/0-1.png"], {"parts": "4, 1 good, 2 defective"}),
    "two names of one kind": (
        ["OK/0-4.png", "good/5-9.png", "NG/0.png", "bad/0.png"],
        {"parts": "8, 2 good, 2 defective"},
    ),
    "several classes": (
        ["nut/OK/0-4.png", "nut/NG/0.png", "bolt/ok/0-9.png", "bolt/ng/0-1.png"],
        {"bolt": "8, 2 good, 2 defective", "nut": "4, 1 good, 1 defective"},
    ),
    "good ones alone": (["0-9.png"], {"parts": "8, 2 good"}),
    "OK alone": (["OK/0-9.png"], {"parts": "8, 2 good"}),
    "one": (["0.png"], {"parts": "1"}),
    "four": (["0-3.png"], {"parts": "4"}),
    "five": (["0-4.png"], {"parts": "4, 1 good"}),
    "four and defects": (["good/0-3.png", "crack/0.png"], {"parts": "4, 1 crack"}),
    "kinds of defects": (["good/0-4.png", "crack/0-1.png", "dent/0.png"], {"parts": "4, 1 good, 2 crack, 1 dent"}),
    "kinds in NG": (
        ["OK/0-4.png", "NG/crack/0.png", "NG/dent/0-1.png", "NG/7.png"],
        {"parts": "4, 1 good, 1 defective, 1 crack, 2 dent"},
    ),
    "OK in NG": (["OK/0-4.png", "NG/OK/0.png", "NG/bad/0.png"], {"parts": "4, 1 good, 2 defective"}),
    "masks of kinds": (
        ["good/0-4.png", "crack/0-1.png", "dent/0.png", "ground_truth/crack/0-1_mask.png", "ground_truth/dent/0.png"],
        {"parts": "4, 1 good, 2 crack*, 1 dent*"},
    ),
    "masks of some": (["good/0-4.png", "crack/0-1.png", "ground_truth/crack/1.png"], {"parts": "4, 1 good, 2 crack+"}),
    "masks of several classes": (
        [f"{name}/{rest}" for name in "ab" for rest in ("good/0-4.png", "crack/0.png", "Ground_Truth/crack/0.png")],
        {"a": "4, 1 good, 1 crack*", "b": "4, 1 good, 1 crack*"},
    ),
    "masks by another name": (["OK/0-4.png", "NG/0.png", "masks/ng/0_mask.png"], {"parts": "4, 1 good, 1 defective*"}),
    "masks all together": (["OK/0-4.png", "NG/8.png", "masks/8.png"], {"parts": "4, 1 good, 1 defective*"}),
    "masks together, names of both": (["OK/0-4.png", "NG/0.png", "masks/0.png"], {"parts": "4, 1 good, 1 defective*"}),
    "masks beside": (["OK/0-4.png", "NG/8.png", "NG/8_mask.png"], {"parts": "4, 1 good, 1 defective*"}),
    "masks of good ones": (
        ["OK/0-4.png", "NG/8.png", "masks/OK/0-4.png", "masks/NG/8.png"],
        {"parts": "4, 1 good, 1 defective*"},
    ),
    "folders by day": (["OK/monday/0-4.png", "OK/tuesday/0-4.png", "NG/0.png"], {"parts": "8, 2 good, 1 defective"}),
    "as MVTec AD": (["train/good/0-9.png", "test/good/0.png", "test/dent/0.png"], {"parts": "10, 1 dent, 1 good"}),
    "as MVTec AD, nothing good to test": (["train/good/0-9.png", "test/dent/0.png"], {"parts": "10, 1 dent"}),
    "as MVTec AD, by other names": (
        ["Train/OK/0-9.png", "Test/OK/0.png", "Test/NG/0.png"],
        {"parts": "10, 1 defective, 1 good"},
    ),
    "defects among those to learn": (
        ["train/OK/0-4.png", "train/NG/0.png", "test/OK/0.png"],
        {"parts": "5, 1 defective, 1 good"},
    ),
    "both layouts": (["a/train/good/0-4.png", "b/OK/0-4.png"], {"a": "5", "b": "4, 1 good"}),
    "clutter": (
        ["OK/0-4.png", "OK/.ipynb_checkpoints/0-4.png", ".hidden/OK/0.png", "__MACOSX/OK/0.png", "NG/.trash/0.png"],
        {"parts": "4, 1 good"},
    ),
    "an empty folder": (["OK/0-4.png", "NG/"], {"parts": "4, 1 good"}),
    "an empty folder beside classes": (["a/OK/0-4.png", "notes/"], {"a": "4, 1 good"}),
}  # fmt: skip


@pytest.mark.parametrize("kind", FOLDERS)
def test_a_folder_is_read_as_it_is_meant(kind: str, tmp_path: Path) -> None:
    names, expected = FOLDERS[kind]
    dataset = open_dataset(str(lay(tmp_path / "parts", *names)))
    assert (dataset.name, read(dataset)) == ("parts", expected)
    samples = (*dataset.train, *dataset.test)
    assert len({sample.name for sample in samples}) == len(samples)
    assert all((tmp_path / "parts" / sample.name).is_file() and sample.read().size == (24, 16) for sample in samples)
    assert all(sample.read_mask().all() for sample in samples if sample.read_mask)


FAULTS = {  # what lies in “parts”, and every file or folder that cannot be used, with a word of the reason
    "a class without good ones": (["a/OK/0.png", "b/OK/"], {"b": "no good photographs"}),
    "an empty train/good": (["a/train/good/0.png", "b/train/good/"], {"b": "no good photographs"}),
    "a class that is none": (["a/OK/0.png", "b/0-3.png", "c/NG/0.png"], {"b": "not as a class", "c": "not as a class"}),
    "others beside good ones": (["0-4.png", "more/0.png"], {"more": "lies beside good photographs"}),
    "some beside OK": (["OK/0.png", "7.png"], {"parts": "directly in it"}),
    "some beside test/good": (["train/good/0.png", "test/0.png"], {"test": "directly in it"}),
    "lone masks": (
        ["good/0.png", "crack/0.png", "ground_truth/crack/0-1.png", "ground_truth/dent/0.png"],
        {"ground_truth/crack/1.png": "“crack/1.png” has no image", "ground_truth/dent/0.png": "has no image"},
    ),
    "a mask of NG": (["OK/0.png", "NG/0.png", "masks/NG/1.png"], {"masks/NG/1.png": "“NG/1.png” has no image"}),
    "two masks": (
        ["OK/0.png", "NG/0.png", "masks/NG/0.png", "masks/NG/0_mask.png"],
        {"masks/NG/0_mask.png": "both masks"},
    ),
    "one mask of two": (
        ["OK/0.png", "NG/0.png", "NG/0.bmp", "gt/NG/0.png"],
        {"gt/NG/0.png": "“NG/0.bmp” and “NG/0.png” share"},
    ),
    "a mask of a good one": (["OK/0-1.png", "OK/0_mask.png"], {"OK/0_mask.png": "good photographs have none"}),
}  # fmt: skip


@pytest.mark.parametrize("kind", FAULTS)
def test_all_that_cannot_be_used_is_named_with_its_path(kind: str, tmp_path: Path) -> None:
    names, expected = FAULTS[kind]
    root = lay(tmp_path / "parts", *names)
    faults = {fault.name: fault for fault in list_dataset(str(root)).faults}
    assert faults.keys() == expected.keys()
    with pytest.raises(DatasetError) as refused:
        open_dataset(str(root))
    for name, word in expected.items():
        assert word in faults[name].reason
        assert faults[name].path == (root if name == "parts" else root / name)
        assert f"“{faults[name].path}”: {faults[name].reason}" in str(refused.value)


@pytest.mark.parametrize("names", [["bolt/0.png", "nut/0.png"], ["NG/0.png"], ["bolt/deep/OK/0.png"], ["a.txt/"], []])
def test_a_folder_that_may_mean_anything_is_refused_with_what_was_looked_for(names: list[str], tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"none of the layouts .*\(OK, NG or CLASS/OK, CLASS/NG\).* “--normal”"):
        open_dataset(str(lay(tmp_path, *names)))


def spelled(names: Iterable[str]) -> st.SearchStrategy[str]:
    """These names in any letters."""
    one = st.sampled_from(sorted(names))
    return one.flatmap(lambda name: st.tuples(*(st.sampled_from([c, c.upper()]) for c in name)).map("".join))


WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=["C"], exclude_characters="/\\"), min_size=1, max_size=20
)
KINDS = WORDS.filter(
    lambda name: (
        not name.startswith(".")
        and name.lower() not in GOOD_NAMES | DEFECTIVE_NAMES
        and name.lower() not in ("train", "test", "ground_truth", "groundtruth", "gt", "mask", "masks", "@eadir")
        and name.lower() not in ("thumbs.db", "ehthumbs.db", "desktop.ini")
        and Path(name).suffix.lower() not in (".png", ".jpg", ".zip")
    )
)


@given(good=spelled(GOOD_NAMES), bad=spelled(DEFECTIVE_NAMES), kind=KINDS, class_name=KINDS)
def test_names_of_folders(
    good: str, bad: str, kind: str, class_name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Every spelling of what stands for good and bad, and any other name as that of a kind or of a class."""
    root = tmp_path_factory.mktemp("names")
    lay(root, f"{class_name}/{good}/0.png", f"{class_name}/{bad}/0.png", f"{class_name}/{kind}/0.png")
    dataset = open_dataset(str(root))
    assert dataset.class_names == (class_name,) and len(dataset.train) == 1
    assert {sample.defect for sample in dataset.test} == {"defective", kind}
    assert open_dataset(str(root / class_name)).class_names == (class_name,)


def test_a_class_is_called_as_its_link_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("line1", "line2"):
        lay(tmp_path / place / "good_ones", "OK/0-4.png")
    parts = tmp_path / "parts"
    parts.mkdir()
    for name, place in (("bolt", "line1"), ("nut", "line2")):
        (parts / name).symlink_to(tmp_path / place / "good_ones")
    assert read(open_dataset(str(parts))) == {"bolt": "4, 1 good", "nut": "4, 1 good"}
    # Where the root itself is the class, too; and “.” is what it stands for.
    assert read(open_dataset(str(parts / "bolt"), str(parts / "nut"))).keys() == {"bolt", "nut"}
    monkeypatch.chdir(tmp_path / "line1" / "good_ones" / "OK")
    for root, name in ((".", "OK"), ("..", "good_ones"), ("../.", "good_ones"), ("../OK/..", "good_ones")):
        dataset = open_dataset(root)
        assert (dataset.name, dataset.class_names) == (name, (name,)), root
    assert open_dataset("../..").class_names == ("good_ones",)


def test_a_link_that_leads_up_or_nowhere_ends_nothing(tmp_path: Path) -> None:
    lay(tmp_path, "OK/0-4.png", "NG/0.png", "../more/5-9.png")
    (tmp_path / "OK" / "up").symlink_to(tmp_path)
    (tmp_path / "OK" / "more").symlink_to(tmp_path.parent / "more")
    (tmp_path / "OK" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    dataset = open_dataset(str(tmp_path))
    good = [sample for sample in (*dataset.train, *dataset.test) if sample.defect == "good"]
    assert len(good) == 11 and "OK/gone.png" in {sample.name for sample in good}


def test_what_is_held_out_is_said_in_one_sentence(tmp_path: Path) -> None:
    several = lay(tmp_path, "bolt/OK/0-9.png", "nut/OK/0-3.png", "pin/OK/0-6.png")
    (note,) = open_dataset(str(several)).notes
    assert note == (
        "Held out for testing, one in 5 good photographs, chosen by their names: 2 of the 10 of bolt, 1 of the 7 of "
        "pin; none of nut, of which there are fewer than 5."
    )
    (note,) = open_dataset(str(several / "nut")).notes
    assert note == "No good photographs are held out for testing: nut would need 5."
    both = open_dataset(str(several / "nut"), str(several / "bolt"))
    assert len(both.notes) == 2
    assert not open_dataset(str(lay(tmp_path / "mvtec", "train/good/0-9.png"))).notes


def test_results_of_an_inspection_are_not_learned_from(tmp_path: Path) -> None:
    lay(tmp_path, "OK/0-4.png", "OK/results/")
    for name in ("0_map.png", "0_overlay.png"):
        Image.new("RGB", (24, 16)).save(tmp_path / "OK" / "results" / name)
    assert read(open_dataset(str(tmp_path))) == {tmp_path.name: "4, 1 good"}


PAGE = (Path(__file__).parents[2] / "docs" / "folders.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (`.*`) \| (.*) \|$", PAGE, flags=re.M)


@pytest.mark.parametrize(("inside", "said"), ROWS)
def test_the_page_on_folders_says_what_is_read(inside: str, said: str, tmp_path: Path) -> None:
    dataset = open_dataset(str(lay(tmp_path / "parts", *re.findall(r"`(.*?)`", inside))))
    found = [f"{name}: {parts.replace(', ', '; ', 1)}" for name, parts in read(dataset).items()]
    assert "; ".join(found).replace("*", " (masks)").replace("+", " (some masks)") == said


def test_the_page_on_folders_names_the_choices_that_were_made() -> None:
    words = {word.lower() for word in re.findall(r"`(\w+)`", PAGE.partition("| in the folder")[0])}
    assert words >= GOOD_NAMES and len(words & DEFECTIVE_NAMES) >= 6 and len(ROWS) > 10
    assert SHARE == 5 and "one in five is, rounded down" in PAGE
    assert f"every value over {LOSSY_LIMIT} of 255" in PAGE
