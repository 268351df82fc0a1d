"""A ZIP from somebody unknown: its photographs on disk under names of our own, the rest refused by name.

No header is believed: bytes are counted as they come out, and no name from the archive becomes a path.
"""

import io
import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Self
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from ltad.errors import ArchiveError
from ltad.photos.clutter import is_clutter
from ltad.photos.decode import MAX_BYTES, READABLE, SUFFIXES
from ltad.photos.pile import Photograph, Pile, Refusal

MAX_PACKED = 200_000_000
MAX_UNPACKED = 1_000_000_000
MAX_FILES = 2000
MAX_RATIO = 100
MAX_DEPTH = 6
MAX_CONTENTS = 4_000_000  # bytes of the table of contents, some hundred for each file
MAX_NAME = 120
_ARCHIVES = frozenset({".zip", ".7z", ".rar", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst"})
_DAMAGED = "This file is cut off or damaged. Pack it again."
_BLOCK = 16_384


def unpack(archive: str | os.PathLike[str], folder: str | os.PathLike[str]) -> Pile:
    """Write the photographs of a ZIP archive into a folder, which is made where it is missing.

    Folders, hidden files and what macOS and Windows add by themselves are passed over without a word. When
    anything is raised, none of the files written so far stays.

    Raises:
        ArchiveError: the archive is missing, no ZIP, damaged, or over 200 MB, 2000 files or 1 GB unpacked.
        OSError: a file could not be written.
    """
    folder = Path(folder)
    photographs: list[Photograph] = []
    refused: list[Refusal] = []
    with _Archive(Path(archive)) as opened:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            for number, info in enumerate(opened.files, start=1):
                name = _shown(_name(info))
                try:
                    path = folder / f"{number:04}{_checked_suffix(info)}"
                    _write(opened.blocks(info), path)
                except _Refused as refusal:
                    refused.append(Refusal(name, str(refusal)))
                else:
                    photographs.append(Photograph(name, path))
        except BaseException:
            for photograph in photographs:
                photograph.path.unlink(missing_ok=True)
            raise
    return Pile(tuple(photographs), tuple(refused))


class _Refused(Exception):
    """One file is refused, with the sentence that says why; the others are not."""


class _Counted(io.BufferedReader):
    """The packed bytes, counted as zipfile asks for them."""

    count = 0

    def read(self, size: int | None = -1, /) -> bytes:
        # zipfile reads the table of contents as a whole and makes an object of each line before it can be counted.
        if size is not None and size > MAX_CONTENTS:
            raise _TooManyFiles
        content = super().read(size)
        self.count += len(content)
        return content


class _TooManyFiles(Exception):
    """The table of contents is longer than that of any archive within the limits."""


class _Archive:
    """An open archive, and how much has been read of it and has come out."""

    def __init__(self, path: Path) -> None:
        self._subject = f"“{_shown(path.name)}”"
        if not path.is_file():
            raise ArchiveError(f"“{path}” is not a file. Check the path.")
        try:
            self._packed = _Counted(io.FileIO(path))
        except OSError as error:
            reason = f"{error.strerror}. Check the file and its permissions."
            raise ArchiveError(f"“{path}” cannot be opened: {reason}") from error
        try:
            size = os.fstat(self._packed.fileno()).st_size
            self.files = self._list(size)
            self._most_read = self._packed.count + 2 * size  # twice, or one that lies would be at the cost of the rest
            self._unpacked = 0
        except BaseException:
            self._packed.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._packed.close()

    def _list(self, size: int) -> list[ZipInfo]:
        if size > MAX_PACKED:
            limit = f"{MAX_PACKED // 10**6} MB, the limit"
            raise ArchiveError(f"{self._subject} is larger than {limit}. Split it into smaller archives.")
        try:
            self._zip = ZipFile(self._packed)
            files = [info for info in self._zip.infolist() if not _is_passed_over(_name(info))]
        except _TooManyFiles:
            files = None
        except Exception as error:  # whatever the bytes provoke
            message = f"{self._subject} is not a ZIP archive, or is cut off or damaged. Pack the photographs again."
            raise ArchiveError(message) from error
        if files is None or len(files) > MAX_FILES:
            limit = f"more than {MAX_FILES} files, the limit"
            raise ArchiveError(f"{self._subject} has {limit}. Split it into smaller archives.")
        return files

    def blocks(self, info: ZipInfo) -> Iterator[bytes]:
        """Yield a file's contents and stop as soon as they pass a limit.

        Raises:
            _Refused: because of this file.
            ArchiveError: because of all files so far.
        """
        # Files that share packed bytes would make a small archive endless work, even where nothing comes out.
        if self._packed.count + info.compress_size > self._most_read:
            raise _Refused(_DAMAGED)
        size = 0
        for block in self._read(info):
            size += len(block)
            self._unpacked += len(block)
            if self._unpacked > MAX_UNPACKED:
                limit = f"more than {MAX_UNPACKED // 10**6} MB, the limit"
                raise ArchiveError(f"{self._subject} unpacks to {limit}. Split it into smaller archives.")
            if size > MAX_BYTES:
                limit = f"{MAX_BYTES // 10**6} MB, the limit"
                raise _Refused(f"This file is larger than {limit}. Make it smaller and try again.")
            yield block

    def _read(self, info: ZipInfo) -> Iterator[bytes]:
        """Yield a file's contents; refuse it where they are damaged or were packed too tightly."""
        size = 0
        try:
            with self._zip.open(info) as member:
                start = self._packed.count
                while block := member.read(_BLOCK):
                    size += len(block)
                    _check_ratio(size, info.compress_size)  # of which zipfile reads no more
                    yield block
        except _Refused:
            raise
        except Exception as error:  # whatever the bytes provoke
            raise _Refused(_DAMAGED) from error
        # Only now, because the first half of a good picture may be one colour. The count is the true one, or more by
        # less than a block.
        _check_ratio(size, self._packed.count - start)
        if size != info.file_size:
            raise _Refused(_DAMAGED)


def _check_ratio(size: int, packed: int) -> None:
    if size > MAX_RATIO * packed:
        raise _Refused(f"This file grows more than {MAX_RATIO} times when unpacked, the limit. Save it as PNG or JPEG.")


def _write(blocks: Iterator[bytes], path: Path) -> None:
    """Write a new file; nothing is left of it when anything goes wrong."""
    file = path.open("xb")
    try:
        with file:
            file.writelines(blocks)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _name(info: ZipInfo) -> str:
    """Return a file's name in the archive with forward slashes."""
    name = info.filename
    if not info.flag_bits & 0x800:  # said to be code page 437, yet macOS writes UTF-8
        try:
            name = name.encode("cp437").decode("utf-8")
        except UnicodeError:
            pass
    return name.replace("\\", "/")


def _parts(name: str) -> list[str]:
    return [part for part in name.split("/") if part not in ("", ".")]


def _is_passed_over(name: str) -> bool:
    """Whether nobody meant to pack it: a folder by itself, or clutter."""
    return name.endswith("/") or is_clutter(_parts(name))


def _checked_suffix(info: ZipInfo) -> str:
    """Return the suffix of what may be a photograph, as far as the table of contents tells."""
    name = _name(info)
    parts = _parts(name)
    suffix = PurePosixPath(name).suffix.lower()
    if name.startswith("/") or ".." in parts or re.match("[A-Za-z]:", name):
        raise _Refused("This file's path leads out of the archive. Pack it with a plain path.")
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
        raise _Refused("This is a link or a device, not a file. Pack the photograph itself.")
    if info.flag_bits & 0x41:  # the usual encryption and the strong one
        raise _Refused("This file is protected by a password. Pack it without one.")
    if suffix in _ARCHIVES:
        raise _Refused("This is an archive in the archive. Unpack it first.")
    if suffix not in SUFFIXES:
        raise _Refused(f"This file is not named like an image. Save it as {READABLE}.")
    if len(parts) - 1 > MAX_DEPTH:
        raise _Refused(f"This file is more than {MAX_DEPTH} folders deep, the limit. Move it up.")
    # What zipfile makes of one block in the other methods may be larger than memory.
    if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise _Refused("This file is compressed by another method than Deflate. Pack it as an ordinary ZIP.")
    return suffix


def _shown(name: str) -> str:
    """Make a name fit to be shown: no control characters, and of a long one the end."""
    plain = "".join("�" if unicodedata.category(c)[0] == "C" or c in "\u2028\u2029" else c for c in name)
    return plain if len(plain) <= MAX_NAME else f"…{plain[1 - MAX_NAME :]}"
