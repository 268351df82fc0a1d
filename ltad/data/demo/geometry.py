"""Where things are: the fine pixel grid, poses of parts, and signed distances to simple outlines.

Lengths are pixels of the finished photograph; the origin is its centre, x points right and y down. Fields are sampled
``OVERSAMPLING`` times finer in each direction, so that edges and grain are averaged as on a sensor.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

SIZE = 256
OVERSAMPLING = 2
FINE = SIZE * OVERSAMPLING


@cache
def grid() -> tuple[np.ndarray, np.ndarray]:
    """Give x and y of every fine sample, two read-only (FINE, FINE) float32 arrays in [-128, 128]."""
    axis = (np.arange(FINE, dtype=np.float32) + 0.5) / OVERSAMPLING - SIZE / 2
    x, y = np.meshgrid(axis, axis)
    x.flags.writeable = y.flags.writeable = False
    return x, y


@dataclass(frozen=True)
class Pose:
    """Where a part lies: its turn in radians, its centre in pixels, its size relative to the design."""

    turn: float
    centre: tuple[float, float]
    scale: float

    def to_part(self) -> tuple[np.ndarray, np.ndarray]:
        """Give the part's own coordinates of every fine sample."""
        x, y = grid()
        x = (x - self.centre[0]) / self.scale
        y = (y - self.centre[1]) / self.scale
        cosine, sine = np.float32(np.cos(self.turn)), np.float32(np.sin(self.turn))
        return cosine * x + sine * y, cosine * y - sine * x

    def to_photo(self, x: float, y: float) -> tuple[float, float]:
        """Give the photograph's coordinates of one point of the part."""
        cosine, sine = np.cos(self.turn), np.sin(self.turn)
        return (
            self.centre[0] + self.scale * (cosine * x - sine * y),
            self.centre[1] + self.scale * (sine * x + cosine * y),
        )


def draw_pose(rng: np.random.Generator, turn: float, shift: float, stretch: float) -> Pose:
    """Draw a pose: turn within ±turn degrees, centre within ±shift pixels, scale within 1 ± stretch."""
    angle = np.deg2rad(rng.uniform(-turn, turn))
    centre = (rng.uniform(-shift, shift), rng.uniform(-shift, shift))
    return Pose(angle, centre, rng.uniform(1 - stretch, 1 + stretch))


def smoothstep(low: float, high: float, value: np.ndarray) -> np.ndarray:
    """Rise smoothly from 0 at ``low`` to 1 at ``high``; falls if low > high."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def inside(distance: np.ndarray, softness: float = 0.7) -> np.ndarray:
    """Turn a signed distance (negative inside) into coverage in [0, 1]; the edge is ``softness`` pixels wide."""
    return np.clip(0.5 - distance / softness, 0, 1)


def box(x: np.ndarray, y: np.ndarray, half_width: float, half_height: float, radius: float = 0) -> np.ndarray:
    """Signed distance to a rectangle around the origin with rounded corners."""
    dx = np.abs(x) - (half_width - radius)
    dy = np.abs(y) - (half_height - radius)
    inner = np.minimum(np.maximum(dx, dy), 0) - radius
    dx, dy = np.maximum(dx, 0), np.maximum(dy, 0)
    return np.sqrt(dx * dx + dy * dy) + inner


def polygon(x: np.ndarray, y: np.ndarray, sides: int, inradius: float) -> np.ndarray:
    """Signed distance (exact inside, a little short beyond the corners) to a regular polygon."""
    angles = 2 * np.pi * np.arange(sides) / sides
    return np.maximum.reduce([np.cos(a).astype(np.float32) * x + np.sin(a).astype(np.float32) * y for a in angles]) - (
        np.float32(inradius)
    )


def segment(x: np.ndarray, y: np.ndarray, half_length: float) -> np.ndarray:
    """Distance to a line from (-half_length, 0) to (half_length, 0)."""
    return np.hypot(np.maximum(np.abs(x) - half_length, 0), y)


def wrap(value: np.ndarray, period: float) -> tuple[np.ndarray, np.ndarray]:
    """Split a coordinate into the index of its period (int) and the offset from that period's middle."""
    index = np.floor(value / period)
    return index.astype(np.int32), value - (index + 0.5) * period
