"""From light to a photograph: lens, focus, sensor, development, and the file's own losses."""

from io import BytesIO

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from ltad.data.demo.surface import finest

FULL_WELL = (1500, 6000)  # electrons at white: sets the shot noise
READ_NOISE = 0.0035  # share of white
CONTRAST = 0.45  # share of the S-shaped curve that cameras add to the gamma
DEPTH_OF_FIELD = 60.0  # pixels of height until the blurred picture has replaced the sharp one


def _vignette(rng: np.random.Generator, side: int) -> np.ndarray:
    """Darken towards the corners, a little off centre; (side, side), 1 in the middle."""
    axis = (np.arange(side, dtype=np.float32) + 0.5) / side - 0.5
    left, top = rng.uniform(-0.12, 0.12), rng.uniform(-0.12, 0.12)
    strength = rng.uniform(0.12, 0.42)
    return 1 - strength * ((axis[None, :] - left) ** 2 + (axis[:, None] - top) ** 2)


def _focus(light: np.ndarray, height: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blur what lies far from the focal plane, which is near the highest part, and everything by the lens."""
    sharp = gaussian_filter(light, (0, *(rng.uniform(0.32, 0.62),) * 2))
    plane = float(height.max()) - rng.uniform(0, 6)
    away = np.clip((np.abs(height - plane) - 3) / DEPTH_OF_FIELD, 0, 1)
    if float(away.max()) < 0.05:
        return sharp
    blurred = gaussian_filter(light, (0, 1.9, 1.9))
    return sharp + gaussian_filter(away, 1.0) * (blurred - sharp)


def _sense(light: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add shot and read noise; colour noise is blotchier than brightness noise, as after demosaicing."""
    well = float(np.exp(rng.uniform(*np.log(FULL_WELL))))
    noise = rng.standard_normal((4, *light.shape[1:]), dtype=np.float32)
    chroma = 1.3 * gaussian_filter(noise[1:], (0, 0.8, 0.8))
    deviation = np.sqrt(np.maximum(light, 0) / well + READ_NOISE**2)
    return light + deviation * (0.75 * noise[0] + chroma)


def _curve(light: np.ndarray) -> np.ndarray:
    """Apply a film-like curve with a soft shoulder and the sRGB gamma; gives (side, side, 3) uint8."""
    exposed = 1.04 * (1 - np.exp(-1.2 * np.clip(light, 0, None)))
    encoded = np.where(exposed < 0.0031308, 12.92 * exposed, 1.055 * exposed ** (1 / 2.4) - 0.055)
    encoded = np.clip(encoded, 0, 1)
    encoded += CONTRAST * (encoded * encoded * (3 - 2 * encoded) - encoded)
    return np.clip(encoded * 255 + 0.5, 0, 255).astype(np.uint8).transpose(1, 2, 0)


def photograph(light: np.ndarray, height: np.ndarray, exposure: float, rng: np.random.Generator) -> Image.Image:
    """Take the picture: (3, FINE, FINE) light to a SIZE x SIZE RGB image.

    Args:
        height: (FINE, FINE), what the lens was focused for: the part as it should be, so that no defect refocuses it.
    """
    gain = _gain(exposure, rng)
    return _finished(_focus(finest(light), finest(height), rng), gain, rng)


def develop(light: np.ndarray, exposure: float, rng: np.random.Generator) -> Image.Image:
    """Take the picture of light (3, side, side) that the lens has focused already, on as many pixels."""
    return _finished(light, _gain(exposure, rng), rng)


def _gain(exposure: float, rng: np.random.Generator) -> np.ndarray:
    """What the exposure and the white balance make of each channel: (3, 1, 1)."""
    brightness = exposure * float(np.exp(rng.normal(0, 0.07)))
    return brightness * np.exp(rng.normal(0, 0.008, (3, 1, 1))).astype(np.float32)


def _finished(light: np.ndarray, gain: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """Sense, develop and save focused light (3, side, side)."""
    lit = light * (gain * _vignette(rng, light.shape[-1]))
    pixels = _curve(_sense(lit.astype(np.float32), rng))
    quality = int(rng.integers(86, 96))
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=0)
    file.seek(0)
    return Image.open(file).convert("RGB")
