"""Files that the page shows its answers from: each is written once, and never again."""

import zlib
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from gradio.processing_utils import save_file_to_cache
from PIL import Image

# How a PNG is packed: as usual takes four times as long and saves nothing.
PACKED: dict[str, Any] = {"compress_level": 1, "compress_type": zlib.Z_RLE}


def in_a_new_file(picture: Any, cache: str) -> Any:
    """Write a picture to a new file below Gradio's cache, which is swept, and give its path; a path is given as it is.

    Gradio itself names the file by what is in it, and writes it anew, in place, whenever the same picture is shown
    again: another visitor who reads it then gets a picture cut to nothing.
    """
    if not isinstance(picture, Image.Image):
        return picture
    Path(cache).mkdir(parents=True, exist_ok=True)
    path = Path(mkdtemp(dir=cache), "image.png")
    picture.save(path, **PACKED)
    return str(path)


def in_the_cache(path: Path, cache: str) -> str:
    """Copy a file to Gradio's cache and give its path: Gradio sends none that lies elsewhere, as trainings do."""
    return save_file_to_cache(path, cache)
