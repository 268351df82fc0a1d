"""Woven threads: a plain weave that other classes use as well, and the class woven_fabric."""

from dataclasses import dataclass

import numpy as np

from ltad.data.demo.geometry import draw_pose, smoothstep, wrap
from ltad.data.demo.noise import clouds, grain, lookup, table
from ltad.data.demo.strokes import Flaw, bump, spot
from ltad.data.demo.surface import Surface, dye, flat


@dataclass
class Weave:
    """A plain weave: for each of the two systems of threads the number of the thread and the place across it."""

    pitch: float
    warp: np.ndarray
    warp_across: np.ndarray
    warp_height: np.ndarray
    weft: np.ndarray
    weft_across: np.ndarray
    weft_height: np.ndarray


def _roundness(across: np.ndarray, radius: np.ndarray, pitch: float) -> np.ndarray:
    """Give the height of a slightly flattened thread above its middle; beside it, there is nothing to be seen."""
    dome = 0.75 * np.sqrt(np.clip(radius**2 - across**2, 0, None))
    return np.where(np.abs(across) > radius, -pitch, dome)


def plain_weave(rng: np.random.Generator, x: np.ndarray, y: np.ndarray, pitch: float) -> Weave:
    """Interlace threads along y (warp) and along x (weft); heights are pixels, 0 in the cloth's middle plane.

    Threads differ in thickness and wander a little.
    """
    warp, warp_across = wrap(x + 0.05 * pitch * clouds(rng, 24.0, 3.0), pitch)
    weft, weft_across = wrap(y + 0.05 * pitch * clouds(rng, 24.0, 3.0), pitch)
    warp_across = warp_across + lookup(table(rng, 0.05 * pitch), warp)
    weft_across = weft_across + lookup(table(rng, 0.05 * pitch), weft)
    half = np.float32(np.pi / pitch)
    lift = 0.26 * pitch
    # Neighbouring threads are up where the others are down.
    warp_centre = lift * np.sin(half * y) * (1 - 2 * (warp % 2).astype(np.float32))
    weft_centre = -lift * np.sin(half * x) * (1 - 2 * (weft % 2).astype(np.float32))
    warp_radius = pitch * (0.47 + lookup(table(rng, 0.035), warp))
    weft_radius = pitch * (0.47 + lookup(table(rng, 0.035), weft))
    warp_top = _roundness(warp_across, warp_radius, pitch)
    weft_top = _roundness(weft_across, weft_radius, pitch)
    return Weave(pitch, warp, warp_across, warp_centre + warp_top, weft, weft_across, weft_centre + weft_top)


def twist(rng: np.random.Generator, along: np.ndarray, across: np.ndarray, pitch: float) -> np.ndarray:
    """Give the oblique fibres of a spun thread, about ±1."""
    phase = 2 * np.pi * (along / (0.42 * pitch) + 0.9 * across / pitch)
    return np.sin(phase + 1.3 * clouds(rng, 2.0, 1.0)).astype(np.float32)


def _flawed_threads(weave: Weave, flaw: Flaw, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Mark a stretch of one warp thread, as coverage, for a thread that is missing or of another colour."""
    spread = 0.38 * float(np.abs(x).max())
    thread = weave.warp == int(np.floor(flaw.rng.uniform(-spread, spread) / weave.pitch))
    middle, half_length = flaw.rng.uniform(-60, 60), flaw.between(14, 110)
    return thread * smoothstep(half_length, half_length - 3, np.abs(y - middle))


def woven_fabric(rng: np.random.Generator, flaw: Flaw | None) -> Surface:
    """Build coarse cloth of spun threads in two near tones over a dark backing."""
    x, y = draw_pose(rng, 5, 20, 0.1).to_part()
    x, y = x + 2.0 * clouds(rng, 120.0, 4.0), y + 2.0 * clouds(rng, 120.0, 4.0)
    cloth = flat((0.02, 0.02, 0.02), 0.95)
    if flaw and flaw.kind == "snag":
        middle = spot(cloth, flaw.rng, 40)
        pull = bump(middle, flaw.between(22, 55), 0.5, flaw.rng.uniform(0, 3))
        x, y = x + flaw.between(3, 11) * pull, y + flaw.between(-1, 4) * pull
    weave = plain_weave(rng, x, y, rng.uniform(6.3, 7.2))
    warp_twist = twist(rng, y, weave.warp_across, weave.pitch)
    weft_twist = twist(rng, x, weave.weft_across, weave.pitch)
    warp_colour = dye(rng, (0.40, 0.355, 0.28), 0.09)
    weft_colour = warp_colour * dye(rng, (0.46, 0.53, 0.66), 0.05)
    warp_tone = 1 + lookup(table(rng, 0.09), weave.warp) + 0.13 * warp_twist
    weft_tone = 1 + lookup(table(rng, 0.09), weave.weft) + 0.13 * weft_twist
    warp_colours = warp_colour[:, None, None] * warp_tone
    if flaw and flaw.kind == "missing_thread":
        weave.warp_height = weave.warp_height - 3 * weave.pitch * _flawed_threads(weave, flaw, x, y)
    if flaw and flaw.kind == "wrong_thread":
        wrong = np.array([0.55, 0.5, 0.62], np.float32) ** flaw.between(0.8, 2.6)
        warp_colours *= 1 - _flawed_threads(weave, flaw, x, y) * (1 - wrong[:, None, None])
    on_top = smoothstep(-0.3, 0.3, weave.warp_height - weave.weft_height)
    top = np.maximum(weave.warp_height, weave.weft_height)
    cloth.lay(smoothstep(-0.55 * weave.pitch, -0.1 * weave.pitch, top), weft_colour[:, None, None] * weft_tone)
    cloth.lay(on_top * (top > -0.5 * weave.pitch), warp_colours)
    cloth.tint(1 + 0.10 * clouds(rng, 2.0, 1.0) + 0.05 * clouds(rng, 48.0, 2.0) + 0.08 * grain(rng))
    np.clip(cloth.albedo, 0.004, 1, out=cloth.albedo)
    fuzz = 0.12 * clouds(rng, 2.0, 1.0) + 0.10 * np.where(on_top > 0.5, warp_twist, weft_twist)
    cloth.height += np.maximum(top, -0.8 * weave.pitch) + fuzz + 1.5 * clouds(rng, 120.0, 4.0)
    return cloth
