"""A large photograph in tiles, of which a browser asks for those that are looked at closely."""

from pathlib import Path
from tempfile import mkdtemp
from typing import NamedTuple

from PIL import Image

OVERVIEW = 1600  # pixels of the longer side that a browser is sent at once
TILE = 1024  # pixels of a tile's side
QUALITY = 92  # of a tile's file; every pixel keeps its own colour


class Tiles(NamedTuple):
    """A photograph of a size (width, height) in tiles of ``TILE`` pixels, row by row; the last ones are smaller."""

    size: tuple[int, int]
    files: list[str]

    @classmethod
    def cut(cls, photo: Image.Image, folder: Path) -> "Tiles | None":
        """Write the tiles of a photograph to a new folder below one; None where it is small enough to be sent whole."""
        width, height = photo.size
        if max(width, height) <= OVERVIEW:
            return None
        folder.mkdir(parents=True, exist_ok=True)
        own, files = Path(mkdtemp(dir=folder)), []
        for top in range(0, height, TILE):
            for left in range(0, width, TILE):
                path = own / f"{left}-{top}.jpg"
                box = (left, top, min(left + TILE, width), min(top + TILE, height))
                photo.crop(box).save(path, quality=QUALITY, subsampling=0)
                files.append(str(path))
        return cls((width, height), files)
