"""What an inspection leaves in a folder: a map and an overlay of each photograph, under names that nothing else has."""

import os
import unicodedata
from itertools import count
from pathlib import Path

from ltad.inspection.pictures import full_scale, overlay, save_map, save_result
from ltad.inspection.prediction import Prediction
from ltad.photos.clutter import MAP, OVERLAY

LONGEST = 200  # bytes of a photograph's name that are kept: with what is added, most file systems take 255


class Results:
    """The pictures of an inspection, in a folder that is made with the first of them.

    Nothing that is there is replaced: where a name is taken, by another photograph or by an earlier inspection, it gets
    the next number that is free. Names that differ only in letter case, or in how an accent is composed, are one name,
    as they are on Windows and macOS.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._taken = {_sameness(path.name) for path in folder.iterdir()} if folder.is_dir() else set()

    def write(self, prediction: Prediction, photograph: Path) -> dict[str, str]:
        """Write the pictures of a photograph, and give the path of each: STEM_map.png, STEM_overlay.png."""
        stem = self._free(photograph.stem)
        threshold, shown = prediction.judgement.threshold, prediction.anomaly_map
        paths = {"map": self.folder / f"{stem}{MAP}", "overlay": self.folder / f"{stem}{OVERLAY}"}
        save_map(shown, paths["map"], full_scale(threshold))
        save_result(overlay(prediction.photo.image, shown, threshold), paths["overlay"], full_scale(threshold))
        return {kind: str(path) for kind, path in paths.items()}

    def _free(self, stem: str) -> str:
        """The stem, cut and numbered until neither picture's name is taken; then both are."""
        while len(os.fsencode(stem)) > LONGEST:
            stem = stem[:-1]
        for number in count(1):
            numbered = stem if number == 1 else f"{stem}-{number}"
            names = {_sameness(numbered + ending) for ending in (MAP, OVERLAY)}
            if not names & self._taken:
                break
        self._taken |= names
        return numbered


def _sameness(name: str) -> str:
    """What two names have in common that some file system takes for the same."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
