"""The bytes of a photograph's file, for whoever names the file himself."""

from pathlib import Path

from ltad.errors import ImageError
from ltad.photos.decode import MAX_BYTES


def content_of(path: Path) -> bytes:
    """Read a file, of one that is larger than a photograph may be just enough for the decoder to refuse it.

    Raises:
        ImageError: it cannot be opened; the sentence does not name it.
    """
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ImageError(f"This file cannot be opened: {reason}. Check it and its permissions.") from error
