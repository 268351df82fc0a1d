"""A Hugging Face Space: a container whose disk is lost at every restart, unless storage was added to it."""

import os
from pathlib import Path

STORAGE = Path("/data")  # where a Space has the storage that outlives it


def storage() -> Path | None:
    """The folder of this Space that a restart leaves as it is; None where there is none, or this is no Space."""
    return STORAGE if _is_a_space() and os.access(STORAGE, os.W_OK) else None


def forgets() -> bool:
    """Whether this is a Space that loses its trainings when it restarts."""
    return _is_a_space() and storage() is None


def _is_a_space() -> bool:
    return bool(os.environ.get("SPACE_ID"))
