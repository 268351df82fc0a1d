"""Made surfaces: glazed tiles in grout, and brushed sheet metal."""

import numpy as np

from ltad.data.demo.geometry import box, draw_pose, grid, inside, smoothstep, wrap
from ltad.data.demo.noise import clouds, grain, lookup, table
from ltad.data.demo.strokes import Flaw, blob
from ltad.data.demo.surface import Surface, dye, flat

GROUT_WIDTH = 7.0
CLAY = (0.34, 0.17, 0.10)


def _chip(flaw: Flaw, tiles: Surface, edge: np.ndarray) -> None:
    """Break a splinter off the edge of a tile (``edge``: signed distance to it), down to the clay."""
    rng = flaw.rng
    x, y = grid()
    rows, columns = np.nonzero((np.abs(edge + 1.5) < 1) & (np.maximum(np.abs(x), np.abs(y)) < 112))
    if not len(rows):
        rows, columns = np.nonzero(np.abs(edge + 30) < 1)
    chosen = rng.integers(len(rows))
    where = (float(x[0, columns[chosen]]), float(y[rows[chosen], 0]))
    size = flaw.between(3.0, 13)
    bite = blob(rng, where, size, 0.4, 0.25) * inside(edge)
    rough = clouds(rng, 8.0, 1.5)
    tiles.height -= bite * (2.2 + 0.5 * rough)
    clay = np.asarray(CLAY, np.float32)[:, None, None] * (1 + 0.12 * rough + 0.12 * grain(rng))
    tiles.lay(np.clip(bite * flaw.between(0.8, 1.2), 0, 1), clay, roughness=0.95)


def _fill_joints(rng: np.random.Generator, tiles: Surface, edge: np.ndarray) -> None:
    """Fill what lies outside the tiles with sandy grout, a little lower than they are."""
    sand = clouds(rng, 2.0, 1.0)
    grout = inside(-edge, 1.4)
    colour = dye(rng, (0.30, 0.29, 0.27), 0.12)
    tone = 1 + 0.13 * sand + 0.08 * clouds(rng, 24.0, 2.0) + 0.1 * grain(rng)
    tiles.lay(grout, colour[:, None, None] * tone, roughness=0.95)
    tiles.height += grout * (0.22 * sand + 0.2 * clouds(rng, 8.0, 2.0) - 1.5)


def ceramic_tile(rng: np.random.Generator, flaw: Flaw | None) -> Surface:
    """Build part of a wall of glazed, speckled tiles, one tile filling most of the frame."""
    pose = draw_pose(rng, 2.5, 95, 0.06)
    x, y = pose.to_part()
    pitch = 196.0
    column, dx = wrap(x + pitch / 2, pitch)
    row, dy = wrap(y + pitch / 2, pitch)
    which = column + 7 * row
    half = (pitch - GROUT_WIDTH) / 2
    edge = box(dx + lookup(table(rng, 0.35), which), dy, half, half, 2.5) + 0.3 * clouds(rng, 8.0, 3.0)
    glaze = dye(rng, (0.30, 0.355, 0.345), 0.09, 0.035)
    tiles = flat(glaze, 0.1)
    mottle = clouds(rng, 24.0, 3.0)
    cloudy = 0.075 * mottle + 0.03 * clouds(rng, 8.0, 3.0) + 0.02 * clouds(rng, 2.0, 1.0)
    tiles.tint(1 + cloudy + lookup(table(rng, 0.05), which))
    speckle = smoothstep(2.0, 2.7, clouds(rng, 2.0, 3.0)) + 0.8 * smoothstep(2.35, 2.8, clouds(rng, 3.5, 3.0))
    tiles.lay(0.75 * np.clip(speckle, 0, 1), (0.17, 0.115, 0.07))
    # Glaze thins out over the edge, where it shows more of the clay.
    tiles.lay(0.55 * smoothstep(-5.5, -0.5, edge), np.array(CLAY) * 1.5)
    tiles.height += 0.07 * clouds(rng, 24.0, 4.0) + 0.9 * clouds(rng, 120.0, 4.0) + 0.02 * clouds(rng, 3.5, 4.0)
    tiles.height += lookup(table(rng, 0.012), which) * dx + lookup(table(rng, 0.012), which + 3) * dy
    smudges = np.clip(clouds(rng, 24.0, 2.0) - 0.6, 0, 2)
    tiles.roughness += 0.02 * mottle + 0.07 * smudges
    if flaw and flaw.kind == "chip":
        _chip(flaw, tiles, edge)
    tiles.height -= 0.9 * smoothstep(-3.0, 0.5, edge) ** 2
    _fill_joints(rng, tiles, edge)
    tiles.region = edge < -4
    return tiles


def brushed_metal(rng: np.random.Generator, flaw: Flaw | None) -> Surface:
    """Build a sheet of brushed stainless steel, strokes along x, with a faint wave and old finger marks."""
    tint = dye(rng, (0.56, 0.55, 0.53), 0.02)
    sheet = flat(tint, 0.27, 1.0)
    strokes = clouds(rng, 0.8, 0.7, 160.0)
    broad = clouds(rng, 8.0, 1.5, 60.0)
    single = smoothstep(2.2, 3.2, np.abs(clouds(rng, 1.0, 1.0, 40.0)))
    marks = smoothstep(0.9, 2.2, clouds(rng, 24.0, 2.0)) * rng.uniform(0.0, 0.5)
    sheet.tint(1 + 0.07 * strokes + 0.04 * broad + 0.02 * grain(rng))
    sheet.height += 0.06 * strokes + 0.05 * broad - 0.10 * single + rng.uniform(0.3, 0.9) * clouds(rng, 120.0, 4.0)
    sheet.roughness += 0.035 * strokes + 0.03 * broad + 0.12 * marks
    return sheet
