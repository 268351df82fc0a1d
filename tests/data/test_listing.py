"""The files of a data set on disk: which there are, which belong together, and samples that read them when asked."""

from pathlib import Path, PurePath

import numpy as np
import pytest
from PIL import Image

from ltad.data import GOOD
from ltad.data.listing import existing_folder, file_sample, image_files, masks_of, photograph_sample, visible
from ltad.errors import DatasetError, ImageError
from ltad.photos.pile import Photograph


def save(path: Path, size: tuple[int, int] = (24, 16), colour: str = "red") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def test_a_folder_that_is_not_there_gets_a_sentence_where_it_must_be(tmp_path: Path) -> None:
    assert existing_folder(str(tmp_path)) == tmp_path
    for missing in (tmp_path / "absent", save(tmp_path / "a.png")):
        with pytest.raises(DatasetError, match=f"There is no folder “{missing}”"):
            existing_folder(missing)
        assert visible(missing) == image_files(missing) == []


def test_files_are_listed_by_name_and_told_by_their_suffix(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", ".hidden.png", "folder.png/c.png"):
        save(tmp_path / name)
    (tmp_path / "broken.bmp").write_text("never opened")
    (tmp_path / "notes.txt").write_text("no image")
    assert [path.name for path in visible(tmp_path)] == ["a.JPG", "b.png", "broken.bmp", "folder.png", "notes.txt"]
    assert [path.name for path in image_files(tmp_path)] == ["a.JPG", "b.png", "broken.bmp"]


def test_masks_are_those_of_their_stem_and_a_lone_one_is_refused(tmp_path: Path) -> None:
    images = [save(tmp_path / "images" / name) for name in ("1.jpg", "2.jpg", "3.jpg")]
    marked, other = save(tmp_path / "masks" / "1_mask.png"), save(tmp_path / "masks" / "3.png")
    places = {PurePath(path.name): path for path in images}
    assert masks_of(places, tmp_path / "masks", tmp_path) == ({images[0]: marked, images[2]: other}, [])
    lone = save(tmp_path / "masks" / "4_mask.png")
    pairs, (fault,) = masks_of(places, tmp_path / "masks", tmp_path)
    assert len(pairs) == 2 and fault[:2] == ("masks/4_mask.png", lone) and "“4_mask.png” has no image" in fault.reason


def test_nothing_is_read_before_it_is_asked_for(tmp_path: Path) -> None:
    picture, mask = tmp_path / "bolt" / "1.png", tmp_path / "bolt" / "1_mask.png"
    sample = file_sample(picture, tmp_path, "bolt", "dent", mask)
    assert (sample.name, sample.class_name, sample.defect, sample.label) == ("bolt/1.png", "bolt", "dent", 1)
    with pytest.raises(ImageError, match=f"“{picture}” cannot be used: This file cannot be opened: No such file"):
        sample.read()
    save(picture)
    white = np.zeros((16, 24), np.uint8)
    white[2:5, 3:9] = 255
    Image.fromarray(white).save(mask)
    assert sample.read().size == (24, 16)
    assert sample.read_mask and np.array_equal(sample.read_mask(), white > 0)
    save(mask, size=(20, 16))
    with pytest.raises(DatasetError, match=r"20 x 16 pixels, its image 24 x 16"):
        sample.read_mask()


def test_a_photograph_keeps_its_own_name_and_is_good_unless_it_is_said(tmp_path: Path) -> None:
    sample = photograph_sample(Photograph("part 7.png", save(tmp_path / "0007.png", colour="blue")), "bolt")
    assert (sample.name, sample.defect, sample.label, sample.read_mask) == ("part 7.png", GOOD, 0, None)
    assert sample.read().getpixel((0, 0)) == (0, 0, 255)
