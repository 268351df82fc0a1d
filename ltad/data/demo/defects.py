"""Damage that can happen to any product: each function changes the physical fields, before the light falls on them.

All take the surface and the flaw; keywords adapt them to a material. What they changed becomes the mask.
"""

import numpy as np

from ltad.data.demo.geometry import smoothstep
from ltad.data.demo.noise import clouds, grain
from ltad.data.demo.strokes import Flaw, blob, bump, spot, stroke, wander
from ltad.data.demo.surface import Colour, Surface


def scratch(
    surface: Surface,
    flaw: Flaw,
    *,
    reveal: Colour | None = None,
    lighten: float = 1.5,
    length: tuple[float, float] = (24, 100),
    width: tuple[float, float] = (0.6, 1.9),
    depth: tuple[float, float] = (0.12, 0.7),
    bare_metal: float | None = None,
) -> None:
    """Draw a sharp point across: a groove with thrown-up rims, interrupted where the point jumped.

    ``reveal`` is the colour below; without it the colour is only lightened by a factor.
    """
    rng = flaw.rng
    points = wander(rng, spot(surface, rng, 14), flaw.between(*length), rng.uniform(0, np.pi), rng.uniform(0.05, 0.6))
    pressure = np.convolve(rng.uniform(0.3, 1.3, len(points) + 6), np.ones(7) / 7, "valid")
    widths = flaw.between(*width) * pressure * np.sin(np.linspace(0.25, np.pi - 0.1, len(points))) ** 0.5
    on_product = surface.region.astype(np.float32)
    groove = stroke([(points, widths)], 0.7) * on_product
    rims = np.clip(stroke([(points, 2.4 * widths)], 1.6) * on_product - groove, 0, 1)
    surface.height += flaw.between(*depth) * (0.35 * rims - groove)
    strength = flaw.between(0.45, 1.0)
    fresh = surface.albedo * lighten if reveal is None else reveal
    surface.lay(strength * groove, fresh, roughness=0.55, metal=bare_metal)


def crack(surface: Surface, flaw: Flaw, *, dark: float = 0.12, length: tuple[float, float] = (28, 120)) -> None:
    """Break the material: a jagged, tapering, branching gap that light does not reach."""
    rng = flaw.rng
    heading = rng.uniform(0, 2 * np.pi)
    trunk = wander(rng, spot(surface, rng, 12), flaw.between(*length), heading, 0.7, 0.45)
    width = flaw.between(0.5, 1.5) * np.linspace(1.3, 0.35, len(trunk)) * rng.uniform(0.5, 1.4, len(trunk))
    lines = [(trunk, width)]
    for _ in range(rng.integers(0, 2 + int(3 * flaw.severity))):
        start = rng.integers(2, len(trunk) - 2)
        side = heading + rng.choice([-1, 1]) * rng.uniform(0.4, 1.1)
        branch = wander(rng, (0, 0), rng.uniform(0.15, 0.4) * 1.5 * len(trunk), side, 0.5, 0.45)
        lines.append((branch - branch[0] + trunk[start], width[start] * np.linspace(0.8, 0.25, len(branch))))
    gap = stroke(lines, 0.55) * surface.region
    surface.height -= flaw.between(0.5, 2.0) * gap + 0.25 * stroke(lines, 2.5) * surface.region
    surface.lay(flaw.between(0.45, 0.95) * gap, surface.albedo * dark, roughness=0.9, metal=0)


def hole(
    surface: Surface,
    flaw: Flaw,
    *,
    radius: tuple[float, float] = (2.2, 9),
    inner: Colour = (0.03, 0.028, 0.026),
    depth: float = 7,
    rim: float = 0.6,
) -> None:
    """Punch or drill a hole: dark and deep inside, its rim raised and a little torn."""
    rng = flaw.rng
    size = flaw.between(*radius)
    where = spot(surface, rng, size + 6)
    pit = blob(rng, where, size, 0.12, 0.25) * surface.region
    around = bump(where, 2.0 * size) * surface.region
    surface.height += rim * around * (1 - pit) * (1 + 0.4 * clouds(rng, 8.0, 2.0)) - depth * pit
    surface.lay(pit, inner, roughness=0.9, metal=0)


def dent(
    surface: Surface,
    flaw: Flaw,
    *,
    radius: tuple[float, float] = (8, 24),
    depth: tuple[float, float] = (0.7, 4.0),
) -> None:
    """Press a hollow with a slight rim; only the light shows it."""
    rng = flaw.rng
    size = flaw.between(*radius)
    where = spot(surface, rng, size + 4)
    squeeze, turn = rng.uniform(0.55, 1), rng.uniform(0, np.pi)
    hollow = bump(where, size, squeeze, turn) - 0.25 * (
        bump(where, 1.35 * size, squeeze, turn) - bump(where, size, squeeze, turn)
    )
    surface.height -= flaw.between(*depth) * hollow * surface.region


def stain(
    surface: Surface,
    flaw: Flaw,
    *,
    colour: Colour = (0.35, 0.24, 0.14),
    radius: tuple[float, float] = (9, 34),
    strength: tuple[float, float] = (0.22, 0.75),
    gloss: float | None = None,
) -> None:
    """Let a liquid dry: a filter of its colour, uneven, darker along the outline."""
    rng = flaw.rng
    size = flaw.between(*radius)
    wet = blob(rng, spot(surface, rng, 0.7 * size), size, 0.3, 0.3) * surface.region
    ring = 4 * wet * (1 - wet)
    uneven = 0.75 + 0.2 * clouds(rng, 24.0, 2.0)
    amount = np.clip(flaw.between(*strength) * (wet * uneven + 0.45 * ring), 0, 0.95)
    surface.tint(1 - amount * (1 - np.asarray(colour, np.float32)[:, None, None]))
    surface.lay(wet * 0.8, roughness=gloss)


def smear(
    surface: Surface,
    flaw: Flaw,
    *,
    colour: Colour,
    strength: tuple[float, float] = (0.25, 0.85),
    roughness: float = 0.3,
    thickness: float = 0.8,
    radius: tuple[float, float] = (6, 18),
) -> None:
    """Leave a blob of paste (glue, grout, grease, solder mask) that was wiped once."""
    rng = flaw.rng
    size = flaw.between(*radius)
    where = spot(surface, rng, size)
    lump = blob(rng, where, size, 0.4, 0.35)
    path = wander(rng, where, flaw.between(10, 46), rng.uniform(0, np.pi), 0.8)
    wiped = stroke([(path, size * np.linspace(1.1, 0.3, len(path)))], 2.5)
    wiped *= smoothstep(-0.6, 0.7, clouds(rng, 8.0, 1.5))
    layer = np.maximum(lump, 0.75 * wiped) * surface.region
    surface.height += thickness * layer * (1 + 0.2 * clouds(rng, 24.0, 4.0))
    surface.lay(flaw.between(*strength) * layer, colour, metal=0)
    surface.lay(layer, roughness=roughness)


def fibre(
    surface: Surface,
    flaw: Flaw,
    *,
    colour: Colour = (0.05, 0.045, 0.045),
    width: tuple[float, float] = (0.5, 1.2),
    length: tuple[float, float] = (22, 85),
) -> None:
    """Let a hair or a loose thread lie on top, curled, with its own shine and shadow."""
    rng = flaw.rng
    path = wander(rng, spot(surface, rng, 8), flaw.between(*length), rng.uniform(0, 6.3), rng.uniform(1.5, 4.0))
    thick = flaw.between(*width)
    body = stroke([(path, thick)], 0.6)
    surface.height += (1.0 + thick) * np.clip(1.4 * body, 0, 1)
    surface.lay(np.clip(flaw.between(0.75, 1.15) * body, 0, 1), colour, roughness=0.45, metal=0)


def scuff(
    surface: Surface, flaw: Flaw, *, lighten: float = 1.5, reveal: Colour | None = None, roughness: float = 0.8
) -> None:
    """Rub the surface: many short parallel scratches within a soft patch, and lost gloss."""
    rng = flaw.rng
    size = flaw.between(11, 30)
    where = spot(surface, rng, 0.8 * size)
    heading = rng.uniform(0, np.pi)
    lines = []
    for _ in range(int(flaw.between(16, 60))):
        start = np.asarray(where) + rng.normal(0, 0.42 * size, 2)
        lines.append((wander(rng, tuple(start), rng.uniform(0.3, 1.1) * size, heading, 0.12), rng.uniform(0.25, 0.8)))
    marks = stroke(lines, 0.7) * surface.region
    patch = blob(rng, where, size, 0.35, 0.8) * surface.region * smoothstep(-1.5, 1.0, clouds(rng, 2.0, 1.0))
    cover = np.clip(0.35 * patch + 0.8 * marks, 0, 1) * flaw.between(0.45, 0.95)
    surface.height -= 0.35 * marks
    surface.lay(cover, surface.albedo * lighten if reveal is None else reveal, roughness=roughness)


def rust(surface: Surface, flaw: Flaw, *, radius: tuple[float, float] = (6, 24)) -> None:
    """Corrode metal: brown, rough, slightly swollen islands around a few centres."""
    rng = flaw.rng
    size = flaw.between(*radius)
    where = spot(surface, rng, 0.5 * size)
    spread = bump(where, 1.7 * size) + 0.5 * bump(
        (where[0] + rng.normal(0, size), where[1] + rng.normal(0, size)), 0.9 * size
    )
    islands = smoothstep(0.0, 0.5, spread + 0.28 * clouds(rng, 8.0, 1.5) - 0.62 + 0.2 * flaw.severity)
    cover = islands * surface.region * (spread > 0.02)
    tone = np.clip(1 + 0.32 * clouds(rng, 8.0, 1.5) + 0.15 * grain(rng), 0.3, 2)
    colour = np.asarray((0.21, 0.085, 0.032), np.float32)[:, None, None] * tone
    surface.height += cover * (0.3 + 0.3 * clouds(rng, 2.0, 1.0))
    surface.lay(flaw.between(0.5, 1.0) * np.clip(cover, 0, 1), np.clip(colour, 0, 1), roughness=0.95, metal=0)


def burn(surface: Surface, flaw: Flaw, *, radius: tuple[float, float] = (8, 26)) -> None:
    """Scorch: black in the middle, brown around, the outline blurred by the heat."""
    rng = flaw.rng
    size = flaw.between(*radius)
    where = spot(surface, rng, 0.6 * size)
    flame = bump(where, 1.5 * size, rng.uniform(0.5, 1), rng.uniform(0, 3))
    heat = np.clip(flame * (1 + 0.3 * clouds(rng, 8.0, 2.0)), 0, 1) * surface.region
    brown = smoothstep(0.05, 0.75, heat) * flaw.between(0.6, 1.0)
    black = smoothstep(0.5, 1.0, heat) * flaw.between(0.25, 1.0)
    surface.tint(1 - brown * (1 - np.asarray((0.42, 0.27, 0.16), np.float32)[:, None, None]))
    surface.lay(black, (0.025, 0.022, 0.02))
    surface.lay(brown, roughness=0.85)
    surface.height -= 0.7 * black


def discolour(
    surface: Surface,
    flaw: Flaw,
    *,
    shift: Colour = (1.25, 1.1, 0.85),
    radius: tuple[float, float] = (22, 55),
) -> None:
    """Change the colour of a large, soft area: bleached, oxidised, or dyed wrongly."""
    rng = flaw.rng
    size = flaw.between(*radius)
    area = blob(rng, spot(surface, rng, 0.4 * size), size, 0.3, 0.55) * surface.region
    strength = flaw.between(0.35, 1.1)
    factor = np.asarray(shift, np.float32)[:, None, None] ** (strength * area)
    surface.tint(factor)
    np.clip(surface.albedo, 0, 1, out=surface.albedo)


def contamination(
    surface: Surface,
    flaw: Flaw,
    *,
    colour: Colour = (0.3, 0.29, 0.27),
    metal: float = 0,
    radius: tuple[float, float] = (1.8, 6.5),
    roughness: float = 0.6,
) -> None:
    """Drop foreign matter: a few angular crumbs that stand up and cast shadows."""
    rng = flaw.rng
    where = np.asarray(spot(surface, rng, 10))
    for _ in range(1 + rng.integers(0, 2 + int(3 * flaw.severity))):
        size = flaw.between(*radius, 0.4)
        place = where + rng.normal(0, 1.8 * size, 2)
        crumb = blob(rng, tuple(place), size, 0.45, 0.5)
        tone = np.clip(1 + 0.25 * clouds(rng, 2.0, 1.0), 0.4, 1.8)
        surface.height += crumb * size * (0.7 + 0.25 * clouds(rng, 8.0, 1.5))
        shaded = np.asarray(colour, np.float32)[:, None, None] * tone * rng.uniform(0.7, 1.3)
        surface.lay(np.clip(2 * crumb, 0, 1), np.clip(shaded, 0, 1), roughness=roughness, metal=metal)
