"""DAGM: labels beside the pictures, some of which are missing."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ltad.data.dagm import dagm_dataset
from ltad.data.sources import open_dataset
from ltad.errors import DatasetError

WIDTH, HEIGHT = 36, 20
LABELS = """\ufeff1
1\t0\t0001.PNG\t0\t0
2\t1\t0002.PNG\t1\t0002_label.PNG

3\t0\t0003.PNG\t0\t0
"""


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def ellipse() -> np.ndarray:
    """A defect far from the middle, so that no turn of the picture leaves it alone."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return ((y - 5) / 4) ** 2 + ((x - 26) / 8) ** 2 < 1


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes whose second image is defective, in Train and in Test; one class has Labels.txt files."""
    root = tmp_path / "DAGM"
    for part in ("Class1/Train", "Class1/Test", "Class10/Train", "Class10/Test"):
        for name in ("0001.PNG", "0003.PNG"):
            save(root / part / name, np.full((HEIGHT, WIDTH), 90))
        save(root / part / "0002.PNG", np.where(ellipse(), 200, 90))
        save(root / part / "Label" / "0002_label.PNG", ellipse())  # 1, not 255
    for part in ("Train", "Test"):
        (root / "Class1" / part / "Label" / "Labels.txt").write_text(LABELS, encoding="utf-8")
    save(root / "Drafts" / "Train" / "0001.PNG", np.zeros((HEIGHT, WIDTH)))  # not listed, like the next
    (root / "readme.txt").write_text("")
    return root


def test_listing(root: Path) -> None:
    dataset = dagm_dataset(root)
    assert (dataset.name, dataset.train_counts) == ("DAGM", {"Class1": 2, "Class10": 2})
    assert [sample.name for sample in dataset.train] == [
        "Class1/Train/0001.PNG",
        "Class1/Train/0003.PNG",
        "Class10/Train/0001.PNG",
        "Class10/Train/0003.PNG",
    ]
    assert not any(sample.label for sample in dataset.train)
    assert [(sample.name, sample.defect, sample.label) for sample in dataset.test[:3]] == [
        ("Class1/Test/0001.PNG", "good", 0),
        ("Class1/Test/0002.PNG", "defective", 1),
        ("Class1/Test/0003.PNG", "good", 0),
    ]
    assert len(dataset.test) == 6
    opened = open_dataset(str(root))
    assert [s.name for s in opened.train + opened.test] == [s.name for s in dataset.train + dataset.test]


def test_masks_lie_on_their_images(root: Path) -> None:
    clean, flawed, _ = dagm_dataset(root).test[:3]
    image, mask = np.asarray(flawed.read()), flawed.read_mask()
    assert (image.shape, mask.shape, mask.dtype) == ((HEIGHT, WIDTH, 3), (HEIGHT, WIDTH), bool)
    np.testing.assert_array_equal(mask, image[..., 0] == 200)
    assert 50 < mask.sum() < HEIGHT * WIDTH / 2
    assert clean.read_mask is None


def test_copies_that_hold_each_class_once_more(root: Path) -> None:
    flat = dagm_dataset(root)
    for name in ("Class1", "Class10"):
        shutil.move(root / name, root / "moved")
        shutil.move(root / "moved", root / name / name)
    nested = open_dataset(str(root))
    assert nested.train_counts == flat.train_counts
    assert [sample.name for sample in nested.test] == [f"{s.class_name}/{s.name}" for s in flat.test]


def test_an_image_without_its_label_file_counts_as_defect_free(root: Path) -> None:
    (root / "Class10" / "Train" / "Label" / "0002_label.PNG").unlink()
    assert dagm_dataset(root).train_counts == {"Class1": 2, "Class10": 3}


def test_a_label_without_its_image(root: Path) -> None:
    (root / "Class1" / "Train" / "0002.PNG").unlink()
    with pytest.raises(DatasetError, match=r"Train/Label/0002_label\.PNG”: The mask “0002_label\.PNG” has no image"):
        dagm_dataset(root).whole()


def test_a_label_of_two_images(root: Path) -> None:
    shutil.copy(root / "Class1" / "Train" / "0002.PNG", root / "Class1" / "Train" / "0002.BMP")
    dataset = dagm_dataset(root)
    (fault,) = dataset.faults
    assert (fault.name, fault.path) == ("Class1/Train/Label/0002_label.PNG", root / fault.name)
    assert "“0002.BMP” and “0002.PNG” share the mask" in fault.reason
    assert dataset.train_counts["Class1"] == 2  # neither of them, of which one is defective


@pytest.mark.parametrize("part", ["Train", "Test"])
def test_a_part_without_labels_is_not_taken_for_defect_free(part: str, root: Path) -> None:
    shutil.rmtree(root / "Class1" / part / "Label")
    with pytest.raises(DatasetError, match=rf"Class1/{part}” has no folder “Label”"):
        dagm_dataset(root)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("\t1\t0002", "\t0\t0002", r"Line 3 of “.*Label/Labels\.txt” calls “0002\.PNG” free of defects, but it"),
        ("\t0\t0003", "\t1\t0003", r"Line 5 of “.*Label/Labels\.txt” calls “0003\.PNG” defective, but it has no"),
        ("\t0\t0003", "\tx\t0003", r"Line 5 of “.*Label/Labels\.txt” is not a number, 1 for defective or 0, and"),
        ("3\t0\t0003.PNG\t0\t0", "0003.PNG 0", r"Line 5 of “.*Test/Label/Labels\.txt” is not a number"),
    ],
)  # fmt: skip
def test_labels_txt_is_compared_with_the_label_files(old: str, new: str, sentence: str, root: Path) -> None:
    assert old in LABELS
    (root / "Class1" / "Test" / "Label" / "Labels.txt").write_text(LABELS.replace(old, new), encoding="utf-8")
    with pytest.raises(DatasetError, match=sentence):
        dagm_dataset(root)


def test_labels_txt_may_speak_of_images_that_are_not_there(root: Path) -> None:
    path = root / "Class1" / "Train" / "Label" / "Labels.txt"
    path.write_text(LABELS + "4\t1\t0004.PNG\t1\t0004_label.PNG\n", encoding="utf-8")
    assert dagm_dataset(root).train_counts["Class1"] == 2
    path.write_bytes(b"1\n\xff\xff")
    with pytest.raises(DatasetError, match=r"Train/Label/Labels\.txt” cannot be read"):
        dagm_dataset(root)


def test_a_label_of_another_size(root: Path) -> None:
    save(root / "Class1" / "Test" / "Label" / "0002_label.PNG", ellipse().T)
    with pytest.raises(DatasetError, match=r"0002_label\.PNG” cannot be used: The mask has 20 x 36 pixels"):
        dagm_dataset(root).test[1].read_mask()


def test_folders_that_hold_no_class(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"There is no folder “.*absent”"):
        dagm_dataset(tmp_path / "absent")
    with pytest.raises(DatasetError, match="holds no class: a Class1/Train with defect-free images in it"):
        dagm_dataset(tmp_path)
    for image in root.glob("*/Train/000[13].PNG"):
        image.unlink()
    for listing in root.glob("*/Train/Label/Labels.txt"):
        listing.unlink()
    with pytest.raises(DatasetError, match="holds no class"):  # every training image left is defective
        dagm_dataset(root)


def test_a_class_of_mvtec_ads_layout_may_have_dagms_name(tmp_path: Path) -> None:
    save(tmp_path / "Class1" / "train" / "good" / "0.png", np.zeros((HEIGHT, WIDTH)))
    assert [sample.name for sample in open_dataset(str(tmp_path)).train] == ["Class1/train/good/0.png"]
