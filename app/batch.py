"""A batch of photographs: judged one after the other, kept while its page is open, and taken away as files."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any, NamedTuple
from weakref import finalize
from zipfile import ZIP_STORED, ZipFile

import numpy as np
from PIL import Image

from app import viewer
from app.theme import STYLE
from ltad import images
from ltad.archives import MAX_FILES, gather
from ltad.checkpoint import CheckpointCard
from ltad.errors import ImageError
from ltad.predictor import ALL, Prediction, Predictor
from ltad.visualization import full_scale

THUMB_SIDE = 72  # pixels, in the table
REPORT_SIDE = 512  # pixels, in the report that is taken away
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would take a cell that begins so for a formula
COLUMNS = ("image", "verdict", "image_score", "threshold", "p_value", "class", "similarity", "known", "places", "error")


class Item(NamedTuple):
    """One photograph of a batch, or why it is none: then there is no file, no report and no map.

    report: as ``Prediction.report`` gives it. facts: what the viewer needs. patches: the map's patches (h, w).
    """

    name: str
    error: str = ""
    path: Path | None = None
    thumb: str = ""
    report: dict[str, Any] | None = None
    facts: dict[str, Any] | None = None
    patches: np.ndarray | None = None


class Batch:
    """The photographs of one upload, with a folder for what belongs to them; closed or forgotten, the folder goes."""

    def __init__(self, files: Sequence[str], card: CheckpointCard) -> None:
        """Take uploaded files, ZIP archives among them.

        total says how many items there will be. Raises ImageError where there is nothing, or too much, and
        ArchiveError for an archive that is refused whole.
        """
        self.card = card
        self.folder = Path(mkdtemp(prefix="ltad-batch-"))
        self._delete = finalize(self, rmtree, self.folder, ignore_errors=True)
        photos, refused = gather([Path(file) for file in files], self.folder)
        self._waiting = list(photos)
        self.items = [Item(name, error=reason) for name, reason in refused]
        self.total = len(self._waiting) + len(self.items)
        if not self.total:
            raise ImageError("There are no photographs. Drop some, or a ZIP archive of them.")
        if self.total > MAX_FILES:
            raise ImageError(f"These are {self.total} files, and {MAX_FILES} can be judged at once. Drop fewer.")

    def close(self) -> None:
        """Delete what was unpacked."""
        self._delete()

    def run(self, predictor: Predictor, class_name: str) -> Iterator[Item]:
        """Judge what waits, and give every item as it is done; one call takes all that waits."""
        waiting, self._waiting = self._waiting, []
        predictions = predictor.predict_many((path.read_bytes() for _, path in waiting), class_name)
        for (name, path), prediction in zip(waiting, predictions, strict=True):
            if isinstance(prediction, ImageError):
                item = Item(name, error=str(prediction))
            else:
                item = _item(name, path, prediction, self.card)
            self.items.append(item)
            yield item

    def rows(self, start: int = 0) -> list[dict[str, Any]]:
        """What the table in the browser shows of the items from ``start`` on."""
        return [{"number": number, **_row(item)} for number, item in enumerate(self.items[start:], start)]

    def table(self, rate: float) -> list[dict[str, Any]]:
        """One line for every item, judged at a false-alarm rate; keys are ``COLUMNS``, None where there is no value."""
        return [dict.fromkeys(COLUMNS) | self._line(item, rate) for item in self.items]

    def _line(self, item: Item, rate: float) -> dict[str, Any]:
        if item.report is None:
            return {"image": item.name, "error": item.error}
        found = item.report["class"]
        judgement = self.card.calibration.judge(item.report["image_score"], found["name"], rate)
        return {
            "image": item.name,
            "verdict": judgement.verdict,
            "image_score": item.report["image_score"],
            "threshold": round(judgement.threshold, 5),
            "p_value": round(judgement.p_value, 5),
            "class": found["name"],
            "similarity": found["similarity"],
            "known": found["known"],
            "places": len(item.report["regions"]),
        }

    def csv(self, rate: float) -> str:
        """The table as a spreadsheet reads it."""
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\r\n")
        writer.writeheader()
        writer.writerows({key: _cell(value) for key, value in line.items()} for line in self.table(rate))
        return text.getvalue()

    def json(self) -> str:
        """The reports, each with the name of its image, at the checkpoint's own false-alarm rate."""
        reports = [{"image": i.name} | (i.report or {"error": i.error}) for i in self.items]
        return json.dumps(reports, ensure_ascii=False, indent=1)

    def write_maps(self, path: Path) -> None:
        """Write a ZIP of the anomaly maps, in the photographs' pixels, as 16-bit PNGs (see ``images.save_map``)."""
        with ZipFile(path, "w", ZIP_STORED) as archive:
            for number, item in enumerate(self.items):
                if item.report is None or item.patches is None:
                    continue
                anomaly_map = images.map_to_image(item.patches, *item.report["image_size"])
                picture = self.folder / "map.png"
                images.save_map(anomaly_map, picture, full_scale(item.report["threshold"]))
                archive.write(picture, f"{number:04}_{Path(item.name).stem}_map.png")

    def report(self) -> str:
        """A page that needs nothing else: the table, and every photograph with its map."""
        photos = [_small_photo(item) for item in self.items]
        rows = [
            row | {"facts": item.facts, "photo": photo}
            for row, item, photo in zip(self.rows(), self.items, photos, strict=True)
        ]
        style = "".join(path.read_text(encoding="utf-8") for path in (viewer.REPORT_STYLE, STYLE, viewer.STYLE))
        title = f"{len(rows)} photographs on {escape(self.card.name)}"
        return f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>LTAD: {title}</title>
<meta name="viewport" content="width=device-width"><style>{style}</style>{viewer.head()}</head>
<body class="gradio-container"><h1>{title}</h1><div class="sides">
{batch_element(rows, len(rows), self.card, "report")}<div id="shown"></div></div></body></html>"""


def batch_element(rows: list[dict[str, Any]], total: int, card: CheckpointCard, key: str) -> str:
    """The table in the browser, told some rows; ``key`` tells one batch from another."""
    calibration = card.calibration
    shared = {
        "all": calibration.everything(),
        "rate": card.config.calibration.false_alarm_rate,
        "classes": calibration.scores,
    }
    attributes = {"key": key, "total": total, "rows": rows, "calibration": shared}
    told = " ".join(f'data-{name}="{escape(_compact(value))}"' for name, value in attributes.items())
    return f"<ltad-batch {told}></ltad-batch>"


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _item(name: str, path: Path, prediction: Prediction, card: CheckpointCard) -> Item:
    facts = viewer.prediction_facts(prediction, card)
    thumb = prediction.photo.image.copy()
    thumb.thumbnail((THUMB_SIDE, THUMB_SIDE))
    patches = prediction.patch_maps[ALL]
    return Item(name, "", path, viewer.data_uri(thumb), prediction.report(), facts, patches)


def _row(item: Item) -> dict[str, Any]:
    if item.facts is None:
        return {"name": item.name, "error": item.error}
    shown = {key: item.facts[key] for key in ("score", "className", "known", "similarity")}
    return {"name": item.name, "thumb": item.thumb, **shown}


def _small_photo(item: Item) -> str:
    if item.path is None:
        return ""
    photo = images.open_photo(item.path.read_bytes()).image
    photo.thumbnail((REPORT_SIDE, REPORT_SIDE), Image.Resampling.BILINEAR)
    return viewer.data_uri(photo)


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
