"""What a user may call a data set: one name or folder, or several that become one."""

from pathlib import Path

import pytest
from PIL import Image

from ltad.data import Dataset
from ltad.data.demo.scene import CLASSES
from ltad.data.longtail import long_tail, read_split, split_hash, write_split
from ltad.data.sources import open_dataset
from ltad.errors import DatasetError


def save(path: Path, colour: str = "red") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (24, 16), colour).save(path)


def parts(root: Path, *classes: str) -> str:
    """A data set of these classes, with four images to learn from, a good one and a dented one; its path."""
    for name in classes:
        for i in range(4):
            save(root / name / "train" / "good" / f"{i}.png")
        save(root / name / "test" / "good" / "0.png", "green")
        save(root / name / "test" / "dent" / "0.png", "blue")
    return str(root)


@pytest.fixture
def both(tmp_path: Path) -> tuple[str, str]:
    return parts(tmp_path / "nuts", "m4", "m6"), parts(tmp_path / "bolts", "hex")


def names(dataset: Dataset) -> list[str]:
    return [sample.name for sample in dataset.train]


def test_several_folders_are_one_data_set(both: tuple[str, str]) -> None:
    nuts, bolts = map(open_dataset, both)
    joined = open_dataset(*both)
    assert (joined.name, joined.licence) == ("nuts + bolts", "")
    assert joined.train_counts == {"hex": 4, "m4": 4, "m6": 4}
    assert names(joined) == [f"nuts/{name}" for name in names(nuts)] + [f"bolts/{name}" for name in names(bolts)]
    assert [(s.name, s.class_name, s.defect) for s in joined.test] == [
        ("nuts/m4/test/dent/0.png", "m4", "dent"),
        ("nuts/m4/test/good/0.png", "m4", "good"),
        ("nuts/m6/test/dent/0.png", "m6", "dent"),
        ("nuts/m6/test/good/0.png", "m6", "good"),
        ("bolts/hex/test/dent/0.png", "hex", "dent"),
        ("bolts/hex/test/good/0.png", "hex", "good"),
    ]
    assert joined.test[4].read().getpixel((0, 0)) == (0, 0, 255)
    assert (
        names(open_dataset(both[0]))
        == names(nuts)
        == [f"{c}/train/good/{i}.png" for c in ("m4", "m6") for i in range(4)]
    )


def test_images_of_one_name_stay_apart(tmp_path: Path) -> None:
    """Each folder is one class, and so has the same names inside."""
    folders = [parts(tmp_path / place, name) + f"/{name}" for place, name in (("a", "m4"), ("b", "hex"))]
    joined = open_dataset(*folders)
    assert names(joined) == [f"{name}/train/good/{i}.png" for name in ("m4", "hex") for i in range(4)]
    assert joined.train_counts == {"hex": 4, "m4": 4}


def test_folders_of_one_name_are_joined_where_their_images_have_others(tmp_path: Path) -> None:
    joined = open_dataset(parts(tmp_path / "line1" / "parts", "m4"), parts(tmp_path / "line2" / "parts", "m6"))
    assert joined.name == "parts + parts" and len(set(names(joined))) == 8


def test_what_is_rendered_or_installed_is_joined_too_with_every_licence_once(tmp_path: Path) -> None:
    joined = open_dataset("elpv", parts(tmp_path / "nuts", "m4"), "demo", parts(tmp_path / "bolts", "hex"))
    assert joined.name == "elpv + nuts + demo + bolts"
    assert set(joined.class_names) == {"solar_mono", "solar_poly", "m4", "hex", *CLASSES}
    licences = [
        "CC BY-NC-SA 4.0",
        "of nuts: not stated",
        "Apache-2.0, rendered by this project",
        "of bolts: not stated",
    ]
    assert joined.licence == "; ".join(licences)
    assert len({sample.name for sample in (*joined.train, *joined.test)}) == len(joined.train) + len(joined.test)


def test_a_class_in_two_of_them_is_refused(tmp_path: Path) -> None:
    first, second = parts(tmp_path / "a", "m4", "m6"), parts(tmp_path / "b", "hex", "m6")
    with pytest.raises(DatasetError) as refused:
        open_dataset(first, second)
    assert str(refused.value).startswith(f"“{first}” and “{second}” both have a class “m6”: ")
    assert str(refused.value).count(". ") == 0


@pytest.mark.parametrize("spelling", ["{}", "{}/", "{}/../nuts", "link"])
def test_one_folder_twice_is_refused_however_it_is_spelled(
    spelling: str, both: tuple[str, str], tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(both[0])
    again = str(tmp_path / "link") if spelling == "link" else spelling.format(both[0])
    with pytest.raises(DatasetError) as refused:
        open_dataset(*both, again)
    assert str(refused.value) == f"“{both[0]}” and “{again}” are one data set: give it once."
    with pytest.raises(DatasetError, match="“demo” and “demo” are one data set"):
        open_dataset("demo", both[0], "demo")


def test_an_image_that_two_of_them_call_the_same_is_refused(tmp_path: Path) -> None:
    folders = []
    for place, name in (("line1", "m4"), ("line2", "m6")):
        root = tmp_path / place / "VisA"
        (root / "split_csv").mkdir(parents=True)
        (root / "split_csv" / "1cls.csv").write_text(
            f"object,split,label,image,mask\n{name},train,normal,good/0.png,\n"
        )
        save(root / "good" / "0.png")
        folders.append(str(root))
    with pytest.raises(DatasetError, match=r"line1/VisA” and “.*line2/VisA” both have an image “VisA/good/0\.png”: "):
        open_dataset(*folders)


def test_one_of_them_that_is_missing_is_named(both: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=f"There is no folder “{tmp_path / 'absent'}”"):
        open_dataset(*both, str(tmp_path / "absent"))


def test_tails_and_split_files_of_the_whole(both: tuple[str, str], tmp_path: Path) -> None:
    joined = open_dataset(*both)
    tail = long_tail(joined, "exp4")
    assert tail.train_counts == {"hex": 4, "m4": 2, "m6": 1}
    assert split_hash(open_dataset(*reversed(both))) == split_hash(joined) != split_hash(tail)
    # A class keeps the images that it keeps alone.
    alone = long_tail(open_dataset(both[0]), "exp2")
    assert [f"nuts/{name}" for name in names(alone) if name.startswith("m6")] == [
        name for name in names(long_tail(joined, "exp2")) if name.startswith("nuts/m6")
    ]
    write_split(tail, tmp_path / "split.jsonl")
    again = read_split(tmp_path / "split.jsonl", joined)
    assert names(again) == names(tail) and split_hash(again) == split_hash(tail)


def test_a_list_whose_paths_begin_with_the_names_of_the_folders_is_read_for_one_and_for_all(
    both: tuple[str, str], tmp_path: Path
) -> None:
    listed = ["nuts/m4/train/good/2.png", "nuts/m6/train/good/0.png"]
    (tmp_path / "list").write_text("\n".join(listed))
    assert names(read_split(tmp_path / "list", open_dataset(*both))) == listed
    assert names(read_split(tmp_path / "list", open_dataset(both[0]))) == [
        name.removeprefix("nuts/") for name in listed
    ]
