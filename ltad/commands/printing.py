"""What a command prints: neither a character that the terminal lacks nor a reader that has gone ends a run."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO

from ltad.words import AS_JSON

GONE = (errno.EPIPE, errno.EINVAL)  # what a pipe answers whose reader has gone, here and on Windows


class Printed:
    """A stream that takes everything.

    What its encoding lacks is written as JSON writes it. Once it refuses, the rest goes nowhere. refusal: why it did.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.refusal: OSError | None = None

    def write(self, text: str) -> int:
        """Write what can be written."""
        encoding = self._stream.encoding or "utf-8"  # a stream in memory has none
        try:
            self._stream.write(text.encode(encoding, AS_JSON).decode(encoding))
        except OSError as error:
            self._go_nowhere(error)
        return len(text)

    def flush(self) -> None:
        """Write what waits."""
        try:
            self._stream.flush()
        except OSError as error:
            self._go_nowhere(error)

    def lost(self) -> str | None:
        """Why what was printed did not arrive, though its reader waits for it; None where it did, or nobody does."""
        self.flush()
        if self.refusal is None or self.refusal.errno in GONE:
            return None
        return self.refusal.strerror or str(self.refusal)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _go_nowhere(self, error: OSError) -> None:
        """Let what waits and all that comes vanish; Python itself would try again when it ends."""
        self.refusal = self.refusal or error
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), self._stream.fileno())


@contextmanager
def everything_printed() -> Iterator[Any]:
    """Take what is printed in the block, see ``Printed``, and give standard output; None where there is none."""
    out, err = (Printed(stream) if stream else None for stream in (sys.stdout, sys.stderr))
    streams: tuple[Any, Any] = (out, err)
    with redirect_stdout(streams[0]), redirect_stderr(streams[1]):
        try:
            yield out
        finally:
            for stream in filter(None, (out, err)):
                stream.flush()


def is_heard() -> bool:
    """Whether anybody still reads what is printed."""
    return getattr(sys.stdout, "refusal", None) is None
