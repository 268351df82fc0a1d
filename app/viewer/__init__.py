"""The viewer: what a photograph's inspection sends to the browser, which draws it and judges it again without asking.

An inspection is one element, ``<ltad-inspection>``, that is given its facts as JSON and the photograph. The files
beside this one are what the browser runs, in the order of ``SCRIPTS``.
"""

import base64
import io
import json
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from app.viewer.tiles import OVERVIEW, TILE, Tiles
from ltad.checkpoint.card import CheckpointCard
from ltad.inspection.pictures import COLOUR_MAPS, OPACITY, colour_table, full_scale
from ltad.inspection.prediction import UNKNOWN, Prediction
from ltad.judging.calibration import BORDERLINE, Backing
from ltad.judging.regions import CELL, REGION_GRID

HERE = Path(__file__).parent
SCRIPTS = (
    "judge.js",
    "map.js",
    "tiles.js",
    "words.js",
    "cards.js",
    "sentences.js",
    "translate.js",
    "settings.js",
    "rate.js",
    "promise.js",
    "viewer.js",
    "inspection.js",
    "batch.js",
    "page.js",
    "large.js",
    "toasts.js",
)
STYLE = HERE / "viewer.css"
REPORT_STYLE = HERE / "report.css"  # what a page without Gradio needs beside it
PHOTO_SIDE = 4096  # pixels; larger photographs are sent smaller where there are no tiles of them
LARGEST_RATE = 0.5  # of false alarms that can be asked for
MOST_REGIONS = 20  # that are shown; the rest is counted


def inspection(prediction: Prediction, label: str | None = None, tiles: Tiles | None = None) -> str:
    """The element that shows a prediction; label, tiles: see ``inspection_element``."""
    return inspection_element(prediction_facts(prediction), prediction.photo.image, prediction.card, label, tiles)


def inspection_element(
    facts: dict[str, Any],
    photo: Image.Image,
    card: CheckpointCard,
    label: str | None = None,
    tiles: Tiles | None = None,
) -> str:
    """The element that shows a photograph of which these facts are known.

    label: what an example is known to be, "good" or its defect; None for a photograph of which nobody knows. tiles: of
    the photograph, which a browser asks for when it is looked at closely; at once it is sent smaller.
    """
    photo = photo.copy()
    side = OVERVIEW if tiles else PHOTO_SIDE
    photo.thumbnail((side, side))
    calibration = calibration_facts(card, facts["judgedAs"], card.config.calibration.false_alarm_rate)
    more = {"calibration": calibration, "label": label, "tiles": tiles and tiles._asdict()}
    told = escape(compact(facts | more))
    return f'<ltad-inspection data-facts="{told}" data-photo="{data_uri(photo)}"></ltad-inspection>'


def prediction_facts(prediction: Prediction) -> dict[str, Any]:
    """What the browser needs to know of a prediction at its checkpoint's own rate, beside its class's calibration.

    Plain JSON values. report: as programs get it. judgedAs: the class whose threshold it is held to, recognised or not;
    unknown: whether that makes no verdict, at any rate. trained: [group, training images] of the classes that it names.
    everywhere: whether a known product is unusual all over, at any rate.
    maps: of each part its values (h, w), little-endian float32 in base64, and their grid [w, h]. top: where the colour
    scale ends; it stays where it is when another rate is chosen.
    """
    report = prediction.report()
    named = {match["name"] for match in report["top_classes"]}
    return {
        "report": report,
        "judgedAs": prediction.class_name,
        "unknown": prediction.verdict == UNKNOWN,
        "trained": {c.name: [c.group, c.n_train] for c in prediction.card.classes if c.name in named},
        "top": full_scale(prediction.judgement.threshold),
        "everywhere": prediction.everywhere,
        "maps": {part: _map(patches) for part, patches in prediction.patch_maps.items()},
    }


def calibration_facts(card: CheckpointCard, class_name: str, rate: float) -> dict[str, Any]:
    """What the browser needs to judge images of a class at any rate, and at that one first."""
    backing = card.calibration.backing(class_name)
    return promise_facts(card, backing, rate) | {
        "scores": card.calibration.normals(class_name).scores,
        "changed": card.calibration.classes[class_name].changed,
    }


def promise_facts(card: CheckpointCard, backing: Backing, rate: float) -> dict[str, Any]:
    """What the browser needs to say what stands behind a threshold."""
    seen = card.calibration.seen_rates(backing.own, rate) if backing.is_provisional else None
    return backing._asdict() | {"rate": rate, "provisional": backing.is_provisional, "seen": seen}


def promise(card: CheckpointCard, class_name: str) -> str:
    """The element that says what stands behind a class's threshold at the checkpoint's own rate."""
    rate = card.config.calibration.false_alarm_rate
    threshold = card.calibration.normals(class_name).threshold(rate)
    return _promise(promise_facts(card, card.calibration.backing(class_name), rate) | {"threshold": threshold})


def promise_of_images(card: CheckpointCard, images: int) -> str:
    """The element that says what will stand behind the threshold of a class that is learned from so many images."""
    return _promise(promise_facts(card, card.calibration.expected(images), card.config.calibration.false_alarm_rate))


def _promise(facts: dict[str, Any]) -> str:
    return f'<ltad-promise data-facts="{escape(compact(facts))}"></ltad-promise>'


def compact(value: Any) -> str:
    """JSON without spaces."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def head() -> str:
    """What a page must have in its head for inspections to show."""
    return f'<script type="module">{source()}</script>'


def source() -> str:
    """Everything that the browser runs, as one module."""
    constants = {
        "borderline": BORDERLINE,
        "largestRate": LARGEST_RATE,
        "side": REGION_GRID,
        "cell": CELL,
        "opacity": OPACITY,
        "tile": TILE,
        "mostRegions": MOST_REGIONS,
        "colours": {name: base64.b64encode(colour_table(name).tobytes()).decode() for name in COLOUR_MAPS},
    }
    files = "\n".join((HERE / name).read_text(encoding="utf-8") for name in SCRIPTS)
    return f"const CONSTANTS = {json.dumps(constants)};\n{files}"


def _map(values: np.ndarray) -> dict[str, Any]:
    height, width = values.shape
    packed = base64.b64encode(np.ascontiguousarray(values, dtype="<f4").tobytes()).decode()
    return {"values": packed, "grid": [width, height]}


def data_uri(image: Image.Image) -> str:
    """A picture as text that stands in a page."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
