"""What lies among photographs and is none: hidden things, what systems add by themselves, and our own results.

The one list, for folders and archives alike.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

_SYSTEM_FOLDERS = frozenset({"__macosx", "$recycle.bin", "system volume information", "@eadir"})
_SYSTEM_FILES = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini"})
MAP, OVERLAY = "_map.png", "_overlay.png"  # after the stem of a photograph: what “inspect” writes of it
FULL_SCALE = "full_scale"  # the text in these PNGs that says what value white stands for


def is_clutter(parts: Sequence[str]) -> bool:
    """Whether a file or folder of this path, from what a person gave on, is hidden or a system's own."""
    hidden = any(part.startswith(".") and part not in (".", "..") for part in parts)
    systems = any(part.lower() in _SYSTEM_FOLDERS for part in parts)
    return hidden or systems or (parts or [""])[-1].lower() in _SYSTEM_FILES


def is_result(path: Path) -> bool:
    """Whether “inspect” wrote this picture: by its name, and by its text or the other picture of the pair beside it."""
    ending = next((ending for ending in (MAP, OVERLAY) if path.name.endswith(ending)), None)
    if ending is None:
        return False
    other = OVERLAY if ending == MAP else MAP
    return (path.parent / (path.name.removesuffix(ending) + other)).is_file() or _says_its_scale(path)


def _says_its_scale(path: Path) -> bool:
    try:
        with Image.open(path, formats=["PNG"]) as image:
            return FULL_SCALE in image.info
    except Exception:  # whatever the bytes provoke; it is for the decoder to say what is wrong with them
        return False


def photographs_below(folder: Path, suffixes: frozenset[str]) -> list[Path]:
    """Every file below a folder whose name ends like a photograph's, by path; clutter and results are passed over.

    Links to folders are followed, but not up, and no folder is entered twice.
    """
    real = folder.resolve()
    entered, found = {real, *real.parents}, []
    for place, folders, files in os.walk(folder, followlinks=True):
        inside = {Path(place, name).resolve(): name for name in sorted(folders, reverse=True) if not is_clutter([name])}
        folders[:] = [name for own, name in inside.items() if own not in entered]
        entered |= inside.keys()
        named = (Path(place, name) for name in files if not is_clutter([name]))
        found += [path for path in named if path.suffix.lower() in suffixes and not is_result(path)]
    return sorted(found)
