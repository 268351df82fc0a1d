"""Pictures of an anomaly map for people. One scale for all images of a class, never an image's own extremes."""

import os
from functools import cache

import numpy as np
from matplotlib import colormaps
from PIL import Image, PngImagePlugin

from ltad.errors import ImageError
from ltad.files import whole_file
from ltad.photos.clutter import FULL_SCALE


def save_map(anomaly_map: np.ndarray, path: str | os.PathLike[str], full_scale: float) -> None:
    """Write a map (H, W) as a 16-bit grey PNG: round(clip(value / full_scale, 0, 1) · 65535).

    The PNG's text chunk "full_scale" says what value white stands for. No half-written file is ever at ``path``.
    """
    if not (np.isfinite(full_scale) and full_scale > 0):
        raise ValueError(f"full_scale must be a finite number over 0, got {full_scale}")
    if not np.isfinite(anomaly_map).all():
        raise ValueError("anomaly_map must hold finite values only")
    stored = np.round(np.clip(anomaly_map / full_scale, 0, 1) * 65535).astype(np.uint16)
    save_result(Image.fromarray(stored), path, full_scale)


def save_result(picture: Image.Image, path: str | os.PathLike[str], full_scale: float) -> None:
    """Write a PNG whose text says its scale, by which it is told from a photograph when its folder is inspected."""
    text = PngImagePlugin.PngInfo()
    text.add_text(FULL_SCALE, repr(float(full_scale)))
    with whole_file(path) as partial:
        picture.save(partial, format="PNG", pnginfo=text)


def load_map(path: str | os.PathLike[str]) -> np.ndarray:
    """Read what ``save_map`` wrote: (H, W) float32, each value within full_scale / 131070 of the original.

    Raises:
        ImageError: the file is missing, damaged, or not a map.
    """
    try:
        with Image.open(path, formats=["PNG"]) as image:
            stored = np.array(image)
            full_scale = float(image.info[FULL_SCALE])
    except (OSError, SyntaxError, KeyError, ValueError) as error:
        raise ImageError(f"“{path}” is not an anomaly map. Give a file that “inspect” wrote.") from error
    return stored.astype(np.float32) * np.float32(full_scale / 65535)


COLOURS = "inferno"  # perceptually even and safe for colour-blind eyes
COLOUR_MAPS = (COLOURS, "cividis", "turbo", "jet")  # to choose from; the last two are what many are used to
THRESHOLDS = 2.0  # the scale ends at this many times the threshold; the threshold is its middle
OPACITY = 0.75


@cache
def colour_table(name: str = COLOURS) -> np.ndarray:
    """256 RGBA colours, (256, 4) uint8: the colour map, and alpha that rises from nothing to full at the threshold."""
    table = (colormaps[name](np.linspace(0, 1, 256)) * 255).round().astype(np.uint8)
    table[:, 3] = (255 * np.clip(np.linspace(0, THRESHOLDS, 256), 0, 1) ** 2).round()
    return table


def full_scale(threshold: float) -> float:
    """The map's value at the top of the scale; always positive."""
    return THRESHOLDS * max(threshold, 1e-6)


def colour_levels(anomaly_map: np.ndarray, threshold: float) -> np.ndarray:
    """The map (H, W) on the fixed scale, uint8: 0 = normal or below, 128 = threshold, 255 = twice it or above."""
    return (np.clip(anomaly_map / full_scale(threshold), 0, 1) * 255).round().astype(np.uint8)


def overlay(image: Image.Image, anomaly_map: np.ndarray, threshold: float, opacity: float = OPACITY) -> Image.Image:
    """The photograph (RGB) with the map laid over it, at its own size; where all is normal it stays as it is."""
    levels, table = Image.fromarray(colour_levels(anomaly_map, threshold)), colour_table()
    coloured = levels.copy()
    coloured.putpalette(table[:, :3].tobytes())
    alpha = levels.point([round(opaque * opacity) for opaque in table[:, 3].tolist()])
    return Image.composite(coloured.convert("RGB"), image, alpha)
