"""The class connector: a moulded shroud with two rows of square pins, on a cutting mat."""

import numpy as np

from ltad.data.demo.geometry import box, draw_pose, inside, smoothstep, wrap
from ltad.data.demo.grounds import cutting_mat, put
from ltad.data.demo.noise import clouds, grain, lookup, table
from ltad.data.demo.strokes import Flaw
from ltad.data.demo.surface import Surface, dye

COLUMNS, PITCH = 8, 23.0
WALL_TOP, FLOOR, PIN_TOP = 34.0, 9.0, 29.0
HALF_WIDTH, HALF_HEIGHT, WALL = 104.0, 42.0, 7.0


def _shell(rng: np.random.Generator, part: Surface, x: np.ndarray, y: np.ndarray, flaw: Flaw | None) -> np.ndarray:
    """Mould the shroud; gives the coverage of its floor, where the pins stand."""
    outer = box(x, y, HALF_WIDTH, HALF_HEIGHT, 3.5)
    ribs = np.minimum(box(np.abs(x) - 62, np.abs(y) - 42, 9, 3.2, 1), box(np.abs(x) - 104, y, 4, 13, 1))
    outer = np.minimum(outer, ribs) + 0.12 * clouds(rng, 8.0, 2.0)
    inner = box(x, y, HALF_WIDTH - WALL, HALF_HEIGHT - WALL, 1.8)
    key = box(x, y - HALF_HEIGHT + 3, 15, 9, 0.8)
    floor = inside(np.minimum(inner, key), 1.6)
    wall = WALL_TOP - 12 * inside(key, 1.5) - 1.0 * smoothstep(-2, 0, outer) - 1.4 * smoothstep(2, 0, inner)
    if flaw and flaw.kind == "broken_wall":
        left = flaw.rng.uniform(-85, 85)
        width = flaw.between(4, 20)
        notch = smoothstep(width, width - 2, np.abs(x - left) + 0.8 * clouds(flaw.rng, 8.0, 4.0))
        wall = wall - flaw.between(9, 30) * notch * (y < 0) * (1 + 0.1 * clouds(flaw.rng, 8.0, 3.0))
    if flaw and flaw.kind == "melted":
        middle = flaw.rng.uniform(-90, 90), flaw.rng.choice([-1, 1]) * (HALF_HEIGHT - 3)
        heat = np.exp(-(((x - middle[0]) ** 2 + (y - middle[1]) ** 2) / flaw.between(7, 17) ** 2))
        wall = wall - flaw.between(3, 15) * heat * (1 + 0.15 * clouds(flaw.rng, 24.0, 4.0))
        floor = floor * (1 - smoothstep(0.15, 0.5, heat))
        outer = outer - flaw.between(1, 4) * heat
    cell_x = np.abs(wrap(x, PITCH)[1])
    moulding = 1.2 * smoothstep(PITCH / 2 - 1.5, PITCH / 2 - 0.6, cell_x)
    height = wall + floor * (FLOOR + moulding - wall) + 0.06 * clouds(rng, 2.0, 1.0) + 0.10 * clouds(rng, 3.5, 3.0)
    cover = inside(outer, 0.9)
    put(part, cover, height)
    nylon = dye(rng, (0.50, 0.465, 0.385), 0.05)
    part.lay(cover, nylon, roughness=0.33)
    part.tint(1 + cover * (0.025 * clouds(rng, 24.0, 2.0) + 0.03 * clouds(rng, 48.0, 2.0) + 0.02 * grain(rng)))
    specks = np.clip(clouds(rng, 2.0, 3.0) - 2.7, 0, 1) * cover
    part.lay(0.6 * specks, (0.12, 0.1, 0.08))
    return floor


def _pins(rng: np.random.Generator, part: Surface, x: np.ndarray, y: np.ndarray, flaw: Flaw | None) -> None:
    """Stand the pins up; each leans a little, and the camera sees its tip beside its foot."""
    column, dx = wrap(x, PITCH)
    row, dy = wrap(y, PITCH)
    number = column + COLUMNS * row
    lean_x, lean_y = table(rng, 0.35), table(rng, 0.35)
    within = (np.abs(x) < COLUMNS * PITCH / 2) & (np.abs(y) < PITCH)
    if flaw and flaw.kind in ("bent_pin", "missing_pin"):
        chosen = int(flaw.rng.integers(-COLUMNS // 2, COLUMNS // 2)) + COLUMNS * int(flaw.rng.integers(-1, 1))
        if flaw.kind == "missing_pin":
            within &= number != chosen
        else:
            direction, reach = flaw.rng.uniform(0, 2 * np.pi), flaw.between(3.5, 11)
            lean_x[chosen % len(lean_x)] += reach * np.cos(direction)
            lean_y[chosen % len(lean_y)] += reach * np.sin(direction)
    tip_x, tip_y = lookup(lean_x, number), lookup(lean_y, number)
    share = np.clip((dx * tip_x + dy * tip_y) / (tip_x**2 + tip_y**2), 0, 1)
    outline = np.maximum(np.abs(dx - share * tip_x), np.abs(dy - share * tip_y)) - (4.2 - 0.8 * share)
    cover = inside(outline, 0.8) * within
    from_tip = np.maximum(np.abs(dx - tip_x), np.abs(dy - tip_y))
    reach = np.hypot(tip_x, tip_y)
    top = PIN_TOP - 0.6 * reach - np.clip(from_tip - 1.6, 0, 2.8) * 1.6 - 0.9 * (1 - share) * reach
    socket = inside(np.maximum(np.abs(dx), np.abs(dy)) - 5.0, 1.2) * within
    part.height -= 1.0 * socket * (1 - cover)
    part.height += cover * (top - part.height)
    tin = dye(rng, (0.78, 0.60, 0.30), 0.04)
    tone = 1 + lookup(table(rng, 0.06), number) + 0.06 * clouds(rng, 8.0, 2.0)
    part.lay(cover, tin[:, None, None] * tone, roughness=0.3, metal=1.0)


def connector(rng: np.random.Generator, flaw: Flaw | None) -> Surface:
    """Build a pin header of two rows in a keyed shroud."""
    part = cutting_mat(rng)
    x, y = draw_pose(rng, 9, 8, 0.05).to_part()
    _shell(rng, part, x, y, flaw)
    _pins(rng, part, x, y, flaw)
    if flaw and flaw.kind == "bridge":
        _bridge(part, flaw, x, y)
    return part


def _bridge(part: Surface, flaw: Flaw, x: np.ndarray, y: np.ndarray) -> None:
    """Let a splash of solder join two neighbouring pins."""
    left = PITCH * flaw.rng.integers(-COLUMNS // 2 + 1, COLUMNS // 2)
    top = PITCH * (flaw.rng.integers(0, 2) - 0.5)
    thick = flaw.between(1.0, 4.0)
    span = np.hypot(np.maximum(np.abs(x - left) - 10, 0), y - top + 1.0 * clouds(flaw.rng, 24.0, 4.0))
    cover = inside(span - thick, 1.0)
    round_top = FLOOR + 7 + 2 * np.sqrt(np.clip(thick**2 - span**2, 0, None))
    part.height += cover * np.maximum(round_top - part.height, 0)
    part.lay(cover, (0.6, 0.59, 0.57), roughness=0.25, metal=1.0)
