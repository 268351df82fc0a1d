"""Data sets in the layout of MVTec AD, and in what people make of it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ltad.data.folder import folder_dataset
from ltad.data.sources import open_dataset
from ltad.errors import DatasetError, ImageError

WIDTH, HEIGHT = 32, 20


def picture(path: Path, size: tuple[int, int] = (WIDTH, HEIGHT), colour: object = "grey") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def mask_file(path: Path, size: tuple[int, int] = (WIDTH, HEIGHT), value: int = 255) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = Image.new("L", size)
    mask.paste(value, (4, 2, 10, 8))
    mask.save(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "parts"
    for name in ("000.png", "001.JPG", "002.tiff"):
        picture(root / "bolt" / "train" / "good" / name)
    picture(root / "bolt" / "test" / "good" / "000.png")
    picture(root / "bolt" / "test" / "dent" / "000.png")
    picture(root / "bolt" / "test" / "dent" / "001.bmp")
    mask_file(root / "bolt" / "ground_truth" / "dent" / "000_mask.png")
    mask_file(root / "bolt" / "ground_truth" / "dent" / "001.png", value=1)
    picture(root / "anvil" / "train" / "good" / "a.webp")
    picture(root / "anvil" / "test" / "crack" / "a.jpeg")
    (root / "anvil" / "train" / "good" / "readme.txt").write_text("not listed")
    (root / "anvil" / "train" / "good" / ".hidden.png").write_text("not listed")
    (root / "notes").mkdir()
    return root


def test_listing(root: Path) -> None:
    dataset = folder_dataset(root)
    assert dataset.name == "parts"
    assert dataset.train_counts == {"anvil": 1, "bolt": 3}
    assert [sample.name for sample in dataset.train] == [
        "anvil/train/good/a.webp",
        "bolt/train/good/000.png",
        "bolt/train/good/001.JPG",
        "bolt/train/good/002.tiff",
    ]
    assert [(sample.name, sample.defect, sample.label) for sample in dataset.test] == [
        ("anvil/test/crack/a.jpeg", "crack", 1),
        ("bolt/test/dent/000.png", "dent", 1),
        ("bolt/test/dent/001.bmp", "dent", 1),
        ("bolt/test/good/000.png", "good", 0),
    ]
    assert [sample.name for sample in open_dataset(str(root)).test] == [sample.name for sample in dataset.test]


def test_reading(root: Path) -> None:
    samples = {sample.name: sample for sample in folder_dataset(root).test}
    assert samples["anvil/test/crack/a.jpeg"].read().size == (WIDTH, HEIGHT)
    assert samples["anvil/test/crack/a.jpeg"].read_mask is None
    for name in ("000.png", "001.bmp"):
        mask = samples[f"bolt/test/dent/{name}"].read_mask()
        assert (mask.shape, mask.dtype, mask.sum()) == ((HEIGHT, WIDTH), bool, 36)
        assert mask[2:8, 4:10].all()
    assert samples["bolt/test/good/000.png"].read_mask is None


def test_a_single_class(root: Path) -> None:
    dataset = folder_dataset(root / "bolt")
    assert dataset.class_names == ("bolt",)
    assert dataset.train[0].name == "train/good/000.png"
    assert len(dataset.test) == 3


def test_no_masks_at_all_and_none_for_one_defect(root: Path) -> None:
    picture(root / "bolt" / "test" / "stain" / "000.png")
    samples = {sample.name: sample for sample in folder_dataset(root).test}
    assert samples["bolt/test/stain/000.png"].read_mask is None
    for mask in (root / "bolt" / "ground_truth" / "dent").iterdir():
        mask.unlink()
    (root / "bolt" / "ground_truth" / "dent").rmdir()
    assert all(sample.read_mask is None for sample in folder_dataset(root).test)


def test_nothing_is_decoded_by_listing(root: Path) -> None:
    (root / "bolt" / "train" / "good" / "003.png").write_text("no image")
    broken = folder_dataset(root).train[-1]
    assert broken.name == "bolt/train/good/003.png"
    with pytest.raises(ImageError, match=r"003\.png"):
        broken.read()


def test_an_image_without_its_mask_is_one_of_those_to_test_with(root: Path) -> None:
    picture(root / "bolt" / "test" / "dent" / "002.png")
    dataset = folder_dataset(root).whole()
    marked = {sample.name: sample.read_mask is not None for sample in dataset.test if sample.defect == "dent"}
    assert marked == {f"bolt/test/dent/{name}": name != "002.png" for name in ("000.png", "001.bmp", "002.png")}


def test_a_mask_without_its_image(root: Path) -> None:
    mask_file(root / "bolt" / "ground_truth" / "dent" / "009_mask.png")
    with pytest.raises(DatasetError, match=r"dent/009_mask\.png” has no image") as refused:
        open_dataset(str(root))
    assert str(refused.value).startswith(f"“{root}/bolt/ground_truth/dent/009_mask.png”: ")


def test_masks_without_a_folder_of_images(root: Path) -> None:
    mask_file(root / "bolt" / "ground_truth" / "burn" / "000.png")
    with pytest.raises(DatasetError, match=r"ground_truth/burn/000\.png”: The mask “burn/000\.png” has no image"):
        open_dataset(str(root))


def test_two_masks_of_one_image(root: Path) -> None:
    mask_file(root / "bolt" / "ground_truth" / "dent" / "000.png")
    with pytest.raises(DatasetError, match="are both masks of one image"):
        open_dataset(str(root))


def test_a_mask_of_two_images(root: Path) -> None:
    picture(root / "bolt" / "test" / "dent" / "000.jpg")
    with pytest.raises(DatasetError, match=r"dent/000\.jpg” and “dent/000\.png” share the mask “dent/000_mask\.png”"):
        open_dataset(str(root))


def test_a_mask_of_another_size(root: Path) -> None:
    mask_file(root / "bolt" / "ground_truth" / "dent" / "000_mask.png", size=(20, 32))
    sample = next(sample for sample in folder_dataset(root).test if sample.name == "bolt/test/dent/000.png")
    where = f"“{root}/bolt/ground_truth/dent/000_mask.png” cannot be used: The mask "
    with pytest.raises(DatasetError, match=f"^{where}has 20 x 32 pixels, its image 32 x 20"):
        sample.read_mask()
    (root / "bolt" / "ground_truth" / "dent" / "000_mask.png").write_text("no image")
    with pytest.raises(DatasetError, match=f"^{where}cannot be used: This image is not an image"):
        sample.read_mask()


def test_folders_that_hold_no_class(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"There is no folder “.*absent”"):
        folder_dataset(tmp_path / "absent")
    with pytest.raises(DatasetError, match="good photographs in OK, good or train/good"):
        folder_dataset(tmp_path)
    (tmp_path / "bolt" / "train" / "good").mkdir(parents=True)
    with pytest.raises(DatasetError, match="holds no class"):
        folder_dataset(tmp_path)


def test_a_folder_of_no_known_layout_names_those_that_were_looked_for(tmp_path: Path) -> None:
    with pytest.raises(
        DatasetError, match=r"MVTec AD \(CLASS/train/good\), VisA \(split_csv/1cls\.csv\), DAGM \(Class1/"
    ):
        open_dataset(str(tmp_path))
    with pytest.raises(DatasetError, match=r"There is no folder “.*absent”"):
        open_dataset(str(tmp_path / "absent"))
    (tmp_path / "bolt" / "train" / "good").mkdir(parents=True)
    with pytest.raises(DatasetError, match="holds no class"):
        open_dataset(str(tmp_path))


def test_masks_are_on_the_image_as_shown_upright(tmp_path: Path) -> None:
    picture(tmp_path / "train" / "good" / "0.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "test" / "dent").mkdir(parents=True)
    Image.new("RGB", (HEIGHT, WIDTH)).save(tmp_path / "test" / "dent" / "0.png", exif=exif)
    mask_file(tmp_path / "ground_truth" / "dent" / "0.png")
    (sample,) = folder_dataset(tmp_path).test
    assert sample.read().size == (WIDTH, HEIGHT)
    assert np.asarray(sample.read_mask()).shape == (HEIGHT, WIDTH)
