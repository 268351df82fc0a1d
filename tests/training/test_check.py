"""What is said of photographs before anything is learned from them."""

import weakref
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ltad.foundation.features import Encoder
from ltad.photos.decode import Photo, open_photo
from ltad.photos.levels import Levels
from ltad.photos.pile import Photograph, Pile, Refusal
from ltad.progress import quiet
from ltad.training.check import DataCheck, check_photographs
from tests.toys import toy_picture


def picture(class_name: str, seed: int) -> Image.Image:
    return Image.fromarray(toy_picture(class_name, np.random.default_rng(seed)).astype(np.uint8))


@pytest.fixture(scope="module")
def check(toy_encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> DataCheck:
    """Ten good photographs, and one each that is broken, double, of another product, spoilt, and of another shape."""
    folder = tmp_path_factory.mktemp("photographs")
    pictures = {f"good{i}.png": picture("checker", i) for i in range(10)}
    pictures["other.png"] = picture("dots", 1)
    spoilt = np.array(picture("checker", 20))
    spoilt[40:70, 40:80] = (250, 30, 200)
    pictures["spoilt.png"] = Image.fromarray(spoilt)
    pictures["wide.png"] = picture("checker", 21).crop((0, 20, 128, 70))
    for name, each in pictures.items():
        each.save(folder / name)
    pictures["good3.png"].save(folder / "double.jpg", quality=95)
    (folder / "broken.png").write_bytes(b"nothing")
    files = sorted(folder.iterdir(), key=lambda path: (path.name == "double.jpg", path.name))
    photographs = tuple(Photograph(path.name, path) for path in files)
    pile = Pile(photographs, (Refusal("evil.png", "This was refused."),))
    return check_photographs(pile, toy_encoder, quiet)


def test_what_cannot_be_read_is_named(check: DataCheck) -> None:
    reasons = dict(check.refused)
    assert set(reasons) == {"broken.png", "evil.png"} and "not an image" in reasons["broken.png"]
    assert len(check.photographs) == 14


def test_each_oddity_is_found_and_the_good_ones_are_left_alone(check: DataCheck) -> None:
    by_name = {checked.name: checked for checked in check.photographs}
    assert by_name["double.jpg"].double_of == "good3.png"
    assert by_name["other.png"].is_other
    assert by_name["spoilt.png"].is_suspect
    assert by_name["wide.png"].has_other_shape
    assert by_name["double.jpg"].remarks[0] == "shows the same as “good3.png”"
    calm = [checked for name, checked in by_name.items() if name.startswith("good")]
    assert not any(checked.double_of or checked.is_other or checked.has_other_shape for checked in calm)
    assert sum(checked.is_suspect for checked in calm) <= 1


def test_the_most_suspicious_come_first(check: DataCheck) -> None:
    suspicions = [checked.suspicion for checked in check.photographs]
    assert suspicions == sorted(suspicions, reverse=True)
    assert {checked.name for checked in check.photographs[:3]} >= {"other.png", "spoilt.png"}


def test_how_many_are_enough(check: DataCheck, toy_encoder: Encoder, tmp_path: Path) -> None:
    assert check.is_enough
    picture("dots", 0).save(tmp_path / "one.png")
    alone = check_photographs(Pile((Photograph("one.png", tmp_path / "one.png"),)), toy_encoder, quiet)
    assert not alone.is_enough and alone.photographs[0].suspicion == 0 and not alone.photographs[0].remarks
    none = check_photographs(Pile(), toy_encoder, quiet)
    assert not none.is_enough


def test_no_more_than_one_photograph_is_held_at_a_time(
    check: DataCheck, toy_encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = weakref.WeakValueDictionary[int, Image.Image]()

    def watched(content: bytes, levels: Levels | None) -> Photo:
        assert len(held) <= 1, "two hundred of 40 megapixels would need 24 GB"
        photo = open_photo(content, levels)
        held[id(photo.image)] = photo.image
        return photo

    monkeypatch.setattr("ltad.training.check.open_photo", watched)
    again = check_photographs(Pile(tuple(c.photograph for c in check.photographs)), toy_encoder, quiet)
    assert len(again.photographs) == len(check.photographs)
