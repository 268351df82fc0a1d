"""The class zipper: metal teeth, closed, on two woven tapes over a cutting mat."""

import numpy as np

from ltad.data.demo.geometry import box, draw_pose, inside, smoothstep, wrap
from ltad.data.demo.grounds import cutting_mat, put
from ltad.data.demo.noise import clouds, lookup, table
from ltad.data.demo.strokes import Flaw
from ltad.data.demo.surface import Surface, dye
from ltad.data.demo.textile import plain_weave

TOOTH_PITCH, TOOTH_REACH, TAPE_HALF_WIDTH, TAPE_HEIGHT = 13.0, 24.0, 82.0, 3.0


def _tape(rng: np.random.Generator, part: Surface, x: np.ndarray, y: np.ndarray, away: np.ndarray) -> None:
    """Lay the two woven tapes; ``away`` is the distance from the inner edge of a tape outwards."""
    weave = plain_weave(rng, x, 0.8 * y, 3.6)
    top = np.maximum(weave.warp_height, weave.weft_height)
    on_top = smoothstep(-0.2, 0.2, weave.warp_height - weave.weft_height)
    edge = np.maximum(-away, away - (TAPE_HALF_WIDTH - 6)) + 0.5 * clouds(rng, 8.0, 2.0)
    cover = inside(edge, 1.2)
    selvage = np.exp(-(((away - (TAPE_HALF_WIDTH - 14)) / 2.6) ** 2))
    cord = np.sqrt(np.clip(1 - ((away - 11) / 5.5) ** 2, 0, 1))
    put(part, cover, TAPE_HEIGHT + 0.75 * top + 1.4 * selvage + 4.5 * cord + 0.8 * clouds(rng, 120.0, 4.0))
    colour = dye(rng, (0.060, 0.070, 0.105), 0.09)
    threads = 1 + lookup(table(rng, 0.10), weave.warp) * on_top + lookup(table(rng, 0.08), weave.weft) * (1 - on_top)
    shade = (0.72 + 0.28 * smoothstep(-0.5, 1.6, top)) * threads * (1 + 0.14 * on_top + 0.1 * clouds(rng, 2.0, 1.0))
    part.lay(cover, colour[:, None, None] * shade, roughness=0.85)
    lint = np.clip(clouds(rng, 2.0, 3.0) - 2.6, 0, 1) * cover
    part.lay(0.5 * lint, (0.45, 0.45, 0.45))


def _side(rng: np.random.Generator, part: Surface, x: np.ndarray, y: np.ndarray, flaw: Flaw | None) -> None:
    """Clamp one row of teeth on; x grows outwards from the chain's middle, y runs along it."""
    # Teeth fill a narrow strip of the frame only.
    near = np.flatnonzero((np.abs(x) < TOOTH_REACH).any(axis=0))
    strip = slice(near[0], near[-1] + 1)
    part, x, y = part.columns(strip), x[:, strip], y[:, strip]
    index, dy = wrap(y, TOOTH_PITCH)
    lean = lookup(table(rng, 0.02), index)
    slip = lookup(table(rng, 0.25), index)
    cover_all = np.float32(1)
    dx = x + slip
    if flaw and flaw.kind in ("missing_tooth", "bent_tooth"):
        chosen = index == int(flaw.rng.integers(-7, 7))
        if flaw.kind == "missing_tooth":
            cover_all = 1 - chosen.astype(np.float32) * smoothstep(6.4, 6.0, np.abs(dy))
        else:
            lean = lean + chosen * flaw.between(0.14, 0.6) * flaw.rng.choice([-1, 1])
            dx = dx - chosen * flaw.between(0.3, 4)
    across = dy + lean * (dx - 10)
    head = box(dx - 1.0, across, 5.4, 3.1, 2.2)
    neck = box(dx - 7.0, across, 4.0, 2.3, 0.6)
    legs = box(dx - 12.0, across, 5.2, 3.9, 1.4)
    outline = np.minimum(np.minimum(head, neck), legs)
    cover = inside(outline, 0.8) * cover_all
    height = 8.0 + 4.6 * smoothstep(0.4, -2.6, outline) - 1.3 * smoothstep(2.4, 0.4, np.hypot(dx - 0.2, 1.3 * across))
    height = height + 0.12 * clouds(rng, 3.5, 3.0)[:, strip] + 0.06 * clouds(rng, 2.0, 1.0)[:, strip]
    put(part, cover, height)
    brass = dye(rng, (0.55, 0.43, 0.24), 0.03)
    tarnish = 1 + 0.10 * clouds(rng, 8.0, 2.0)[:, strip] + lookup(table(rng, 0.08), index)
    part.lay(cover, brass[:, None, None] * tarnish, roughness=0.32, metal=1.0)
    part.roughness += cover * 0.06 * clouds(rng, 8.0, 2.0)[:, strip]


def zipper(rng: np.random.Generator, flaw: Flaw | None) -> Surface:
    """Build a closed brass zipper running down the frame."""
    part = cutting_mat(rng)
    x, y = draw_pose(rng, 4, 10, 0.06).to_part()
    x = x + 1.0 * clouds(rng, 120.0, 4.0)
    y = y + rng.uniform(0, TOOTH_PITCH)
    gap = np.float32(0)
    if flaw and flaw.kind == "split":
        middle = flaw.rng.uniform(-70, 70)
        bulge = np.exp(-(((y - middle) / flaw.between(22, 45)) ** 2))
        gap = flaw.between(1.5, 9) * bulge * smoothstep(70, 22, np.abs(x))
    right, left = x - gap, -x - gap
    _tape(rng, part, x, y, np.where(x > 0, right, left) - 2.5)
    side = flaw.rng.integers(2) if flaw else 0
    _side(rng, part, right, y, flaw if side == 0 else None)
    _side(rng, part, left, y + TOOTH_PITCH / 2, flaw if side == 1 else None)
    return part
