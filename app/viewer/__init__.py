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

from ltad.calibration import BORDERLINE
from ltad.checkpoint import CheckpointCard
from ltad.predictor import REGION_GRID, Prediction
from ltad.visualization import COLOUR_MAPS, OPACITY, colour_table, full_scale

HERE = Path(__file__).parent
SCRIPTS = ("judge.js", "map.js", "words.js", "cards.js", "settings.js", "viewer.js", "inspection.js", "batch.js")
STYLE = HERE / "viewer.css"
REPORT_STYLE = HERE / "report.css"  # what a page without Gradio needs beside it
PHOTO_SIDE = 4096  # pixels; larger photographs are sent smaller, the numbers are made from the whole
LARGEST_RATE = 0.5  # of false alarms that can be asked for
MOST_REGIONS = 20  # that are shown; the rest is counted
MOST_MATCHES = 5
DIGITS = 5


def inspection(prediction: Prediction, card: CheckpointCard) -> str:
    """The element that shows a prediction."""
    return inspection_element(prediction_facts(prediction, card), prediction.photo.image, card)


def inspection_element(facts: dict[str, Any], photo: Image.Image, card: CheckpointCard) -> str:
    """The element that shows a photograph of which these facts are known."""
    photo = photo.copy()
    photo.thumbnail((PHOTO_SIDE, PHOTO_SIDE))
    calibration = {
        "own": card.calibration.scores[facts["className"]],
        "all": card.calibration.everything(),
        "rate": card.config.calibration.false_alarm_rate,
    }
    told = escape(json.dumps(facts | {"calibration": calibration}, ensure_ascii=False, separators=(",", ":")))
    return f'<ltad-inspection data-facts="{told}" data-photo="{data_uri(photo)}"></ltad-inspection>'


def prediction_facts(prediction: Prediction, card: CheckpointCard) -> dict[str, Any]:
    """What the browser needs to know of a prediction, beside its class's calibration; plain JSON values.

    maps: patch scores (h, w) as little-endian float32 in base64; grid is [w, h]. top: where the colour scale ends; it
    follows from the checkpoint's own rate and stays where it is when another is chosen.
    """
    classes = {c.name: c for c in card.classes}
    rate = card.config.calibration.false_alarm_rate
    own_threshold = card.calibration.judge(prediction.image_score, prediction.class_name, rate).threshold
    height, width = next(iter(prediction.patch_maps.values())).shape
    return {
        "score": prediction.image_score,
        "parts": prediction.part_scores,
        "className": prediction.class_name,
        "known": prediction.known,
        "similarity": prediction.similarity,
        "margin": prediction.margin,
        "matches": [
            {
                "name": match.name,
                "similarity": round(match.similarity, DIGITS),
                "group": classes[match.name].group,
                "n_train": classes[match.name].n_train,
            }
            for match in prediction.matches[:MOST_MATCHES]
        ],
        "top": full_scale(own_threshold),
        "maps": {part: _float32(patches) for part, patches in prediction.patch_maps.items()},
        "grid": [width, height],
        "size": list(prediction.photo.image.size),
        "notes": list(prediction.notes),
    }


def head() -> str:
    """What a page must have in its head for inspections to show."""
    return f'<script type="module">{source()}</script>'


def source() -> str:
    """Everything that the browser runs, as one module."""
    constants = {
        "borderline": BORDERLINE,
        "largestRate": LARGEST_RATE,
        "side": REGION_GRID,
        "opacity": OPACITY,
        "mostRegions": MOST_REGIONS,
        "colours": {name: base64.b64encode(colour_table(name).tobytes()).decode() for name in COLOUR_MAPS},
    }
    files = "\n".join((HERE / name).read_text(encoding="utf-8") for name in SCRIPTS)
    return f"const CONSTANTS = {json.dumps(constants)};\n{files}"


def _float32(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f4").tobytes()).decode()


def data_uri(image: Image.Image) -> str:
    """A picture as text that stands in a page."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
