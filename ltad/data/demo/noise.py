"""Randomness with a shape: grain, clouds, streaks and cells, all drawn from a generator that is passed in.

Spectral noise is expensive, so a few periodic tiles are made once per process from fixed seeds; a field is a random
mix of two random crops of a tile. The tiles never depend on what was drawn before, so neither does an image.
"""

from functools import lru_cache

import numpy as np
from scipy.fft import irfft2, rfft2
from scipy.ndimage import map_coordinates
from scipy.spatial import cKDTree

from ltad.data.demo.geometry import FINE, OVERSAMPLING

TILE = 768
CELL_TILE = 384
CELLS_ACROSS = 32


@lru_cache(maxsize=64)
def _tile(wavelength: float, slope: float, stretch: float) -> np.ndarray:
    """Make one periodic tile of zero mean and unit deviation, (TILE, TILE) float32."""
    rng = np.random.default_rng([round(1000 * v) for v in (wavelength, slope, stretch)])
    spectrum = rfft2(rng.standard_normal((TILE, TILE), dtype=np.float32))
    along_y = np.fft.fftfreq(TILE, 1 / OVERSAMPLING)[:, None]
    along_x = np.fft.rfftfreq(TILE, 1 / OVERSAMPLING)[None, :]
    frequency = wavelength * np.hypot(along_x * stretch, along_y)
    spectrum *= (1 + frequency**2) ** (-slope / 2)
    spectrum[0, 0] = 0
    tile = irfft2(spectrum, s=(TILE, TILE)).astype(np.float32)
    return tile / tile.std()


def _crop(rng: np.random.Generator, tile: np.ndarray) -> np.ndarray:
    """Cut a (FINE, FINE) view out of a tile, mirrored at random."""
    top, left = rng.integers(0, TILE - FINE, size=2)
    crop = tile[top : top + FINE, left : left + FINE]
    flip_y, flip_x = rng.integers(0, 2, size=2)
    return crop[:: 1 - 2 * flip_y, :: 1 - 2 * flip_x]


def clouds(rng: np.random.Generator, wavelength: float, slope: float = 2.0, stretch: float = 1.0) -> np.ndarray:
    """Draw Gaussian noise with a given spectrum: zero mean, unit deviation, (FINE, FINE) float32.

    Args:
        wavelength: the longest structure, in pixels (across the streaks).
        slope: how fast amplitude falls with frequency beyond it: 1 grainy, 2 cloudy, 4 smooth blobs.
        stretch: how many times longer structures are along x than along y.
    """
    tile = _tile(float(wavelength), float(slope), float(stretch))
    angle = rng.uniform(0, np.pi / 2)
    return np.float32(np.cos(angle)) * _crop(rng, tile) + np.float32(np.sin(angle)) * _crop(rng, tile)


def grain(rng: np.random.Generator) -> np.ndarray:
    """Draw noise with no structure above the sampling grid."""
    return clouds(rng, 0.5, 1.0)


@lru_cache(maxsize=1)
def _cell_tiles() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make periodic tiles of jittered cells: distance to the border, to the centre (cells), and a tone per cell."""
    rng = np.random.default_rng(20240613)
    rows, columns = np.mgrid[:CELLS_ACROSS, :CELLS_ACROSS]
    points = np.stack([rows, columns], -1).reshape(-1, 2) + rng.uniform(0.0, 1.0, (CELLS_ACROSS**2, 2))
    samples = np.mgrid[:CELL_TILE, :CELL_TILE].reshape(2, -1).T * (CELLS_ACROSS / CELL_TILE)
    distance, nearest = cKDTree(points % CELLS_ACROSS, boxsize=CELLS_ACROSS).query(samples, k=2)
    tone = rng.uniform(-1, 1, CELLS_ACROSS**2)[nearest[:, 0]]
    shape = (CELL_TILE, CELL_TILE)
    maps = distance[:, 1] - distance[:, 0], distance[:, 0], tone
    return tuple(m.reshape(shape).astype(np.float32) for m in maps)


def cells(x: np.ndarray, y: np.ndarray, pitch: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sample irregular cells of about ``pitch`` pixels at coordinates x, y.

    Returns: distance to the nearest border and to the cell's centre (in units of the pitch), and a tone in [-1, 1]
    that is constant within a cell.
    """
    step = CELL_TILE / CELLS_ACROSS / pitch
    where = np.stack([y * step, x * step])
    border, centre, tone = _cell_tiles()
    near = [map_coordinates(m, where, order=1, mode="grid-wrap", prefilter=False) for m in (border, centre)]
    nearest = np.rint(where).astype(np.intp) % CELL_TILE
    return near[0], near[1], tone[nearest[0], nearest[1]]


def table(rng: np.random.Generator, spread: float, count: int = 512) -> np.ndarray:
    """Draw one small deviation per part (yarn, tooth, pin), to be indexed modulo ``count``; float32."""
    return (spread * rng.standard_normal(count)).astype(np.float32)


def lookup(values: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Read the deviation of every part from its table."""
    return np.take(values, index, mode="wrap")
