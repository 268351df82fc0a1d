"""The look at every file before anything is made of a data set."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from ltad.data import Dataset, Sample
from ltad.data.demo import demo_dataset
from ltad.data.elpv import elpv_dataset
from ltad.data.look import look_at
from ltad.data.sources import list_dataset
from ltad.errors import DatasetError
from ltad.progress import quiet
from tests.data.test_layouts import lay, read
from tests.toys import Recorder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes with everything that can be wrong."""
    root = lay(tmp_path / "parts", "bolt/OK/0-9.png", "bolt/NG/0-5.png", "bolt/masks/NG/0-3.png", "nut/good/0-4.png")
    (root / "bolt" / "OK" / "3.png").write_bytes((root / "bolt" / "OK" / "4.png").read_bytes()[:50])
    (root / "bolt" / "OK" / "lost.jpg").symlink_to(root / "nowhere.jpg")
    (root / "bolt" / "NG" / "1.png").write_text("no picture")
    Image.new("L", (16, 24)).save(root / "bolt" / "masks" / "NG" / "2.png")
    (root / "bolt" / "masks" / "NG" / "3.png").write_bytes(b"")
    lay(root, "bolt/masks/NG/9.png", "pin/OK/")
    for file in (root / "nut" / "good").iterdir():
        file.write_text("no picture")
    return root


def test_all_that_is_wrong_is_in_one_list(root: Path) -> None:
    looked = look_at(list_dataset(str(root)), quiet)
    expected = {
        "bolt/OK/3.png": "cut off or damaged",
        "bolt/OK/lost.jpg": "No such file",
        "bolt/NG/1.png": "not an image",
        "bolt/masks/NG/2.png": "16 x 24 pixels, its image 24 x 16",
        "bolt/masks/NG/3.png": "is empty",
        "bolt/masks/NG/9.png": "has no image",
        "pin": "no good photographs",
        "nut/good": "No photograph of this class is left",
        **{f"nut/good/{i}.png": "not an image" for i in range(5)},
    }
    reasons = {fault.path.relative_to(root).as_posix(): fault.reason for fault in looked.faults}
    assert reasons.keys() == expected.keys() and len(looked.faults) == len(expected)
    assert all(word in reasons[name] for name, word in expected.items())
    with pytest.raises(DatasetError) as refused:
        looked.whole("Mend them.")
    heading, *lines, advice = str(refused.value).splitlines()
    assert heading == "13 files or folders of parts cannot be used:" and advice == "Mend them."
    assert sorted(lines) == sorted(f"  “{fault.path}”: {fault.reason}" for fault in looked.faults)


def test_the_rest_can_be_used(root: Path) -> None:
    looked = look_at(list_dataset(str(root)), quiet)
    good = looked.train_counts["bolt"] + sum(not sample.label for sample in looked.test)
    assert good == 9 and looked.class_names == ("bolt",)
    marked = {sample.name: sample.read_mask is not None for sample in looked.test if sample.label}
    assert marked == {f"bolt/NG/{i}.png": i == 0 for i in (0, 2, 3, 4, 5)}
    for sample in (*looked.train, *looked.test):
        assert sample.read().size == (24, 16) and (sample.read_mask is None or sample.read_mask().all())


def test_every_file_is_decoded_once_and_progress_is_told(tmp_path: Path) -> None:
    dataset = list_dataset(str(lay(tmp_path, "OK/0-9.png", "NG/0-2.png", "masks/NG/0-2.png")))
    reads: Counter[str] = Counter()

    def counted(sample: Sample) -> Sample:
        def reader() -> Image.Image:
            reads[sample.name] += 1
            return sample.read()

        return replace(sample, read=reader)

    told = Recorder()
    whole = Dataset(name="x", train=tuple(map(counted, dataset.train)), test=tuple(map(counted, dataset.test)))
    looked = look_at(whole, told)
    assert set(reads.values()) == {1} and len(reads) == 13 and not looked.faults
    assert told.told == [("look", number) for number in range(1, 14)]
    assert read(looked) == {tmp_path.name: "8, 2 good, 3 defective*"}


def test_rendered_and_installed_ones_need_no_look() -> None:
    told = Recorder()
    for dataset in (demo_dataset(train=2), elpv_dataset()):
        assert look_at(dataset, told) == dataset
    assert not told.told
