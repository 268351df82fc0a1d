"""Grown and grained surfaces: wood, leather."""

import numpy as np

from ltad.data.demo.geometry import draw_pose, grid, smoothstep
from ltad.data.demo.noise import cells, clouds, grain, lookup, table
from ltad.data.demo.strokes import Flaw
from ltad.data.demo.surface import Surface, dye, flat


def _rings(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Cut a trunk lengthwise: the ring number (a real) at every sample of the board."""
    core, depth, taper = rng.uniform(-150, 150), rng.uniform(6, 70), rng.uniform(-0.3, 0.3)
    distance = np.hypot(y - core, depth + taper * (x + rng.uniform(-60, 60)))
    distance += 3.5 * clouds(rng, 48.0, 3.0, 5.0) + 0.4 * clouds(rng, 8.0, 2.0, 16.0)
    return distance / rng.uniform(9, 17)


def _knot(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Place one small knot: how far it bends the rings (in rings), and its coverage."""
    left, top, size = rng.uniform(-105, 105), rng.uniform(-105, 105), rng.uniform(3, 7)
    dx, dy = (x - left) / (2.6 * size), (y - top) / size
    bend = 1.6 * np.exp(-0.22 * (dx * dx + dy * dy)) * float(np.sign(rng.uniform(-1, 1)))
    round_distance = np.hypot((x - left) / 1.35, y - top) + 0.6 * clouds(rng, 8.0, 2.0)
    return bend, smoothstep(1.1 * size, 0.6 * size, round_distance)


def wood(rng: np.random.Generator, flaw: Flaw | None) -> Surface:
    """Build a planed, thinly oiled board, grain along x."""
    x, y = grid()
    rings = _rings(rng, x, y)
    bend, knot = _knot(rng, x, y)
    if rng.uniform() < 0.25:
        rings = rings + bend
    else:
        knot = np.zeros_like(knot)
    number = np.floor(rings)
    within = rings - number
    late = smoothstep(0.25, 0.93, within) * smoothstep(1.0, 0.93, within)
    late *= 0.75 + 0.25 * lookup(table(rng, 1.0), number.astype(np.int32))
    fibres = clouds(rng, 2.0, 1.0, 24.0)
    pores = smoothstep(1.35, 2.3, clouds(rng, 1.4, 1.2, 14.0) + 0.5 * late)
    light = dye(rng, (0.50, 0.325, 0.175), 0.1)
    dark = light * np.array([0.55, 0.47, 0.40], np.float32)
    board = flat(light, 0.5)
    tone = np.clip(0.75 * late + 0.13 * fibres + 0.12 * clouds(rng, 48.0, 2.0, 5.0), 0, 1.2)
    board.lay(tone, dark)
    board.tint(1 + 0.05 * fibres + 0.05 * clouds(rng, 48.0, 2.0) + 0.03 * grain(rng))
    board.lay(0.55 * pores, dark * 0.35)
    board.lay(knot, dark[:, None, None] * (0.5 + 0.15 * clouds(rng, 8.0, 2.0)))
    board.height += 0.16 * late + 0.045 * fibres - 0.35 * pores + 0.3 * clouds(rng, 48.0, 2.0, 5.0) + 0.25 * knot
    board.roughness += 0.06 * fibres - 0.1 * late + 0.05 * clouds(rng, 24.0, 2.0) + 0.25 * pores
    return board


def leather(rng: np.random.Generator, flaw: Flaw | None) -> Surface:
    """Build dyed, grained leather: pebbles in three sizes between valleys, and a few soft creases."""
    x, y = draw_pose(rng, 180, 60, 0.12).to_part()
    x = x + 2.0 * clouds(rng, 24.0, 3.0)
    y = y + 2.0 * clouds(rng, 24.0, 3.0)
    border, centre, tone = cells(x, y * rng.uniform(0.85, 1.1), rng.uniform(7.0, 8.5))
    fine_border, _, fine_tone = cells(y + 31, x + 17, 3.1)
    pebble = smoothstep(-0.06, 0.5, border + 0.04 * clouds(rng, 2.0, 1.0))
    small = smoothstep(0.0, 0.4, fine_border)
    crease = np.exp(-((clouds(rng, 48.0, 3.0, 3.0) / 0.06) ** 2)) * smoothstep(0.2, 1.2, clouds(rng, 48.0, 2.0))
    hue = dye(rng, (0.215, 0.093, 0.043), 0.1)
    hide = flat(hue, 0.36)
    hide.height += (
        pebble * (1.5 + 0.3 * tone - 0.9 * centre**2)
        + 0.22 * small
        + 0.06 * clouds(rng, 2.0, 1.0)
        + 1.2 * clouds(rng, 120.0, 4.0)
        - 0.7 * crease
    )
    worn = 1 + 0.07 * clouds(rng, 48.0, 2.0) + 0.05 * tone * pebble + 0.03 * fine_tone
    hide.tint((0.8 + 0.2 * pebble) * (0.92 + 0.08 * small) * worn * (1 - 0.3 * crease))
    hide.roughness += 0.22 * (1 - pebble) + 0.05 * clouds(rng, 24.0, 2.0) + 0.05 * grain(rng)
    np.clip(hide.roughness, 0.25, 1, out=hide.roughness)
    return hide
