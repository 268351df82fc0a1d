"""From what a person gives, files, folders and ZIP archives, to one pile of photographs."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from ltad.errors import ImageError
from ltad.photos.archive import unpack
from ltad.photos.clutter import photographs_below
from ltad.photos.decode import READABLE, SUFFIXES
from ltad.photos.pile import Photograph, Pile, Refusal

ARCHIVE = ".zip"


def gather(sources: Iterable[Path], folder: Path) -> Pile:
    """Take files, the photographs below folders, and those in ZIP archives, which are unpacked below ``folder``.

    Names are those of the files, from the folder or archive on that they came in. Raises ImageError for an empty
    folder, and what ``unpack`` raises.
    """
    photographs: list[Photograph] = []
    refused: list[Refusal] = []
    for number, (name, file) in enumerate(_named(sources)):
        if file.suffix.lower() == ARCHIVE:
            unpacked = unpack(file, folder / str(number))
            photographs += unpacked.photographs
            refused += unpacked.refused
        else:
            photographs.append(Photograph(name, file))
    return Pile(tuple(photographs), tuple(refused))


def _named(sources: Iterable[Path]) -> Iterator[tuple[str, Path]]:
    for source in sources:
        if source.is_dir():
            files = files_below(source, SUFFIXES | {ARCHIVE})
            yield from ((file.relative_to(source).as_posix(), file) for file in files)
        else:
            yield source.name, source


def files_below(folder: Path, suffixes: frozenset[str] = SUFFIXES) -> list[Path]:
    """What ``photographs_below`` finds; ImageError where that is nothing."""
    files = photographs_below(folder, suffixes)
    if not files:
        raise ImageError(f"The folder “{folder}” holds no files that are photographs. Save them as {READABLE}.")
    return files
