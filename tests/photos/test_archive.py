"""An uploaded ZIP: photographs out of it, and nothing that it does to those who open it."""

import io
import random
import re
import stat
import struct
import tempfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ltad.errors import ArchiveError
from ltad.photos import archive as archives
from ltad.photos.archive import unpack
from ltad.photos.decode import FORMATS, SUFFIXES
from ltad.photos.pile import Photograph, Pile

DEFLATED = zipfile.ZIP_DEFLATED
NOISE = random.Random(0).randbytes(100_000)
Files = list[tuple[str | zipfile.ZipInfo, bytes]]

# Where a line of the table of contents keeps what it claims about a file; the file's name follows after 46 bytes.
CLAIMS = {"flags": (8, "<H"), "method": (10, "<H"), "crc": (16, "<I"), "packed": (20, "<I"), "size": (24, "<I")}
CLAIMS |= {"offset": (42, "<I")}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "photos.zip"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "unpacked"


def pack(archive: Path | io.BytesIO, files: Files, method: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(archive, "w", method) as file:
        for info, content in files:
            file.writestr(info, content, None if isinstance(info, zipfile.ZipInfo) else method)


def raw(name: str, mode: int = stat.S_IFREG | 0o644) -> zipfile.ZipInfo:
    """A name as it stands, which ZipInfo would tidy up."""
    info = zipfile.ZipInfo()
    info.filename = name
    info.external_attr = mode << 16
    return info


def forge(archive: Path, name: str, **claims: int) -> None:
    content = bytearray(archive.read_bytes())
    line = content.rindex(name.encode()) - 46
    assert content[line : line + 4] == b"PK\1\2"
    for claim, value in claims.items():
        offset, layout = CLAIMS[claim]
        struct.pack_into(layout, content, line + offset, value)
    archive.write_bytes(content)


def contents(unpacked: Pile) -> list[tuple[str, bytes]]:
    return [(name, path.read_bytes()) for name, path, _ in unpacked.photographs]


def refusal(unpacked: Pile, name: str) -> str:
    """The reason why one file was refused, and the only one: its neighbours, one before and one after, were not."""
    assert [shown for shown, _, _ in unpacked.photographs] == ["first.png", "last.png"]
    ((shown, reason),) = unpacked.refused
    assert shown == name
    assert re.fullmatch(r"This .*\. .*\.", reason), "says what is wrong, then what to do"
    return reason


def between_good_ones(archive: Path, info: str | zipfile.ZipInfo, content: bytes, method: int = 0) -> None:
    pack(archive, [("first.png", b"first"), (info, content), ("last.png", b"last")], method)


def test_photos_come_out_in_order_under_names_of_our_own(archive: Path, folder: Path) -> None:
    files = [("b/2.PNG", b"two"), ("a/1.jpeg", NOISE), ("notes.txt", b"-"), ("empty.tif", b"")]
    pack(archive, files, DEFLATED)
    unpacked = unpack(archive, folder)
    assert contents(unpacked) == [files[0], files[1], files[3]]
    assert [path.name for _, path, _ in unpacked.photographs] == ["0001.png", "0002.jpeg", "0004.tif"]
    assert {path.parent for _, path, _ in unpacked.photographs} == {folder}
    assert [name for name, _ in unpacked.refused] == ["notes.txt"]


def test_every_format_that_can_be_read_has_its_suffix() -> None:
    known = Image.registered_extensions()
    assert {known[suffix] for suffix in SUFFIXES} == set(FORMATS)


CLUTTER = ["folder/", "windows\\", "__MACOSX/a/._1.png", ".hidden.png", "a/.git/1.png", "a/Thumbs.db", "DESKTOP.INI"]


def test_what_systems_add_is_neither_photo_nor_refused(
    archive: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MAX_FILES", 2)
    pack(archive, [(raw(name), b"") for name in CLUTTER] + [("./a/1.png", b"1"), ("a/...png/..2.png", b"2")])
    assert unpack(archive, folder) == Pile((Photograph("./a/1.png", folder / "0001.png"),))


NAMES = {
    "../evil.png": "leads out of the archive",
    "a/../../evil.png": "leads out of the archive",
    "/evil.png": "leads out of the archive",
    "//server/share/evil.png": "leads out of the archive",
    "C:\\evil.png": "leads out of the archive",
    "c:evil.png": "leads out of the archive",
    "..\\evil.png": "leads out of the archive",
    "a\\..\\..\\evil.png": "leads out of the archive",
    "\\\\server\\evil.png": "leads out of the archive",
    "1/2/3/4/5/6/7/deep.png": "is more than 6 folders deep",
    "nested.zip": "an archive in the archive",
    "a/nested.TAR.GZ": "an archive in the archive",
    "notes.txt": "not named like an image. Save it as PNG, JPEG, WebP, BMP",
    "photo": "not named like an image",
    "photo.png ": "not named like an image",
    "photo.png/evil.exe": "not named like an image",
    "": "not named like an image",
}


@pytest.mark.parametrize("name", NAMES)
def test_names_that_are_refused(name: str, archive: Path, folder: Path) -> None:
    between_good_ones(archive, raw(name), b"evil")
    assert NAMES[name] in refusal(unpack(archive, folder), name.replace("\\", "/"))


def test_backslashes_are_folders_and_six_of_them_are_allowed(archive: Path, folder: Path) -> None:
    pack(archive, [(raw("1\\2\\3\\4\\5\\6\\photo.png"), b"photo")])
    assert contents(unpack(archive, folder)) == [("1/2/3/4/5/6/photo.png", b"photo")]


def test_a_name_ends_where_its_suffix_was_checked(archive: Path, folder: Path) -> None:
    between_good_ones(archive, raw("evil.exe\0.png"), b"evil")
    assert "not named like an image" in refusal(unpack(archive, folder), "evil.exe")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFDIR])
def test_links_and_devices_are_refused(kind: int, archive: Path, folder: Path) -> None:
    between_good_ones(archive, raw("link.png", kind | 0o777), b"/etc/passwd")
    assert "a link or a device" in refusal(unpack(archive, folder), "link.png")


FORGED = {
    "encrypted": ({"flags": 0x1}, "protected by a password"),
    "strongly encrypted": ({"flags": 0x40}, "protected by a password"),
    "patch data": ({"flags": 0x20}, "cut off or damaged"),
    "Deflate64": ({"method": 9}, "another method than Deflate"),
    "unknown method": ({"method": 77}, "another method than Deflate"),
    "stored, it says": ({"method": zipfile.ZIP_STORED}, "cut off or damaged"),
    "wrong checksum": ({"crc": 1}, "cut off or damaged"),
    "smaller than it says": ({"size": 2**31}, "cut off or damaged"),
    "larger than it says": ({"size": 10}, "cut off or damaged"),
    "empty, it says": ({"size": 0}, "cut off or damaged"),
    "nothing packed": ({"packed": 0}, "cut off or damaged"),
    "half of it packed": ({"packed": 500}, "cut off or damaged"),
    "more packed than the archive has": ({"packed": 2**31}, "cut off or damaged"),
    "points into its data": ({"offset": 100}, "cut off or damaged"),
    "points behind the end": ({"offset": 2**32 - 2}, "cut off or damaged"),
    "points at another file": ({"offset": 0}, "cut off or damaged"),
}


@pytest.mark.parametrize("case", FORGED)
def test_claims_are_not_believed(case: str, archive: Path, folder: Path) -> None:
    claims, reason = FORGED[case]
    between_good_ones(archive, "forged.png", NOISE[:1000], DEFLATED)
    forge(archive, "forged.png", **claims)
    assert reason in refusal(unpack(archive, folder), "forged.png")
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_without_a_bound_on_memory_are_refused(method: int, archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive, "w") as file:
        for name in ("first.png", "tight.png", "last.png"):
            file.writestr(name, bytes(1000), method if name == "tight.png" else zipfile.ZIP_STORED)
    assert "another method than Deflate" in refusal(unpack(archive, folder), "tight.png")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, DEFLATED])
def test_a_flipped_byte_is_noticed(method: int, archive: Path, folder: Path) -> None:
    between_good_ones(archive, "flipped.png", NOISE, method)
    content = bytearray(archive.read_bytes())
    content[50_000] ^= 1
    archive.write_bytes(content)
    assert "cut off or damaged" in refusal(unpack(archive, folder), "flipped.png")
    assert len(list(folder.iterdir())) == 2


def test_a_file_may_have_the_limit_and_not_one_byte_more(
    archive: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MAX_BYTES", 50_000)
    between_good_ones(archive, "large.png", NOISE[:50_001])
    forge(archive, "large.png", size=2**32 - 2)
    assert "larger than" in refusal(unpack(archive, folder), "large.png")
    assert len(list(folder.iterdir())) == 2
    pack(archive, [("large.png", NOISE[:50_000])])
    assert len(unpack(archive, folder / "again").photographs) == 1


def test_what_grows_too_much_is_refused(archive: Path, folder: Path) -> None:
    between_good_ones(archive, "bomb.png", bytes(1_000_000), DEFLATED)
    assert "grows more than 100 times" in refusal(unpack(archive, folder), "bomb.png")


def test_a_bomb_cannot_claim_its_neighbours_bytes(archive: Path, folder: Path) -> None:
    pack(archive, [("bomb.png", bytes(5_000_000)), ("noise.png", NOISE), ("more.png", NOISE)], DEFLATED)
    forge(archive, "bomb.png", packed=60_000)
    ((name, reason),) = unpack(archive, folder).refused
    assert name == "bomb.png"
    assert "grows more than 100 times" in reason or "damaged" in reason  # newer zipfiles see that it overlaps


def test_a_picture_may_begin_with_one_colour(archive: Path, folder: Path) -> None:
    pack(archive, [("sky.bmp", bytes(5_000_000) + NOISE)], DEFLATED)
    assert len(unpack(archive, folder).photographs) == 1


def test_files_that_share_their_bytes_do_not_all_come_out(archive: Path, folder: Path) -> None:
    pack(archive, [("same.png", NOISE)])
    with zipfile.ZipFile(archive) as file:
        start = file.start_dir
    content = archive.read_bytes()
    lines = content[start : content.rindex(b"PK\5\6")] * 50
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 50, 50, len(lines), start, 0)
    archive.write_bytes(content[:start] + lines + end)
    unpacked = unpack(archive, folder)
    assert len(unpacked.photographs) <= 2
    assert len(unpacked.photographs) + len(unpacked.refused) == 50


def test_a_name_may_come_twice(archive: Path, folder: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        pack(archive, [("same.png", b"one"), ("same.png", b"two")])
    assert contents(unpack(archive, folder)) == [("same.png", b"one"), ("same.png", b"two")]


def zip_of(files: Files) -> bytes:
    content = io.BytesIO()
    pack(content, files)
    return content.getvalue()


WHOLE = zip_of([(f"{number}.png", NOISE[:200]) for number in range(20)])
NO_ARCHIVES = {
    "empty": b"",
    "text": b"This is no archive.\n" * 100,
    "image": b"\x89PNG\r\n\x1a\n" + NOISE,
    "cut off": WHOLE[:-500],
    "end only": WHOLE[-22:],
    "damaged table of contents": WHOLE[:-1000] + b"?" + WHOLE[-999:],
    "table of contents too large": WHOLE[:-10] + struct.pack("<I", 2**31) + WHOLE[-6:],
}


@pytest.mark.parametrize("case", NO_ARCHIVES)
def test_what_is_no_archive_is_refused_in_one_sentence(case: str, archive: Path, folder: Path) -> None:
    archive.write_bytes(NO_ARCHIVES[case])
    with pytest.raises(ArchiveError, match=r"^“photos.zip” is not a ZIP archive, or is cut off or damaged\. .*\.$"):
        unpack(archive, folder)
    assert not folder.exists()


def test_archives_that_are_no_files(tmp_path: Path, folder: Path) -> None:
    for path in (tmp_path, tmp_path / "absent.zip"):
        with pytest.raises(ArchiveError, match="is not a file"):
            unpack(path, folder)


def test_an_archive_of_nothing_gives_nothing(archive: Path, folder: Path) -> None:
    pack(archive, [])
    assert unpack(archive, folder) == ((), ())


def test_too_many_files(archive: Path, folder: Path) -> None:
    pack(archive, [(f"{number}.png", b"") for number in range(3000)])
    with pytest.raises(ArchiveError, match=r"^“photos.zip” has more than 2000 files, the limit\. .*\.$"):
        unpack(archive, folder)
    assert not folder.exists()


def test_a_long_table_of_contents_is_not_read(archive: Path, folder: Path) -> None:
    """Even of clutter, which does not count as files."""
    with zipfile.ZipFile(archive, "w") as file:
        for number in range(100):
            info = zipfile.ZipInfo(f".{number}")
            info.comment = bytes(60_000)
            file.writestr(info, b"")
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveError, match="has more than 2000 files"):
            unpack(archive, folder)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_too_many_packed_bytes(archive: Path, folder: Path) -> None:
    with archive.open("wb") as file:
        file.truncate(200_000_001)  # takes no room on disk
    with pytest.raises(ArchiveError, match=r"^“photos.zip” is larger than 200 MB, the limit\. .*\.$"):
        unpack(archive, folder)


@pytest.mark.parametrize("refused_ones", [False, True])
def test_too_many_unpacked_bytes_leave_nothing(
    refused_ones: bool, archive: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the files are good or each is refused in its last byte."""
    monkeypatch.setattr(archives, "MAX_UNPACKED", 1_000_000)
    pack(archive, [(f"{number:02}.png", NOISE) for number in range(11)])
    for number in range(11 if refused_ones else 0):
        forge(archive, f"{number:02}.png", crc=number)
    folder.mkdir()
    (folder / "mine.txt").touch()
    with pytest.raises(ArchiveError, match=r"^“photos.zip” unpacks to more than 1 MB, the limit\. .*\.$"):
        unpack(archive, folder)
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]


def test_files_are_streamed(archive: Path, folder: Path) -> None:
    pack(archive, [("large.png", NOISE * 100)])
    tracemalloc.start()
    try:
        assert len(unpack(archive, folder).photographs) == 1
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_full_disk_leaves_nothing(archive: Path, folder: Path) -> None:
    resource = pytest.importorskip("resource")
    pack(archive, [("small.png", b"small"), ("large.png", NOISE)])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(OSError):
            unpack(archive, folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(folder.iterdir()) == []


def test_a_file_that_is_there_is_neither_replaced_nor_removed(archive: Path, folder: Path, tmp_path: Path) -> None:
    pack(archive, [("1.png", b"one"), ("2.png", b"two")])
    folder.mkdir()
    outside = tmp_path / "outside.png"
    (folder / "0002.png").symlink_to(outside)
    with pytest.raises(FileExistsError):
        unpack(archive, folder)
    assert [path.name for path in folder.iterdir()] == ["0002.png"]
    assert not outside.exists()


SHOWN = {
    "two\nlines\x1b[31m.png": "two�lines�[31m.png",
    "reversed\u202egnp.exe.png": "reversed�gnp.exe.png",
    "4.15.00\u202fPM größe 部品 é.png": "4.15.00\u202fPM größe 部品 é.png",
    "a/" * 6 + "b" * 300 + ".png": "…" + "b" * 115 + ".png",
    "b" * 116 + ".png": "b" * 116 + ".png",
}


@pytest.mark.parametrize("name", SHOWN)
def test_names_are_fit_to_be_shown(name: str, archive: Path, folder: Path) -> None:
    pack(archive, [(raw(name), b"photo"), (raw(f"{name}.txt"), b"text")])
    unpacked = unpack(archive, folder)
    assert unpacked.photographs == (Photograph(SHOWN[name], folder / "0001.png"),)
    assert len(unpacked.refused[0][0]) <= 120


def test_names_from_macos_are_read_as_utf_8(archive: Path, folder: Path) -> None:
    name = "Gehäuse/größe.png"
    pack(archive, [(name, b"photo")])
    content = bytearray(archive.read_bytes())
    content[content.index(name.encode()) - 30 + 7] = 0  # in front of the file, too
    archive.write_bytes(content)
    forge(archive, name, flags=0)
    assert contents(unpack(archive, folder)) == [(name, b"photo")]


WORDS = st.text("abcXYZ019 _-+()äß部", min_size=1, max_size=8)
SAFE_NAMES = st.builds(
    lambda parts, suffix: "/".join(parts) + suffix,
    st.lists(WORDS, min_size=1, max_size=7),
    st.sampled_from([*SUFFIXES]),
)


@given(files=st.dictionaries(SAFE_NAMES, st.binary(max_size=500), max_size=8), deflate=st.booleans())
@settings(deadline=None)
def test_safe_files_come_back_as_they_were(files: dict[str, bytes], deflate: bool) -> None:
    with tempfile.TemporaryDirectory() as root:
        archive = Path(root, "photos.zip")
        pack(archive, [*files.items()], DEFLATED if deflate else zipfile.ZIP_STORED)
        unpacked = unpack(archive, Path(root, "unpacked"))
        assert contents(unpacked) == [*files.items()]
        assert unpacked.refused == ()


def check_that_all_is_in_the_folder(root: Path, unpacked: Pile | None) -> None:
    """Nothing beside the archive and the folder, and in that nothing but the photos that are told of."""
    assert {path.name for path in root.iterdir()} <= {"photos.zip", "unpacked"}
    there = sorted(root.glob("unpacked/**/*"))
    assert there == ([path for _, path, _ in unpacked.photographs] if unpacked else [])
    assert all(re.fullmatch(r"\d{4}\.[a-z0-9]{3,4}", path.name) and path.is_file() for path in there)


ODD_NAMES = st.text(st.sampled_from("./\\:~aC\0\n") | st.characters(codec="utf-8"), max_size=12)


@given(names=st.lists(st.tuples(ODD_NAMES, st.sampled_from([*sorted(SUFFIXES), "", "/"])).map("".join), max_size=6))
@settings(deadline=None)
def test_no_name_leads_out_of_the_folder(names: list[str]) -> None:
    names = [*dict.fromkeys(names)]
    with tempfile.TemporaryDirectory() as root:
        pack(Path(root, "photos.zip"), [(raw(name), b"evil") for name in names])
        check_that_all_is_in_the_folder(Path(root), unpack(Path(root, "photos.zip"), Path(root, "unpacked")))


PHOTOS: Files = [("a/1.png", NOISE[:300]), ("b.jpg", bytes(300) + NOISE[:100]), ("../c.png", b"c"), ("d.txt", b"d")]


@given(
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),
    kept=st.sampled_from([1.0, 1.0, 1.0, 0.9, 0.5]),
)
@settings(deadline=None, max_examples=300)
def test_damage_anywhere_costs_no_more_than_files(changes: list[tuple[float, int]], kept: float) -> None:
    with tempfile.TemporaryDirectory() as root:
        archive = Path(root, "photos.zip")
        pack(archive, PHOTOS, DEFLATED)
        content = bytearray(archive.read_bytes())
        for where, value in changes:
            content[int(where * len(content))] = value
        archive.write_bytes(content[: int(kept * len(content))])
        try:
            unpacked = unpack(archive, Path(root, "unpacked"))
        except ArchiveError:
            unpacked = None
        check_that_all_is_in_the_folder(Path(root), unpacked)
        if unpacked:
            assert {content for _, content in contents(unpacked)} <= {content for _, content in PHOTOS}
