"""Metal parts seen from above: hex_nut, gear, bottle_cap."""

from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ltad.data.demo.geometry import Pose, box, draw_pose, inside, polygon, smoothstep, wrap
from ltad.data.demo.grounds import painted_bench, put, rubber_mat
from ltad.data.demo.imprint import sample
from ltad.data.demo.noise import clouds, grain, lookup, table
from ltad.data.demo.strokes import Flaw
from ltad.data.demo.surface import Surface, dye

NUT_HEIGHT, NUT_INRADIUS, NUT_BORE = 30.0, 76.0, 40.0
GEAR_HEIGHT, GEAR_TEETH, GEAR_TIP, GEAR_ROOT = 22.0, 22, 102.0, 85.0
CAP_HEIGHT, CAP_FLUTES = 26.0, 21


def _turned(rng: np.random.Generator, radius: np.ndarray, depth: float) -> np.ndarray:
    """Give the concentric marks of a lathe, pixels."""
    marks = table(rng, depth)
    place = np.clip(radius * 2.5, 0, 500)
    low = place.astype(np.int32)
    part = place - np.floor(place)
    return marks[low] * (1 - part) + marks[low + 1] * part


def _tarnish(rng: np.random.Generator, part: Surface, cover: np.ndarray) -> None:
    """Vary the gloss and tone of bare metal as handling, oil and plating do."""
    patina = clouds(rng, 24.0, 2.0)
    part.roughness += cover * (0.05 * patina + 0.03 * clouds(rng, 2.0, 1.0) + 0.04 * clouds(rng, 8.0, 2.0))
    part.albedo *= 1 + cover * (0.05 * clouds(rng, 8.0, 2.0) + 0.05 * patina + 0.04 * grain(rng))
    nicks = np.clip(clouds(rng, 2.0, 3.0) - 2.9, 0, 1) * cover
    part.height -= 0.5 * nicks
    np.clip(part.roughness, 0.08, 1, out=part.roughness)


def _nut_height(rng: np.random.Generator, flaw: Flaw | None, radius: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Shape the face, the chamfers and the first turns of the thread."""
    height = NUT_HEIGHT - 0.55 * np.clip(radius - 73, 0, None) - 0.9 * np.clip(NUT_BORE + 5 - radius, 0, 5)
    height += _turned(rng, radius, 0.06)
    turns = radius / 2.6 + angle / (2 * np.pi)
    ridge = 0.5 + 0.5 * np.cos(2 * np.pi * turns)
    if flaw and flaw.kind == "damaged_thread":
        middle, half = flaw.rng.uniform(-np.pi, np.pi), flaw.between(0.5, 1.8)
        away = np.abs((angle - middle + np.pi) % (2 * np.pi) - np.pi)
        torn = smoothstep(half, 0.6 * half, away)
        ridge = ridge * (1 - torn) + torn * (0.1 + 0.5 * clouds(flaw.rng, 8.0, 3.0))
    thread = NUT_HEIGHT - 5.5 - 2.2 * (NUT_BORE - radius) + 2.8 * ridge
    return np.where(radius < NUT_BORE, thread, height)


def hex_nut(rng: np.random.Generator, flaw: Flaw | None) -> Surface:
    """Build a zinc-plated hexagon nut on a rubber mat."""
    part = rubber_mat(rng)
    x, y = draw_pose(rng, 14, 9, 0.05).to_part()
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    outline = np.maximum(polygon(x, y, 6, NUT_INRADIUS), radius - 86.5) + 0.15 * clouds(rng, 8.0, 2.0)
    height = _nut_height(rng, flaw, radius, angle)
    if flaw and flaw.kind == "broken_corner":
        corner = np.pi / 6 + np.pi / 3 * flaw.rng.integers(6)
        depth = flaw.between(2.5, 15)
        cut = np.cos(angle - corner) * radius - (87 - depth) + 0.9 * clouds(flaw.rng, 8.0, 3.0)
        height -= np.clip(cut + 1, 0, None) * flaw.between(0.8, 2.5)
        outline = np.maximum(outline, cut - 0.4 * depth)
    hollow = radius - (NUT_BORE - 7.5)
    cover = inside(np.maximum(outline, -hollow), 0.9)
    put(part, cover, np.maximum(height - 1.2 * smoothstep(-2.2, 0, outline), 1))
    part.lay(inside(hollow), np.array([0.02, 0.02, 0.02]), roughness=0.9)
    part.height -= 6 * inside(hollow)
    zinc = dye(rng, (0.52, 0.515, 0.49), 0.03)
    part.lay(cover, zinc, roughness=0.24, metal=1.0)
    part.lay(cover * (radius < NUT_BORE), zinc * 0.55, roughness=0.45)
    _tarnish(rng, part, cover)
    return part


def _teeth(flaw: Flaw | None, rng: np.random.Generator, radius: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Give the signed distance to the outline of the gear's teeth."""
    pitch = 2 * np.pi / GEAR_TEETH
    index, turn = wrap(angle, pitch)
    across = np.abs(turn * radius)
    slope = (radius - GEAR_ROOT) / (GEAR_TIP - GEAR_ROOT)
    tip = GEAR_TIP + lookup(table(rng, 0.15), index)
    tooth = np.maximum(across - (8.2 - 4.4 * slope), radius - tip)
    if flaw and flaw.kind in ("missing_tooth", "worn_tooth"):
        first = flaw.rng.integers(-GEAR_TEETH // 2, GEAR_TEETH // 2)
        ragged = 0.8 * clouds(flaw.rng, 8.0, 3.0)
        if flaw.kind == "missing_tooth":
            left_over = flaw.between(10, 0.5)
        else:
            left_over = GEAR_TIP - GEAR_ROOT - flaw.between(3.5, 11) + 0.6 * (angle - (first + 0.5) * pitch) * radius
        broken = np.maximum(tooth, radius - (GEAR_ROOT + left_over) + ragged)
        # Wear takes a run of three teeth, a break takes one.
        reach = 0 if flaw.kind == "missing_tooth" else 1
        tooth = np.where(np.abs(index - first) <= reach, broken, tooth)
    return np.minimum(tooth, radius - GEAR_ROOT)


def gear(rng: np.random.Generator, flaw: Flaw | None) -> Surface:
    """Build a turned steel spur gear with a recessed web, five holes and a keyed bore, on a painted bench."""
    part = painted_bench(rng)
    x, y = draw_pose(rng, 10, 6, 0.025).to_part()
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    outline = _teeth(flaw, rng, radius, angle) + 0.12 * clouds(rng, 8.0, 2.0)
    bore = np.minimum(radius - 17.0, box(x - 17, y, 7.5, 4.5, 0.6))
    sector = np.abs((angle + np.pi) % (2 * np.pi / 5) - np.pi / 5)
    bolt = np.hypot(radius * np.cos(sector) - 52, radius * np.sin(sector)) - 8.5
    opening = np.minimum(bore, bolt)
    web = smoothstep(33, 35.5, radius) * smoothstep(71, 68.5, radius)
    height = GEAR_HEIGHT - 5.0 * web + 0.02 * clouds(rng, 2.0, 1.0)
    height += _turned(rng, radius, 0.035) * np.where(radius > 70, 0.6, 1.0)
    height -= 1.3 * smoothstep(-2.2, 0, outline) + 1.5 * smoothstep(2.6, 0, opening)
    cover = inside(np.maximum(outline, -opening), 0.9)
    put(part, cover, np.maximum(height, 1))
    steel = dye(rng, (0.36, 0.355, 0.35), 0.04)
    part.lay(cover, steel, roughness=0.26, metal=1.0)
    part.lay(cover * web, steel * 0.72, roughness=0.42)
    _tarnish(rng, part, cover)
    return part


@cache
def _cap_print() -> Image.Image:
    """Draw the cap's ink in a square of 200 px: lettering, a ring and a star; 255 is full ink."""
    size = 400
    ink = Image.new("L", (size, size))
    draw = ImageDraw.Draw(ink)
    centre = size / 2
    draw.ellipse((centre - 108, centre - 108, centre + 108, centre + 108), outline=255, width=5)
    draw.ellipse((centre - 66, centre - 66, centre + 66, centre + 66), outline=255, width=3)
    corners = [
        (centre + r * np.sin(k * np.pi / 5), centre - r * np.cos(k * np.pi / 5)) for k, r in enumerate([52, 22] * 5)
    ]
    draw.polygon(corners, fill=255)
    font = ImageFont.load_default(size=30)
    for k, letter in enumerate("NORDHAVN  BRYGHUS  "):
        tile = Image.new("L", (size, size))
        ImageDraw.Draw(tile).text((centre, centre - 87), letter, fill=255, font=font, anchor="mm")
        turned = tile.rotate(-360 * k / 19, center=(centre, centre), resample=Image.Resampling.BICUBIC)
        ink.paste(255, mask=turned)
    return ink


def bottle_cap(rng: np.random.Generator, flaw: Flaw | None) -> Surface:
    """Build a printed crown cork, fluted at the rim, on a painted bench."""
    part = painted_bench(rng)
    pose = draw_pose(rng, 35, 8, 0.04)
    x, y = pose.to_part()
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    wave = np.cos(CAP_FLUTES * angle + 0.25 * clouds(rng, 24.0, 2.0))
    if flaw and flaw.kind == "bent_rim":
        middle, half = flaw.rng.uniform(-np.pi, np.pi), flaw.between(0.14, 0.5)
        bent = smoothstep(half, 0.3 * half, np.abs((angle - middle + np.pi) % (2 * np.pi) - np.pi))
        wave = wave * (1 - 0.9 * bent)
        radius = radius + flaw.between(1.0, 7.0) * bent * smoothstep(55, 88, radius)
    skirt = smoothstep(66, 88, radius)
    height = CAP_HEIGHT - 19 * np.clip((radius - 64) / 30, 0, None) ** 1.7 + 3.0 * wave * skirt
    height += -0.6 * smoothstep(56, 40, radius) + 0.12 * clouds(rng, 48.0, 4.0) + 0.02 * clouds(rng, 3.5, 4.0)
    cover = inside(radius - (90 + 3.4 * wave), 0.9)
    put(part, cover, np.maximum(height, 1))
    paint = dye(rng, (0.022, 0.075, 0.048), 0.1)
    part.lay(cover, paint, roughness=0.14, metal=0.0)
    ink = _cap_ink(rng, flaw, pose)
    part.lay(0.93 * ink * cover, dye(rng, (0.58, 0.54, 0.43), 0.04), roughness=0.2)
    part.roughness += cover * (0.03 * clouds(rng, 24.0, 2.0) + 0.06 * np.clip(clouds(rng, 24.0, 2.0) - 0.7, 0, 3))
    rub = np.clip(clouds(rng, 2.0, 3.0) - 2.2, 0, 1) * cover * smoothstep(60, 80, radius)
    part.lay(0.7 * rub, (0.5, 0.5, 0.48), metal=0.8)
    np.clip(part.roughness, 0.1, 1, out=part.roughness)
    return part


def _cap_ink(rng: np.random.Generator, flaw: Flaw | None, pose: Pose) -> np.ndarray:
    """Print the cap, a little off centre as every press does, or visibly wrong."""
    offset = rng.normal(0, 0.8, 2)
    fade: np.ndarray | float = 1.0
    if flaw and flaw.kind == "misprint":
        way = flaw.rng.integers(3)
        if way == 0:
            offset = offset + flaw.between(3.5, 13) * np.array([np.cos(flaw.severity * 40), np.sin(flaw.severity * 40)])
        elif way == 1:
            patch = clouds(flaw.rng, 24.0, 2.0)
            fade = 1 - flaw.between(0.5, 1.0) * smoothstep(1.3 - flaw.severity, 1.7 - flaw.severity, patch)
        else:
            ghost = sample(_cap_print(), pose, offset + flaw.between(2.0, 6.0) * np.array([0.8, 0.6]))
            return np.maximum(sample(_cap_print(), pose, offset), flaw.between(0.3, 0.8) * ghost)
    return sample(_cap_print(), pose, offset) * fade
