"""The anomaly-map viewer: the photograph once, the map once as a small layer; opacity acts in the browser."""

import base64
import io

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_hex
from PIL import Image

from ltad.predictor import Prediction
from ltad.visualization import COLOURS, OPACITY, THRESHOLDS, map_layer

PHOTO_SIDE = 1400  # pixels; larger photographs are sent smaller, the numbers are made from the whole
MAP_SIDE = 256  # pixels; the map has 32 x 32 patches, so more would only be more bytes

# Moving the slider changes one style property; nothing is asked of the server.
SLIDE = "this.closest('.viewer').style.setProperty('--opacity', this.value / 100)"


def viewer(prediction: Prediction) -> str:
    """The photograph with its map laid over it, as HTML."""
    photo = prediction.photo.image.copy()
    photo.thumbnail((PHOTO_SIDE, PHOTO_SIDE))
    small = Image.fromarray(prediction.anomaly_map).resize((MAP_SIDE, MAP_SIDE), Image.Resampling.BILINEAR)
    layer = map_layer(np.array(small), prediction.judgement.threshold)
    layer = layer.resize(photo.size, Image.Resampling.BILINEAR) if photo.width != photo.height else layer
    percent = round(100 * OPACITY)
    what = f"anomaly map: {len(prediction.regions)} places above the threshold"
    return f"""<div class="card viewer"><h3>Anomaly map</h3>
<div class="stage"><img src="{_data_uri(photo, "JPEG", quality=92)}" alt="the inspected photograph">
<img class="map" src="{_data_uri(layer, "PNG")}" alt="{what}">
</div>
<div class="controls"><label>Map opacity</label>
<input type="range" min="0" max="100" value="{percent}" aria-label="Map opacity" oninput="{SLIDE}">
<div class="bar"><div class="ramp" style="background:{_gradient()}"></div>
<div class="ticks"><span>normal</span><span>threshold</span><span>{THRESHOLDS:.0f}×</span></div></div></div></div>"""


def _data_uri(image: Image.Image, kind: str, **options: int) -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _gradient() -> str:
    stops = ", ".join(to_hex(colormaps[COLOURS](x)) for x in np.linspace(0, 1, 9))
    return f"linear-gradient(90deg, {stops})"
