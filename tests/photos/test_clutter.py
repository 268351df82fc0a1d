"""What lies among photographs and is none."""

from pathlib import Path
from zipfile import ZipFile

import pytest
from PIL import Image, PngImagePlugin

from ltad.errors import ImageError
from ltad.photos.archive import unpack
from ltad.photos.gather import files_below, gather

CLUTTER = [
    ".ipynb_checkpoints/a.png",
    ".hidden.png",
    "more/.git/a.png",
    "__MACOSX/._a.png",
    "Thumbs.db",
    "more/desktop.ini",
    "$RECYCLE.BIN/a.png",
]
FOREIGN = ["notes.txt", "list.csv", "more/part.raw", "README"]


def save(path: Path, **how: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png":
        Image.new("RGB", (20, 16)).save(path, **how)
    else:
        path.write_text("no picture")


def names(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in files_below(folder)]


def test_clutter_is_the_same_in_folders_and_archives_and_foreign_files_are_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / ".data" / "parts"  # hidden itself, which is its user's own business
    for name in ("a.png", "more/b.png", *CLUTTER):
        save(folder / name)
    with ZipFile(tmp_path / "packed.zip", "w") as packed:
        for file in folder.rglob("*"):
            packed.write(file, file.relative_to(folder))
    unpacked = unpack(tmp_path / "packed.zip", tmp_path / "unpacked")
    assert sorted(photograph.name for photograph in unpacked.photographs) == ["a.png", "more/b.png"]
    assert not unpacked.refused
    for name in FOREIGN:
        save(folder / name)
    assert names(folder) == ["a.png", "more/b.png"]
    pile = gather([folder], tmp_path / "gathered")
    assert [photograph.name for photograph in pile.photographs] == ["a.png", "more/b.png"] and not pile.refused


def test_a_folder_of_nothing_else_is_refused(tmp_path: Path) -> None:
    for name in (*CLUTTER, *FOREIGN):
        save(tmp_path / name)
    with pytest.raises(ImageError, match="holds no files that are photographs"):
        files_below(tmp_path)


def test_results_are_told_from_photographs_of_such_names(tmp_path: Path) -> None:
    for name in ("a.png", "a_map.png", "a_overlay.png", "height_map.png", "thing_overlay.png"):
        save(tmp_path / name)
    assert names(tmp_path) == ["a.png", "height_map.png", "thing_overlay.png"]
    scale = PngImagePlugin.PngInfo()
    scale.add_text("full_scale", "2.0")
    save(tmp_path / "height_map.png", pnginfo=scale)  # alone, but it says so itself
    assert names(tmp_path) == ["a.png", "thing_overlay.png"]
    (tmp_path / "broken_map.png").write_text("nothing")  # for the decoder to refuse
    assert names(tmp_path) == ["a.png", "broken_map.png", "thing_overlay.png"]


def test_links_are_followed_but_never_up_or_twice(tmp_path: Path) -> None:
    save(tmp_path / "parts" / "in" / "a.png")
    save(tmp_path / "parts" / "b.png")
    save(tmp_path / "elsewhere" / "c.png")
    (tmp_path / "parts" / "in" / "up").symlink_to(tmp_path / "parts")
    (tmp_path / "parts" / "in" / "further").symlink_to(tmp_path)
    for name in ("first", "second"):
        (tmp_path / "parts" / name).symlink_to(tmp_path / "elsewhere")
    assert names(tmp_path / "parts") == ["b.png", "first/c.png", "in/a.png"]
