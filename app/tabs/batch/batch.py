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

from PIL import Image

from app import viewer
from app.theme import STYLE
from app.viewer import prediction_facts
from ltad.checkpoint.card import CheckpointCard
from ltad.errors import ImageError
from ltad.inspection.pictures import full_scale, save_map
from ltad.inspection.prediction import UNKNOWN, Prediction
from ltad.inspection.predictor import Predictor
from ltad.photos.archive import MAX_FILES
from ltad.photos.decode import open_photo
from ltad.photos.gather import gather
from ltad.photos.pile import Photograph

NO_PHOTOGRAPHS = "There are no photographs. Drop some, or a ZIP archive of them."
THUMB_SIDE = 72  # pixels, in the table
REPORT_SIDE = 512  # pixels, in the report that is taken away
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would take a cell that begins so for a formula
COLUMNS = (  # class: empty where none was given or recognised; similarity: to the class that it was judged as
    "image",
    "verdict",
    "provisional",
    "image_score",
    "threshold",
    "p_value",
    "class",
    "nearest",
    "similarity",
    "known",
    "places",
    "error",
)


class Item(NamedTuple):
    """One photograph of a batch, or why it is none: then there is no prediction.

    prediction: at the checkpoint's own false-alarm rate, with a small picture in the photograph's place.
    """

    photograph: Photograph
    error: str = ""
    prediction: Prediction | None = None


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
        pile = gather([Path(file) for file in files], self.folder)
        self._waiting = list(pile.photographs)
        self.items = [Item(Photograph(name, Path()), error=reason) for name, reason in pile.refused]
        self.total = len(self._waiting) + len(self.items)
        if not self.total:
            raise ImageError(NO_PHOTOGRAPHS)
        if self.total > MAX_FILES:
            raise ImageError(f"These are {self.total} files, and {MAX_FILES} can be judged at once. Drop fewer.")

    def close(self) -> None:
        """Delete what was unpacked."""
        self._delete()

    @property
    def is_gone(self) -> bool:
        """Whether it was closed, and nothing can be looked at or taken away any more."""
        return not self.folder.is_dir()

    def run(self, predictor: Predictor, class_name: str) -> Iterator[Item]:
        """Judge what waits, and give every item as it is done; one call takes all that waits."""
        waiting, self._waiting = self._waiting, []
        predictions = predictor.predict_many((photograph.path.read_bytes() for photograph in waiting), class_name)
        for photograph, prediction in zip(waiting, predictions, strict=True):
            if isinstance(prediction, ImageError):
                item = Item(photograph, error=str(prediction))
            else:
                item = Item(photograph, prediction=prediction.small(THUMB_SIDE))
            self.items.append(item)
            yield item

    def rows(self, start: int = 0) -> list[dict[str, Any]]:
        """What the table in the browser shows of the items from ``start`` on."""
        return [{"number": number, **_row(item)} for number, item in enumerate(self.items[start:], start)]

    def table(self, rate: float) -> list[dict[str, Any]]:
        """One line for every item, judged at a false-alarm rate; keys are ``COLUMNS``, None where there is no value."""
        return [dict.fromkeys(COLUMNS) | self._line(item, rate) for item in self.items]

    def _line(self, item: Item, rate: float) -> dict[str, Any]:
        if item.prediction is None:
            return {"image": item.photograph.name, "error": item.error}
        report = item.prediction.at(rate).report()
        found = report["class"]
        return {
            "image": item.photograph.name,
            "verdict": report["verdict"],
            "provisional": report["provisional"],
            "image_score": report["image_score"],
            "threshold": report["threshold"],
            "p_value": report["p_value"],
            "class": found["name"],
            "nearest": report["top_classes"][0]["name"],
            "similarity": found["similarity"],
            "known": found["known"],
            "places": len(report["regions"]),
        }

    def csv(self, rate: float) -> str:
        """The table as a spreadsheet reads it."""
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\r\n")
        writer.writeheader()
        writer.writerows({key: _cell(value) for key, value in line.items()} for line in self.table(rate))
        return text.getvalue()

    def json(self, rate: float) -> str:
        """The reports, each with the name of its image, judged at a false-alarm rate."""
        reports = [
            {"image": i.photograph.name} | (i.prediction.at(rate).report() if i.prediction else {"error": i.error})
            for i in self.items
        ]
        return json.dumps(reports, ensure_ascii=False, indent=1)

    def write_maps(self, path: Path, rate: float) -> None:
        """Write a ZIP of the anomaly maps, in the photographs' pixels, as 16-bit PNGs (see ``save_map``).

        White is twice the threshold at the false-alarm rate.
        """
        with ZipFile(path, "w", ZIP_STORED) as archive:
            for number, item in enumerate(self.items):
                if item.prediction is None:
                    continue
                prediction, picture = item.prediction.at(rate), self.folder / "map.png"
                save_map(prediction.anomaly_map, picture, full_scale(prediction.judgement.threshold))
                archive.write(picture, f"{number:04}_{Path(item.photograph.name).stem}_map.png")

    def report(self, rate: float) -> str:
        """A page that needs nothing else: the table, and every photograph with its map, judged at that rate first."""
        rows = [
            row | {"facts": prediction_facts(item.prediction) if item.prediction else None, "photo": _photo(item)}
            for row, item in zip(self.rows(), self.items, strict=True)
        ]
        style = "".join(path.read_text(encoding="utf-8") for path in (viewer.REPORT_STYLE, STYLE, viewer.STYLE))
        title = f"{len(rows)} photographs on {escape(self.card.name)}"
        return f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>LTAD: {title}</title>
<meta name="viewport" content="width=device-width"><style>{style}</style>{viewer.head()}</head>
<body class="gradio-container"><h1>{title}</h1><div class="sides">
{batch_element(rows, len(rows), self.card, "report", rate)}<div id="shown"></div></div></body></html>"""


def batch_element(
    rows: list[dict[str, Any]], total: int, card: CheckpointCard, key: str, rate: float | None = None
) -> str:
    """The table in the browser, told some rows; ``key`` tells one batch from another.

    rate: of false alarms, at which it judges until another one is chosen; None = the checkpoint's own.
    """
    rate = rate or card.config.calibration.false_alarm_rate
    calibration = {
        "rate": rate,
        "classes": {name: viewer.calibration_facts(card, name, rate) for name in card.class_names},
    }
    attributes = {"key": key, "total": total, "rows": rows, "calibration": calibration}
    told = " ".join(f'data-{name}="{escape(viewer.compact(value))}"' for name, value in attributes.items())
    return f"<ltad-batch {told}></ltad-batch>"


def _row(item: Item) -> dict[str, Any]:
    prediction = item.prediction
    if prediction is None:
        return {"name": item.photograph.name, "error": item.error}
    return {
        "name": item.photograph.name,
        "thumb": viewer.data_uri(prediction.photo.image),
        "score": prediction.judgement.score,
        "judgedAs": prediction.class_name,
        "className": prediction.named,
        "nearest": prediction.nearest,
        "unknown": prediction.verdict == UNKNOWN,
    }


def _photo(item: Item) -> str:
    """The photograph as the report shows it."""
    if item.prediction is None:
        return ""
    photo = open_photo(item.photograph.path.read_bytes()).image
    photo.thumbnail((REPORT_SIDE, REPORT_SIDE), Image.Resampling.BILINEAR)
    return viewer.data_uri(photo)


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
