"""Light on a surface: a lamp, a fill, a room to be mirrored, shadows and occlusion.

The camera looks straight down from far away, so what a sample reflects depends only on its normal and its roughness.
One table per photograph holds that answer for every normal, with area lamps and the room blurred by roughness.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from ltad.data.demo.geometry import FINE, SIZE, grid
from ltad.data.demo.noise import clouds, grain
from ltad.data.demo.surface import Surface, finest

TABLE = 128
ROUGHNESS_LEVELS = 8
STEEPEST = 3.0  # slopes beyond are edges, which a lens cannot resolve
DIELECTRIC_MIRROR = 0.04  # share that plastic, glaze or paint mirrors at normal incidence
SHADOW_STEPS = (1, 2, 3, 4, 5.5, 7, 9, 11, 14, 17, 21, 26, 32)  # pixels along the light


@dataclass(frozen=True, kw_only=True)
class Rig:
    """How a class is lit; ranges are drawn from per photograph.

    elevation: of the key lamp above the table, degrees. azimuth: where it stands, degrees, 0 right, 90 below.
    softness: angular radius of the key lamp, radians. room: light from everywhere, relative to the key.
    exposure: of the camera. sweep: how far reflections move across the frame (a near camera), as a slope.
    """

    elevation: tuple[float, float] = (38.0, 60.0)
    azimuth: tuple[float, float] = (195.0, 300.0)
    softness: tuple[float, float] = (0.15, 0.4)
    room: tuple[float, float] = (0.3, 0.55)
    exposure: float = 1.0
    sweep: float = 0.07


@dataclass(frozen=True)
class Lamp:
    """A round area lamp: unit direction towards it, angular radius, colour times strength."""

    direction: np.ndarray
    radius: float
    colour: np.ndarray


def _direction(azimuth: float, elevation: float) -> np.ndarray:
    """Turn degrees into a unit vector."""
    a, e = np.deg2rad(azimuth), np.deg2rad(elevation)
    return np.array([np.cos(a) * np.cos(e), np.sin(a) * np.cos(e), np.sin(e)])


def _draw_lamps(rng: np.random.Generator, rig: Rig) -> list[Lamp]:
    """Draw a key lamp and a weaker, larger fill lamp from another side; colour temperature varies a little."""
    azimuth, elevation = rng.uniform(*rig.azimuth), rng.uniform(*rig.elevation)
    warmth = rng.normal(0, 0.02)
    colour = np.array([1 + warmth, 1.0, 1 - 1.3 * warmth])
    key = Lamp(_direction(azimuth, elevation), rng.uniform(*rig.softness), colour)
    fill_direction = _direction(azimuth + rng.uniform(110, 250), rng.uniform(30, 65))
    return [key, Lamp(fill_direction, 0.5, rng.uniform(0.12, 0.3) * colour[::-1])]


def _tables(rng: np.random.Generator, rig: Rig, lamps: list[Lamp]) -> tuple[np.ndarray, np.ndarray]:
    """Tabulate diffuse (3, T²) and mirrored light (3, levels · T²) over the normal's x and y in [-1, 1]."""
    axis = np.linspace(-1, 1, TABLE)
    nx, ny = np.meshgrid(axis, axis)
    nz = np.sqrt(np.clip(1 - nx**2 - ny**2, 0.01, 1))
    mirrored = np.stack([2 * nz * nx, 2 * nz * ny, 2 * nz**2 - 1])
    strength = rng.uniform(*rig.room)
    structure = clouds(rng, 120.0, 4.0)[:: FINE // TABLE, :: FINE // TABLE]
    # A room: brighter above than at the horizon, with windows, walls and dark corners.
    room = strength * (0.55 + 0.45 * mirrored[2]) * np.exp(0.7 * structure - 0.25)
    diffuse = np.full((3, TABLE, TABLE), 0.8 * strength) * (0.6 + 0.4 * nz)
    levels = np.linspace(0.05, 1.0, ROUGHNESS_LEVELS)
    mirrored_room = np.stack([gaussian_filter(room, 1 + 22 * alpha**2, truncate=2.5) for alpha in levels])
    specular = np.repeat(mirrored_room[None], 3, axis=0)
    for lamp in lamps:
        facing = nx * lamp.direction[0] + ny * lamp.direction[1] + nz * lamp.direction[2]
        soft = np.clip((facing + 0.5 * lamp.radius) / (1 + 0.5 * lamp.radius), 0, None)
        diffuse += lamp.colour[:, None, None] * soft
        along = np.tensordot(lamp.direction, mirrored, 1) - 1
        for level, alpha in enumerate(levels):
            sharpness = 1 / (lamp.radius**2 + alpha**2)
            lobe = 0.5 * sharpness * np.exp(np.clip(sharpness * along, -30, 0))
            specular[:, level] += lamp.colour[:, None, None] * lobe
    return diffuse.reshape(3, -1).astype(np.float32), specular.reshape(3, -1).astype(np.float32)


def _shadow(height: np.ndarray, lamp: Lamp) -> np.ndarray:
    """March towards the lamp over the (SIZE, SIZE) heights; gives the hidden share of the lamp in [0, 1]."""
    reach = int(max(SHADOW_STEPS)) + 1
    padded = np.pad(height, reach, mode="edge")
    flat_length = np.hypot(*lamp.direction[:2])
    step_x, step_y, rise = (float(part / flat_length) for part in lamp.direction)
    hidden = np.zeros_like(height)
    for distance in SHADOW_STEPS:
        row, column = reach + round(step_y * distance), reach + round(step_x * distance)
        blocker = padded[row : row + SIZE, column : column + SIZE] - height - rise * distance
        penumbra = 1.6 * lamp.radius * distance + 0.6
        np.maximum(hidden, np.clip(0.5 + blocker / penumbra, 0, 1) * (blocker > -0.45 * penumbra), out=hidden)
    return gaussian_filter(hidden, 0.8)


def _openness(height: np.ndarray) -> np.ndarray:
    """Estimate how much of the sky a sample sees, in (0, 1], from how far it lies below its surroundings."""
    near = gaussian_filter(height, 1.4, truncate=3) - height
    coarse = height.reshape(SIZE // 4, 4, SIZE // 4, 4).mean(axis=(1, 3))
    far = np.kron(gaussian_filter(coarse, 2.2), np.ones((4, 4), np.float32))
    far = gaussian_filter(far, 2.0) - height
    return np.exp(-0.3 * np.clip(near, -0.4, 1.6) - 0.05 * np.clip(far, 0, 12))


def _fine(field: np.ndarray) -> np.ndarray:
    """Repeat pixels to fine samples."""
    return field.repeat(FINE // SIZE, axis=0).repeat(FINE // SIZE, axis=1)


def _slopes(height: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Differentiate along x and y: central differences over two fine samples, which are one pixel."""
    slope_x, slope_y = np.zeros_like(height), np.zeros_like(height)
    np.subtract(height[:, 2:], height[:, :-2], out=slope_x[:, 1:-1])
    np.subtract(height[2:], height[:-2], out=slope_y[1:-1])
    np.clip(slope_x, -STEEPEST, STEEPEST, out=slope_x)
    np.clip(slope_y, -STEEPEST, STEEPEST, out=slope_y)
    slope_x[:, 0], slope_x[:, -1] = slope_x[:, 1], slope_x[:, -2]
    slope_y[0], slope_y[-1] = slope_y[1], slope_y[-2]
    return slope_x, slope_y


def shade(surface: Surface, rig: Rig, rng: np.random.Generator) -> np.ndarray:
    """Give the light that reaches the camera, linear RGB ≥ 0, (3, FINE, FINE); white paper is about 1."""
    lamps = _draw_lamps(rng, rig)
    diffuse, specular = _tables(rng, rig, lamps)
    sweep = rig.sweep * rng.uniform(0.6, 1.3) / (SIZE / 2)
    # Dithered table look-ups: rounding becomes grain far below the sensor's instead of bands.
    dither_x, dither_y, dither_level = 0.29 * grain(rng), 0.29 * grain(rng), 0.29 * grain(rng)
    slope_x, slope_y = _slopes(surface.height)
    nz = 1 / np.sqrt(1 + slope_x * slope_x + slope_y * slope_y)
    x, y = grid()
    half = (TABLE - 1) / 2
    column = np.clip((sweep * x - slope_x * nz) * half + half + dither_x, 0, TABLE - 1).round().astype(np.intp)
    row = np.clip((sweep * y - slope_y * nz) * half + half + dither_y, 0, TABLE - 1).round().astype(np.intp)
    level = surface.roughness * (ROUGHNESS_LEVELS - 1) + dither_level
    cell = row * TABLE + column
    rough_cell = np.clip(level, 0, ROUGHNESS_LEVELS - 1).round().astype(np.intp) * TABLE**2 + cell
    pixels = finest(surface.height)
    open_sky = _openness(pixels)
    hidden = _shadow(pixels, lamps[0])
    matte = _fine(open_sky * (1 - 0.72 * hidden)) * (1 - surface.metal)
    gloss = _fine(open_sky * (1 - 0.6 * hidden))
    grazing = 0.5 * (1 - nz) ** 5
    base = DIELECTRIC_MIRROR * (1 - surface.metal) + grazing
    light = np.empty_like(surface.albedo)
    for channel in range(3):
        albedo = surface.albedo[channel]
        mirror = (base + albedo * surface.metal) * gloss
        light[channel] = albedo * matte * diffuse[channel].take(cell, mode="clip")
        light[channel] += mirror * specular[channel].take(rough_cell, mode="clip")
    return light
