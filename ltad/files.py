"""Files that are whole or not there: a reader never meets half of one, whatever interrupts the writer."""

import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from ltad.errors import WriteError
from ltad.words import AS_JSON

PATIENCE = 2.0 if os.name == "nt" else 0.0  # seconds: Windows lets no file be replaced while somebody reads it


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside ``path``; what is written there takes its place when the block ends well.

    The folder is made where it is missing. Raises WriteError where the disk refuses.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.chmod(0o644)  # safetensors writes files that only their owner can read
        with partial.open("r+b") as file:  # Windows flushes only what may be written
            os.fsync(file.fileno())
        _take_the_place(partial, path)
    except (OSError, SafetensorError) as error:  # the latter is what safetensors makes of a full disk
        reason = getattr(error, "strerror", None) or error
        raise WriteError(
            f"“{path}” could not be written: {reason}. Make room, or choose another folder, and try again."
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def _take_the_place(partial: Path, path: Path) -> None:
    """Put a file in the place of another, once nobody reads that any more where the system asks for it."""
    patience = time.monotonic() + PATIENCE
    while True:
        try:
            partial.replace(path)
            return
        except PermissionError:
            if time.monotonic() > patience:
                raise
            time.sleep(0.01)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder beside ``path``; it takes its place when the block ends well, if nothing is there yet.

    Raises WriteError where the disk refuses.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        partial.mkdir(parents=True)
        yield partial
        if not path.exists():
            partial.rename(path)
    except OSError as error:
        if not path.is_dir():  # another process may have been quicker with the same
            raise WriteError(f"“{path}” could not be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file, whole or not at all; of a file's name, bytes that are no text are written as JSON does."""
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8", errors=AS_JSON, newline="\n")


def refuse_unwritable(path: Path, *, is_folder: bool) -> None:
    """Raise WriteError where a folder, or a file, can never be written at a path; nothing is made there yet.

    It is tried, in the folder or in the nearest one above it that is there: permissions say too little, on a disk that
    is read-only, for one who may do everything, and on Windows.
    """
    try:
        if path.exists() and not (path.is_dir() if is_folder else path.is_file()):
            raise WriteError(f"“{path}” is there and is no {'folder' if is_folder else 'file'}. Give another path.")
        place = path if is_folder else path.parent
        place = next((each for each in (place, *place.absolute().parents) if each.exists()), place)
        trial = place / f".{secrets.token_hex(4)}"
        trial.touch(exist_ok=False)
        trial.unlink()
    except WriteError:
        raise
    except OSError as error:
        reason = error.strerror or error
        raise WriteError(f"“{path}” cannot be written: {reason}. Give a path in a folder that can be.") from error
