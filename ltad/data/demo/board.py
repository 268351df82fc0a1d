"""The class printed_board: materials of a populated circuit board, laid under one pose."""

from dataclasses import replace

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from ltad.data.demo.artwork import SHAPES, artwork
from ltad.data.demo.geometry import draw_pose, smoothstep
from ltad.data.demo.imprint import sample
from ltad.data.demo.noise import clouds, grain
from ltad.data.demo.strokes import Flaw
from ltad.data.demo.surface import Surface, dye, flat

LAMINATE = (0.30, 0.27, 0.16)
MAGNIFICATION = 1.35  # of the artwork in the photograph


def _components(rng: np.random.Generator, part: Surface, body: np.ndarray, kind: np.ndarray) -> None:
    """Put moulded bodies and ceramic blocks on the board."""
    colours = np.array([(0, 0, 0), *(shape[4] for shape in SHAPES.values())], np.float32).T
    bevelled = gaussian_filter(body, 0.9)
    moulded = smoothstep(0.5, 2.0, bevelled)
    part.height += bevelled + moulded * 0.05 * clouds(rng, 2.0, 1.0)
    cover = (kind > 0).astype(np.float32)
    tone = 1 + 0.08 * clouds(rng, 2.0, 1.0) + 0.06 * clouds(rng, 24.0, 2.0)
    part.lay(cover, colours[:, kind] * tone, roughness=0.5, metal=0.0)


def printed_board(rng: np.random.Generator, flaw: Flaw | None) -> Surface:
    """Build a green circuit board with tracks, pads, vias, lettering, chips and passives."""
    pose = draw_pose(rng, 0.9, 3, 0.012)
    pose = replace(pose, scale=MAGNIFICATION * pose.scale)
    art = artwork(flaw)
    copper, pads, drills = sample(Image.merge("RGB", (art.copper.image, art.pads.image, art.drills.image)), pose)
    ink, body, metal = sample(Image.merge("RGB", (art.ink.image, art.body.image, art.metal.image)), pose)
    kind = sample(art.kind.image, pose, smooth=False)
    mask_green = dye(rng, (0.014, 0.085, 0.034), 0.1)
    part = flat(mask_green, 0.22)
    weave = clouds(rng, 3.5, 3.0)
    part.tint(1 + 0.06 * clouds(rng, 24.0, 2.0) + 0.035 * weave + 0.04 * grain(rng))
    part.lay(0.9 * copper, dye(rng, (0.045, 0.17, 0.062), 0.08))
    part.height += 0.55 * gaussian_filter(copper, 1.2) + 0.02 * weave + 1.0 * clouds(rng, 120.0, 4.0)
    part.roughness += 0.04 * clouds(rng, 24.0, 2.0)
    part.lay(np.clip(0.92 * ink - 0.12 * np.abs(clouds(rng, 2.0, 1.0)) * ink, 0, 1), (0.66, 0.66, 0.62), roughness=0.7)
    solder = dye(rng, (0.60, 0.585, 0.555), 0.03)
    amount = np.clip(1 + 0.12 * clouds(rng, 8.0, 2.0), 0.3, 2)
    part.lay(pads, solder, roughness=0.3 + 0.06 * clouds(rng, 8.0, 2.0), metal=1.0)
    part.height += 1.7 * amount * gaussian_filter(pads, 2.2) * pads + 0.04 * pads * clouds(rng, 3.5, 3.0)
    part.lay(drills, (0.01, 0.01, 0.01), roughness=0.9, metal=0)
    part.height -= 5 * drills
    _components(rng, part, body * 255 / 20, kind)
    part.lay(metal, solder * 1.05, roughness=0.28, metal=1.0)
    part.height += 0.5 * gaussian_filter(metal, 1.0)
    flux = np.clip(clouds(rng, 24.0, 2.0) - 1.0, 0, 1) * 0.12
    part.roughness += flux
    np.clip(part.roughness, 0.12, 1, out=part.roughness)
    return part
