"""Where the page's libraries write, on a machine where their usual places cannot be written."""

import os
import tempfile
from pathlib import Path

from ltad.errors import WriteError
from ltad.files import refuse_unwritable
from ltad.machine import cache_folder, temporary_folder


def settle_where_it_can_be_written() -> None:
    """Give Gradio's uploads and matplotlib's caches another folder where they need one; before these are imported.

    A container may run as somebody without a home, and Gradio's own folder, which all users of a machine share, may be
    another one's.
    """
    if not _can_be_written(Path(tempfile.gettempdir(), "gradio")):
        os.environ.setdefault("GRADIO_TEMP_DIR", str(temporary_folder("gradio")))
    if not _can_be_written(Path(os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config"))):
        os.environ.setdefault("MPLCONFIGDIR", str(cache_folder() / "matplotlib"))


def _can_be_written(folder: Path) -> bool:
    try:
        refuse_unwritable(folder, is_folder=True)
    except WriteError:
        return False
    return True
