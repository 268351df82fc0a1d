"""What objects lie on while they are photographed."""

import numpy as np

from ltad.data.demo.noise import clouds, grain
from ltad.data.demo.surface import Surface, dye, flat


def _ground(colour: np.ndarray, roughness: float) -> Surface:
    """Make a level ground on which no product lies yet."""
    ground = flat(colour, roughness)
    ground.region[:] = False
    return ground


def rubber_mat(rng: np.random.Generator) -> Surface:
    """Give a dark, finely pebbled mat with some dust and wear."""
    mat = _ground(dye(rng, (0.052, 0.055, 0.060), 0.1), 0.62)
    pebbles = clouds(rng, 3.5, 3.0)
    mat.height += 0.28 * pebbles + 0.08 * clouds(rng, 2.0, 1.0)
    dust = np.clip(clouds(rng, 24.0, 2.0) + 0.8 * clouds(rng, 2.0, 1.0) - 1.0, 0, 2)
    mat.tint(1 + 0.1 * clouds(rng, 48.0, 2.0) + 0.12 * pebbles)
    mat.lay(np.clip(0.10 * dust, 0, 1), (0.30, 0.28, 0.25))
    return mat


def painted_bench(rng: np.random.Generator) -> Surface:
    """Give a grey, lacquered bench: orange peel, wiped dirt, fine scratches."""
    bench = _ground(dye(rng, (0.235, 0.245, 0.250), 0.09), 0.42)
    wiped = clouds(rng, 2.0, 1.0, 24.0)
    bench.height += 0.07 * clouds(rng, 3.5, 3.0) + 0.8 * clouds(rng, 120.0, 4.0)
    bench.tint(1 + 0.07 * clouds(rng, 48.0, 2.0) + 0.03 * wiped + 0.035 * grain(rng))
    scratches = np.clip(clouds(rng, 1.0, 1.0, 40.0) - 2.6, 0, 1)
    bench.lay(0.3 * scratches, (0.45, 0.45, 0.44))
    bench.lay(0.30 * np.clip(clouds(rng, 24.0, 2.0) - 0.9, 0, 1), (0.10, 0.09, 0.075))
    bench.roughness += 0.08 * clouds(rng, 24.0, 2.0) + 0.04 * wiped
    return bench


def paper_tray(rng: np.random.Generator) -> Surface:
    """Give uncoated off-white board with visible fibres and specks."""
    tray = _ground(dye(rng, (0.50, 0.495, 0.475), 0.05), 0.9)
    pulp = clouds(rng, 3.5, 3.0)
    tray.height += 0.16 * pulp + 0.06 * clouds(rng, 2.0, 1.0) + 0.4 * clouds(rng, 48.0, 4.0)
    tray.tint(1 + 0.02 * pulp + 0.03 * clouds(rng, 48.0, 2.0) + 0.025 * grain(rng))
    tray.lay(0.5 * np.clip(clouds(rng, 2.0, 3.0) - 2.9, 0, 1), (0.18, 0.15, 0.12))
    return tray


def cutting_mat(rng: np.random.Generator) -> Surface:
    """Give a blue-grey plastic mat, matt and a little scratched."""
    mat = _ground(dye(rng, (0.085, 0.115, 0.145), 0.1), 0.55)
    stipple = clouds(rng, 2.0, 3.0)
    mat.height += 0.12 * stipple + 0.5 * clouds(rng, 120.0, 4.0)
    mat.tint(1 + 0.07 * clouds(rng, 48.0, 2.0) + 0.05 * stipple + 0.04 * grain(rng))
    cuts = np.clip(np.abs(clouds(rng, 1.0, 1.0, 40.0)) - 2.9, 0, 1)
    mat.height -= 0.2 * cuts
    mat.lay(0.35 * cuts, (0.2, 0.24, 0.27))
    return mat


def put(surface: Surface, cover: np.ndarray, height: np.ndarray) -> None:
    """Set a body of the given height on the ground where ``cover`` is 1, and count it as product."""
    surface.height += cover * (height - surface.height)
    surface.region |= cover > 0.5
