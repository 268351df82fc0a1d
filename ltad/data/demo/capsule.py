"""The class capsule: a two-piece hard gelatine capsule with printed lettering, on paper board."""

from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ltad.data.demo.geometry import Pose, draw_pose, inside, segment, smoothstep
from ltad.data.demo.grounds import paper_tray, put
from ltad.data.demo.imprint import sample
from ltad.data.demo.noise import clouds
from ltad.data.demo.strokes import Flaw, bump
from ltad.data.demo.surface import Surface, dye

HALF_LENGTH, BODY_RADIUS, CAP_RADIUS, SEAM = 56.0, 33.0, 35.2, 6.0


@cache
def _lettering() -> Image.Image:
    """Draw the imprint of both halves, 255 is full ink."""
    ink = Image.new("L", (400, 120))
    draw = ImageDraw.Draw(ink)
    draw.text((104, 58), "LT 50", fill=255, font=ImageFont.load_default(size=36), anchor="mm")
    draw.text((306, 58), "mg", fill=255, font=ImageFont.load_default(size=40), anchor="mm")
    draw.line((262, 88, 350, 88), fill=255, width=4)
    return ink


def _imprint(rng: np.random.Generator, flaw: Flaw | None, pose: Pose) -> np.ndarray:
    """Print the lettering with a little play, or wrongly: displaced, half missing, or doubled."""
    offset = np.array([rng.normal(0, 1.2), rng.normal(0, 1.6)])
    worn = np.clip(1.1 - 0.12 * clouds(rng, 2.0, 1.0) ** 2, 0, 1)
    if not flaw or flaw.kind != "misprint":
        return sample(_lettering(), pose, offset) * worn
    ghost_offset = offset + flaw.between(2.0, 8.0) * np.array([np.cos(flaw.severity * 9), np.sin(flaw.severity * 9)])
    way = flaw.rng.integers(3)
    if way == 0:
        return np.maximum(sample(_lettering(), pose, offset), sample(_lettering(), pose, ghost_offset) * 0.8) * worn
    if way == 1:
        return sample(_lettering(), pose, offset + (ghost_offset - offset) * 1.6) * worn
    lost = smoothstep(1.0 - 1.3 * flaw.severity, 1.3 - 1.3 * flaw.severity, clouds(flaw.rng, 8.0, 2.0))
    return sample(_lettering(), pose, offset) * worn * (1 - lost)


def _shape(flaw: Flaw | None, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the distance to the capsule's axis and its outer radius at every sample."""
    distance = segment(x, y, HALF_LENGTH)
    radius = BODY_RADIUS + (CAP_RADIUS - BODY_RADIUS) * smoothstep(SEAM - 0.6, SEAM + 0.6, x)
    # The lock: a shallow ring pressed into the cap, and a taper at its mouth.
    radius = radius - 0.55 * np.exp(-(((x - 17) / 1.5) ** 2))
    radius -= 0.5 * np.exp(-(((x - SEAM - 1) / 1.2) ** 2)) * (x > SEAM)
    if flaw and flaw.kind == "squeezed":
        side = flaw.rng.choice([-1, 1])
        middle = flaw.rng.uniform(-65, 65)
        press = np.exp(-(((x - middle) / flaw.between(9, 17)) ** 2)) * (y * side > -10)
        distance = distance + flaw.between(1.3, 9) * press * smoothstep(-10, 20, y * side)
    return distance, radius


def capsule(rng: np.random.Generator, flaw: Flaw | None) -> Surface:
    """Build a capsule, its two halves in two colours, lying on paper board."""
    part = paper_tray(rng)
    pose = draw_pose(rng, 14, 9, 0.05)
    x, y = pose.to_part()
    distance, radius = _shape(flaw, x, y)
    height = np.sqrt(np.clip(radius**2 - distance**2, 0, None)) + radius * 0.9
    if flaw and flaw.kind == "dimple":
        where = pose.to_photo(flaw.rng.uniform(-62, 62), flaw.rng.uniform(-16, 16))
        height -= flaw.between(1.2, 8) * bump(where, flaw.between(8, 20), flaw.rng.uniform(0.6, 1), 1.0)
    height += 0.05 * clouds(rng, 24.0, 4.0)
    cover = inside(distance - radius, 0.9)
    put(part, cover, height)
    body = dye(rng, (0.60, 0.54, 0.40), 0.04)
    cap = dye(rng, (0.23, 0.062, 0.042), 0.08)
    part.lay(cover, body, roughness=0.08)
    # Gelatine lets light through: the thin rim glows in the body's own colour.
    rim = smoothstep(0.72, 1.0, distance / radius) * cover
    part.lay(cover * inside(SEAM - x, 0.8), cap)
    part.lay(0.25 * rim, np.sqrt(part.albedo) * 0.75)
    powder = smoothstep(0.2, 2.0, clouds(rng, 24.0, 2.0) + 0.4 * clouds(rng, 2.0, 1.0)) * cover
    part.lay(0.07 * powder, (0.7, 0.68, 0.62))
    ink = _imprint(rng, flaw, pose) * cover * smoothstep(30, 24, np.abs(y))
    part.lay(0.85 * ink * inside(x - SEAM, 0.8), (0.05, 0.045, 0.05), roughness=0.35)
    part.lay(0.8 * ink * inside(SEAM - x, 0.8), (0.62, 0.60, 0.55), roughness=0.35)
    part.roughness += cover * (0.02 * clouds(rng, 24.0, 2.0) + 0.08 * powder)
    np.clip(part.roughness, 0.06, 1, out=part.roughness)
    return part
