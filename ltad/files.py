"""Files that are whole or not there: a reader never meets half of one, whatever interrupts the writer."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from ltad.errors import WriteError


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside ``path``; what is written there takes its place when the block ends well.

    Raises WriteError where the disk refuses.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        yield partial
        partial.chmod(0o644)  # safetensors writes files that only their owner can read
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except (OSError, SafetensorError) as error:  # the latter is what safetensors makes of a full disk
        reason = getattr(error, "strerror", None) or error
        raise WriteError(
            f"“{path}” could not be written: {reason}. Make room, or choose another folder, and try again."
        ) from error
    finally:
        partial.unlink(missing_ok=True)


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
    """Write a text file, whole or not at all."""
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")
