"""What is photographed: height, colour, roughness and metal per fine sample, and how layers are put on top."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_closing

from ltad.data.demo.geometry import FINE, OVERSAMPLING, SIZE

Colour = Sequence[float] | np.ndarray

# A change of this size in a field is one that a mask shows; fainter defects count down to a share of their own peak.
HEIGHT_STEP = 0.35  # pixels
ALBEDO_STEP, ALBEDO_FLOOR = 0.10, 0.008  # relative to the reflectance, and at least
GLOSS_STEP = 0.12  # roughness or metalness
FAINT_SHARE = 0.3


def _bounds(cover: np.ndarray) -> tuple[slice, slice]:
    """Give the smallest rectangle that holds all of a coverage map, so that small layers cost little."""
    touched = cover != 0
    limits = []
    for axis in (1, 0):
        hits = np.flatnonzero(touched.any(axis=axis))
        limits.append(slice(hits[0], hits[-1] + 1) if len(hits) else slice(0, 0))
    return limits[0], limits[1]


@dataclass
class Surface:
    """The physical fields of a scene; arrays are float32 and (FINE, FINE).

    height: pixels above the ground, so that a slope is a true angle.
    albedo: (3, FINE, FINE), linear RGB reflectance in [0, 1]; for metal, the colour of its mirror image.
    roughness: [0, 1], from mirror to chalk.
    metal: [0, 1], share of bare metal.
    region: bool, where the product is (and not the ground that it lies on).
    """

    height: np.ndarray
    albedo: np.ndarray
    roughness: np.ndarray
    metal: np.ndarray
    region: np.ndarray

    def copy(self) -> "Surface":
        """Give an independent copy."""
        fields = (self.height, self.albedo, self.roughness, self.metal, self.region)
        return Surface(*(field.copy() for field in fields))

    def lay(
        self,
        cover: np.ndarray,
        colour: Colour | None = None,
        *,
        roughness: float | np.ndarray | None = None,
        metal: float | np.ndarray | None = None,
    ) -> None:
        """Put a layer on top where ``cover`` is 1, and mix where it is between; what is None shows through."""
        box = _bounds(cover)
        cover = cover[box]
        if colour is not None:
            target = np.asarray(colour, dtype=np.float32)
            albedo = self.albedo[:, *box]
            albedo += cover * ((target[:, None, None] if target.ndim == 1 else target[:, *box]) - albedo)
        for field, value in ((self.roughness, roughness), (self.metal, metal)):
            if value is not None:
                part = field[box]
                part += cover * ((value[box] if isinstance(value, np.ndarray) else value) - part)

    def columns(self, strip: slice) -> "Surface":
        """Give a view of some columns: what is done to it is done to this surface."""
        fields = (self.roughness, self.metal, self.region)
        return Surface(self.height[:, strip], self.albedo[..., strip], *(field[:, strip] for field in fields))

    def tint(self, factor: np.ndarray) -> None:
        """Multiply the colour, in place, by one map or by one per channel."""
        self.albedo *= factor


def dye(rng: np.random.Generator, colour: Colour, lightness: float = 0.07, hue: float = 0.02) -> np.ndarray:
    """Vary a colour from batch to batch: all channels together by ``lightness``, each by ``hue`` (relative)."""
    factor = np.exp(rng.normal(0, lightness) + rng.normal(0, hue, 3))
    return (np.asarray(colour) * factor).astype(np.float32)


def flat(colour: Colour, roughness: float, metal: float = 0.0) -> Surface:
    """Make a level, uniform surface that is all product."""
    shape = (FINE, FINE)
    albedo = np.empty((3, *shape), np.float32)
    albedo[:] = np.asarray(colour, np.float32)[:, None, None]
    rough, bare = (np.full(shape, value, np.float32) for value in (roughness, metal))
    return Surface(np.zeros(shape, np.float32), albedo, rough, bare, np.ones(shape, bool))


def finest(field: np.ndarray) -> np.ndarray:
    """Average fine samples to pixels of the photograph; works on the last two axes."""
    step = OVERSAMPLING
    shifted = [field[..., row::step, column::step] for row in range(step) for column in range(step)]
    return sum(shifted[1:], shifted[0]) / np.float32(step**2)


def changed(normal: Surface, defective: Surface) -> np.ndarray:
    """Mark the pixels, (SIZE, SIZE) bool, where two surfaces differ physically: the mask of the defect."""
    change = np.abs(defective.height - normal.height) / HEIGHT_STEP
    paint = np.abs(defective.albedo - normal.albedo) / (ALBEDO_STEP * normal.albedo + ALBEDO_FLOOR)
    np.maximum(change, paint.max(axis=0), out=change)
    np.maximum(change, np.abs(defective.roughness - normal.roughness) / GLOSS_STEP, out=change)
    np.maximum(change, np.abs(defective.metal - normal.metal) / GLOSS_STEP, out=change)
    visible = change > min(1.0, FAINT_SHARE * float(change.max()))
    pixels = visible.reshape(SIZE, OVERSAMPLING, SIZE, OVERSAMPLING).any(axis=(1, 3))
    # Close gaps of one or two pixels: threads, grain and pores let a defect through in dots.
    return pixels | binary_closing(pixels, np.ones((3, 3), bool))
