"""VisA: a list beside the pictures says what is what."""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ltad.data.sources import open_dataset
from ltad.data.visa import LISTING, visa_dataset
from ltad.errors import DatasetError

WIDTH, HEIGHT = 40, 24
HEADER = ["object", "split", "label", "image", "mask"]
NORMAL = "candle/Data/Images/Normal/0001.JPG"
FLAWED = "candle/Data/Images/Anomaly/000.JPG"
MASK = "candle/Data/Masks/Anomaly/000.png"
ROWS = [  # in no order, as in the published list
    ["candle", "train", "normal", "candle/Data/Images/Normal/0002.JPG", ""],
    ["pcb1", "train", "normal", "pcb1/Data/Images/Normal/0000.JPG", ""],
    ["candle", "test", "anomaly", FLAWED, MASK],
    ["candle", "train", "normal", NORMAL, ""],
    ["candle", "test", "normal", "candle/Data/Images/Normal/0000.JPG", ""],
]
Lists = Callable[[Sequence[Sequence[str]]], None]


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path, quality=95)


def flaws() -> np.ndarray:
    """Two kinds of defect, numbered as VisA does, at places that no turn of the picture leaves alone."""
    labels = np.zeros((HEIGHT, WIDTH))
    labels[0:8, 8:24] = 1
    labels[16:24, 32:40] = 2
    return labels


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "VisA"
    for row in ROWS:
        save(root / row[3], np.full((HEIGHT, WIDTH, 3), 30))
    save(root / FLAWED, np.where(flaws()[..., None] > 0, 220, 30).repeat(3, axis=2))
    save(root / MASK, flaws())
    save(root / "pcb1/Data/Images/Normal/0009.JPG", np.zeros((HEIGHT, WIDTH, 3)))  # in no list
    return root


@pytest.fixture
def lists(root: Path) -> Lists:
    """Write the list: first the header, then the rows."""
    (root / LISTING).parent.mkdir()

    def write(rows: Sequence[Sequence[str]]) -> None:
        with (root / LISTING).open("w", newline="") as file:
            csv.writer(file).writerows(rows)

    write([HEADER, *ROWS])
    return write


def test_listing(root: Path, lists: Lists) -> None:
    dataset = visa_dataset(root)
    assert (dataset.name, dataset.train_counts) == ("VisA", {"candle": 2, "pcb1": 1})
    assert [sample.name for sample in dataset.train] == [
        NORMAL,
        "candle/Data/Images/Normal/0002.JPG",
        "pcb1/Data/Images/Normal/0000.JPG",
    ]
    assert [(sample.name, sample.class_name, sample.defect, sample.label) for sample in dataset.test] == [
        (FLAWED, "candle", "anomaly", 1),
        ("candle/Data/Images/Normal/0000.JPG", "candle", "good", 0),
    ]
    opened = open_dataset(str(root))
    assert [s.name for s in opened.train + opened.test] == [s.name for s in dataset.train + dataset.test]


def test_masks_lie_on_their_images_whatever_the_number_of_the_defect(root: Path, lists: Lists) -> None:
    flawed, clean = visa_dataset(root).test
    image, mask = np.asarray(flawed.read()), flawed.read_mask()
    assert (image.shape, mask.shape, mask.dtype) == ((HEIGHT, WIDTH, 3), (HEIGHT, WIDTH), bool)
    np.testing.assert_array_equal(mask, image.mean(axis=2) > 125)
    assert mask.sum() == 8 * 16 + 8 * 8
    assert clean.read_mask is None


@settings(deadline=None, max_examples=40)
@given(
    numbers=st.lists(st.integers(0, 255), min_size=16 * 18, max_size=16 * 18),
    mode=st.sampled_from(["L", "blue palette", "I;16"]),
)
def test_every_number_over_0_is_anomalous(
    numbers: list[int], mode: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("numbers")
    labels = np.array(numbers).reshape(16, 18)
    mask = Image.fromarray(labels.astype(np.uint16 if mode == "I;16" else np.uint8))
    if mode == "blue palette":
        mask.putpalette([value for number in range(256) for value in (0, 0, number)])  # nearly black for small ones
    mask.save(root / "m.png")
    for name in ("a.png", "b.png"):
        save(root / name, np.zeros((16, 18, 3)))
    (root / LISTING).parent.mkdir()
    (root / LISTING).write_text(f"{','.join(HEADER)}\nx,train,normal,a.png,\nx,test,anomaly,b.png,m.png\n")
    np.testing.assert_array_equal(visa_dataset(root).test[0].read_mask(), labels > 0)


def test_columns_in_any_order_beside_others(root: Path, lists: Lists) -> None:
    expected = [sample.name for sample in visa_dataset(root).train]
    lists([[*HEADER[::-1], "note"], *([*row[::-1], "x"] for row in ROWS)])
    text = (root / LISTING).read_text()
    (root / LISTING).write_text("\ufeff" + text, encoding="utf-8")
    assert [sample.name for sample in visa_dataset(root).train] == expected


@pytest.mark.parametrize("column", range(len(HEADER)))
def test_a_missing_column_is_named(column: int, root: Path, lists: Lists) -> None:
    lists([row[:column] + row[column + 1 :] for row in [HEADER, *ROWS]])
    with pytest.raises(DatasetError, match=rf"1cls\.csv” has no column “{HEADER[column]}”. Its first line must be obj"):
        visa_dataset(root)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (["candle", "train", "normal", "candle/0.JPG", ""], r"names “candle/0\.JPG”, which is no file in “.*VisA”"),
        (["candle", "train", "normal", "candle/Data", ""], "names “candle/Data”, which is no file"),
        (["candle", "train", "normal", "", ""], "names “”, which is no file"),
        (["candle", "train", "normal"], "names “”, which is no file"),
        (["candle", "train", "normal", "../VisA/" + FLAWED, ""], r"names “\.\./VisA/candle.*”, which is no file"),
        (["candle", "test", "anomaly", FLAWED, "candle/0.png"], r"names “candle/0\.png”, which is no file"),
        (["candle", "test", "bad", FLAWED, MASK], "has the label “bad”. It must be normal or anomaly"),
        (["candle", "validation", "normal", FLAWED, ""], "has the split “validation”. It must be train or test"),
        (["", "train", "normal", FLAWED, ""], "has no object"),
        (["candle", "train", "anomaly", FLAWED, MASK], r"trains on the anomaly “candle/.*/000\.JPG”. Only normal"),
        (["candle", "test", "normal", FLAWED, MASK], r"gives a mask of the normal image “candle/.*000\.JPG”. Only"),
        (ROWS[3], "lists “candle/Data/Images/Normal/0001.JPG” a second time. Remove"),
        (["pcb1", "test", *ROWS[3][2:]], "lists “candle/Data/Images/Normal/0001.JPG” a second time"),
        (["candle", "test", "normal", "candle//Data/./Images/Normal/0001.JPG", ""], "lists .* a second time"),
    ],
)
def test_an_odd_row_is_named_by_its_line(row: list[str], sentence: str, root: Path, lists: Lists) -> None:
    lists([HEADER, ROWS[3], row])
    with pytest.raises(DatasetError, match=rf"^“.*split_csv/1cls\.csv”: Line 3 {sentence}"):
        open_dataset(str(root))
    assert [sample.name for sample in visa_dataset(root).train] == [NORMAL]


def test_every_odd_row_is_listed_at_once(root: Path, lists: Lists) -> None:
    lists([HEADER, ROWS[3], ["candle", "test", "bad", FLAWED, MASK], ["candle", "train", "normal", "lost.JPG", ""]])
    with pytest.raises(DatasetError) as refused:
        open_dataset(str(root))
    heading, *lines = str(refused.value).splitlines()
    assert heading == "2 files or folders of VisA cannot be used:"
    assert [line.partition("”: ")[2][:6] for line in lines] == ["Line 3", "Line 4"]


def test_an_anomaly_without_a_mask_is_one_of_those_to_test_with(root: Path, lists: Lists) -> None:
    lists([HEADER, ROWS[3], ["candle", "test", "anomaly", FLAWED, ""]])
    (sample,) = visa_dataset(root).whole().test
    assert sample.label == 1 and sample.read_mask is None


def test_a_file_elsewhere_is_not_part_of_the_data_set(root: Path, lists: Lists) -> None:
    lists([HEADER, ROWS[3], ["candle", "train", "normal", str(root / NORMAL), ""]])
    with pytest.raises(DatasetError, match=r"Line 3 names “/.*0001\.JPG”, which is no file in"):
        open_dataset(str(root))


@pytest.mark.parametrize("content", [b"object,split\xff\n", b'object,"split\n'], ids=["no text", "an open quote"])
def test_a_list_that_is_no_csv(content: bytes, root: Path, lists: Lists) -> None:
    (root / LISTING).write_bytes(content)
    with pytest.raises(DatasetError, match=r"1cls\.csv” cannot be read as CSV"):
        visa_dataset(root)


def test_lists_without_training_images_or_none_at_all(root: Path, lists: Lists) -> None:
    lists([HEADER, ROWS[2]])
    with pytest.raises(DatasetError, match=r"1cls\.csv” lists no training image"):
        visa_dataset(root)
    (root / LISTING).write_text("")
    with pytest.raises(DatasetError, match="has no column “object”"):
        visa_dataset(root)
    (root / LISTING).unlink()
    with pytest.raises(DatasetError, match=r"1cls\.csv” cannot be read as CSV"):
        visa_dataset(root)
    with pytest.raises(DatasetError, match=r"There is no folder “.*absent”"):
        visa_dataset(root / "absent")


def test_a_mask_of_another_size(root: Path, lists: Lists) -> None:
    save(root / MASK, flaws().T)
    flawed = visa_dataset(root).test[0]
    with pytest.raises(DatasetError, match=r"000\.png” cannot be used: The mask has 24 x 40 pixels, its image 40 x 24"):
        flawed.read_mask()
