"""What a person gives: files, folders and archives, which picture is a mask, and what cannot be used."""

from pathlib import Path
from zipfile import ZipFile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ltad.errors import ImageError
from ltad.photos.gather import gather
from ltad.photos.pile import Photograph, Pile

SIZE = (20, 16)


def save(path: Path, size: tuple[int, int] = SIZE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "white").save(path)
    return path


def pile_of(*names: str) -> Pile:
    return Pile(tuple(Photograph(name, Path("/files") / str(i)) for i, name in enumerate(names)))


def marks(pile: Pile) -> dict[str, Path | None]:
    return {photograph.name: photograph.mask for photograph in pile.with_masks().photographs}


def test_files_folders_and_archives_become_one_pile(tmp_path: Path) -> None:
    save(tmp_path / "folder" / "in" / "a.png")
    save(tmp_path / "folder" / ".hidden.png")
    with ZipFile(tmp_path / "folder" / "packed.zip", "w") as packed:
        packed.write(save(tmp_path / "b.png"), "deep/b.png")
        packed.writestr("notes.txt", "no picture")
    pile = gather([tmp_path / "folder", save(tmp_path / "c.png")], tmp_path / "unpacked")
    assert [photograph.name for photograph in pile.photographs] == ["in/a.png", "deep/b.png", "c.png"]
    assert all(photograph.path.is_file() for photograph in pile.photographs)
    assert [refusal.name for refusal in pile.refused] == ["notes.txt"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageError, match="holds no files"):
        gather([tmp_path / "empty"], tmp_path)


def test_a_mask_marks_the_picture_beside_it_and_no_other() -> None:
    pile = pile_of("a/0.png", "a/0_mask.png", "b/0.png", "b/1_mask.png")
    assert marks(pile) == {"a/0.png": Path("/files/1"), "b/0.png": None, "b/1_mask.png": None}


def test_a_mask_may_be_of_another_format_and_its_picture_anywhere_in_the_pile() -> None:
    assert marks(pile_of("0_mask.png", "1.jpg", "0.jpeg")) == {"1.jpg": None, "0.jpeg": Path("/files/0")}


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("0.png", "0.jpg", "0_mask.png"), "“0.png” and “0.jpg” share the mask"),
        (("0.png", "0_mask.png", "0_mask.jpg"), "are both masks of one image"),
    ],
)
def test_a_mask_that_may_be_of_two_is_refused_and_so_is_a_second_one(names: tuple[str, ...], said: str) -> None:
    pile = pile_of(*names).with_masks()
    assert [refusal.name for refusal in pile.refused] == [names[-1]]
    assert said in pile.refused[0].reason


def test_a_mask_among_good_photographs_is_not_learned_from() -> None:
    pile = pile_of("0.png", "0_mask.png", "alone_mask.png").good()
    assert [(photograph.name, photograph.mask) for photograph in pile.photographs] == [
        ("0.png", None),
        ("alone_mask.png", None),
    ]
    assert [refusal.name for refusal in pile.refused] == ["0_mask.png"]
    assert "mask of “0.png”" in pile.refused[0].reason


stems = st.lists(st.text("ab0_/", min_size=1, max_size=4).map(lambda t: t.strip("/") or "a"), max_size=6)


@given(stems, stems)
def test_nothing_is_lost_and_nothing_counts_twice(plain: list[str], masked: list[str]) -> None:
    pile = pile_of(*(f"{stem}.png" for stem in plain), *(f"{stem}_mask.png" for stem in masked))
    paired = pile.with_masks()
    used = [file for each in paired.photographs for file in (each.path, each.mask) if file]
    assert len(used) == len(set(used)) == len(pile.photographs) - len(paired.refused)


def test_what_cannot_be_read_is_left_out_with_its_mask(tmp_path: Path) -> None:
    good, marked = save(tmp_path / "good.png"), save(tmp_path / "marked.png")
    mask, small = save(tmp_path / "marked_mask.png"), save(tmp_path / "small.png", (18, 16))
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"nothing")
    photographs = [Photograph("good", good), Photograph("marked", marked, mask), Photograph("odd", marked, small)]
    pile = Pile((*photographs, Photograph("broken", broken, mask), Photograph("burnt", good, broken))).readable()
    assert [photograph.name for photograph in pile.photographs] == ["good", "marked"]
    reasons = dict(pile.refused)
    assert set(reasons) == {"odd", "broken", "burnt"}
    assert "18 x 16 pixels, its image 20 x 16" in reasons["odd"] and "not an image" in reasons["broken"]
    assert "The mask cannot be used" in reasons["burnt"]
