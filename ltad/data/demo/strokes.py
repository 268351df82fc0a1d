"""Shapes of damage: where it lies, wandering lines, and ragged spots, as coverage maps in [0, 1]."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from scipy.ndimage import distance_transform_edt

from ltad.data.demo.geometry import FINE, OVERSAMPLING, SIZE, grid
from ltad.data.demo.noise import clouds
from ltad.data.demo.surface import Surface

COARSE = 8  # fine samples per step when a place is looked for

Points = np.ndarray  # (P, 2): x, y in pixels from the centre


@dataclass(frozen=True)
class Flaw:
    """One defect to be made: its kind, how bad it is (0 barely visible, 1 obvious), and its own randomness."""

    kind: str
    severity: float
    rng: np.random.Generator

    def between(self, subtle: float, obvious: float, jitter: float = 0.15) -> float:
        """Give a size or strength for this severity, varied by ±jitter (relative)."""
        value = subtle + (obvious - subtle) * self.severity
        return value * self.rng.uniform(1 - jitter, 1 + jitter)


def spot(surface: Surface, rng: np.random.Generator, margin: float) -> tuple[float, float]:
    """Pick a place on the product at least ``margin`` pixels from its edge and the frame, or else far inside."""
    coarse = np.pad(surface.region[COARSE // 2 :: COARSE, COARSE // 2 :: COARSE], 1)
    depth = distance_transform_edt(coarse)[1:-1, 1:-1] * (COARSE / OVERSAMPLING)
    rows, columns = np.nonzero(depth >= min(margin, 0.9 * float(depth.max())))
    chosen = rng.integers(len(rows))
    jitter = rng.uniform(0, COARSE, 2)
    x, y = (columns[chosen] * COARSE + jitter[0]), (rows[chosen] * COARSE + jitter[1])
    return x / OVERSAMPLING - SIZE / 2, y / OVERSAMPLING - SIZE / 2


def wander(
    rng: np.random.Generator, middle: tuple[float, float], length: float, heading: float, curl: float, jitter: float = 0
) -> Points:
    """Walk a line of the given length through ``middle``.

    Args:
        curl: how much the direction turns over the whole length, radians.
        jitter: how much it zigzags from step to step, radians.
    """
    steps = max(8, int(length / 1.5))
    turning = np.cumsum(rng.standard_normal(steps)) * curl / np.sqrt(steps)
    angles = heading + turning + jitter * rng.standard_normal(steps)
    moves = np.stack([np.cos(angles), np.sin(angles)], 1) * (length / steps)
    points = np.cumsum(moves, 0)
    return points - points[steps // 2] + np.asarray(middle)


def stroke(lines: Sequence[tuple[Points, np.ndarray | float]], blur: float = 0.8) -> np.ndarray:
    """Draw lines with their widths in pixels (one, or one per point); thin lines get faint instead of thick."""
    canvas = Image.new("L", (FINE, FINE))
    draw = ImageDraw.Draw(canvas)
    for points, width in lines:
        fine = (points + SIZE / 2) * OVERSAMPLING
        widths = np.broadcast_to(np.asarray(width, float) * OVERSAMPLING, len(points))
        for (x0, y0), (x1, y1), w in zip(fine[:-1], fine[1:], widths[1:], strict=True):
            draw.line((x0, y0, x1, y1), fill=int(255 * min(1, w)), width=max(1, round(w)))
            if w > 2.5:
                draw.ellipse((x1 - w / 2, y1 - w / 2, x1 + w / 2, y1 + w / 2), fill=255)
    return np.asarray(canvas.filter(ImageFilter.GaussianBlur(blur)), np.float32) / 255


def blob(
    rng: np.random.Generator, middle: tuple[float, float], radius: float, ragged: float = 0.35, softness: float = 0.15
) -> np.ndarray:
    """Give a spot with an uneven outline.

    Args:
        ragged: deviation of the outline relative to the radius. softness: width of its edge, likewise.
    """
    x, y = grid()
    squeeze, turn = rng.uniform(0.7, 1.0), rng.uniform(0, np.pi)
    dx, dy = x - middle[0], y - middle[1]
    along, across = np.cos(turn) * dx + np.sin(turn) * dy, np.cos(turn) * dy - np.sin(turn) * dx
    distance = np.hypot(along, across / squeeze) / radius
    outline = clouds(rng, 24.0, 3.0) if radius > 8 else clouds(rng, 8.0, 3.0)
    edge = max(softness, 0.7 / radius)
    limit = np.clip(1 + ragged * outline, 0.55, 1.8)
    return np.clip((limit - distance) / edge + 0.5, 0, 1).astype(np.float32) * (distance < 2.5)


def bump(middle: tuple[float, float], radius: float, squeeze: float = 1.0, turn: float = 0.0) -> np.ndarray:
    """Give a smooth bell of height 1 that ends at ``radius``."""
    x, y = grid()
    dx, dy = x - middle[0], y - middle[1]
    along, across = np.cos(turn) * dx + np.sin(turn) * dy, np.cos(turn) * dy - np.sin(turn) * dx
    squared = (along**2 + (across / squeeze) ** 2) / radius**2
    return (np.clip(1 - squared, 0, 1) ** 2).astype(np.float32)
