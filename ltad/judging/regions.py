"""The places of a map that stand out: connected, above a threshold, measured in the photograph's pixels."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch.nn.functional import interpolate

from ltad.config import LTADConfig
from ltad.judging.scoring import BACKGROUND, FORMS

REGION_GRID = 256  # pixels; regions are found on a map of this side at least and then measured in the image's pixels
CELL = 4  # pixels of that map along a patch, at least
EVERYWHERE = 1.7  # our choice: standard deviations that three quarters of a picture exceed where all of it is unusual


def is_everywhere(anomaly_map: np.ndarray, config: LTADConfig) -> bool:
    """Whether all of a patch map (h, w) is unusual: another product, or light, sharpness and position unlike training.

    A defect lies somewhere; what lies everywhere is no defect, or a very large one. In the paper's form, scores have no
    unit that would say so.
    """
    left = 1 - config.scoring.background  # of what lies everywhere, in the map
    background = float(np.quantile(anomaly_map, BACKGROUND))
    return FORMS[config.scoring.form].is_standardised and background > EVERYWHERE * left


@dataclass(frozen=True)
class Region:
    """A connected place above the threshold: box (x, y, width, height) and area in pixels, peak in the map's unit."""

    box: tuple[int, int, int, int]
    area: int
    peak: float


def find_regions(anomaly_map: np.ndarray, threshold: float, size: tuple[int, int]) -> tuple[Region, ...]:
    """Connected places of a patch map (h, w) above the threshold, the highest peak first.

    size: (width, height) of the image in whose pixels boxes and areas are given. Touching corners connect.
    """
    width, height = size
    grid = torch.from_numpy(np.ascontiguousarray(anomaly_map, dtype=np.float32))[None, None]
    h, w = (max(REGION_GRID, CELL * side) for side in anomaly_map.shape)
    fine = interpolate(grid, (h, w), mode="bilinear", align_corners=False)[0, 0].numpy()
    labels, _ = ndimage.label(fine > threshold, structure=np.ones((3, 3)))
    sx, sy = width / w, height / h
    regions = []
    for index, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        inside = labels[rows, columns] == index
        x, y = min(round(columns.start * sx), width - 1), min(round(rows.start * sy), height - 1)
        box = (x, y, max(1, round(columns.stop * sx) - x), max(1, round(rows.stop * sy) - y))
        area = max(1, round(int(inside.sum()) * sx * sy))
        regions.append(Region(box, area, float(fine[rows, columns][inside].max())))
    return tuple(sorted(regions, key=lambda region: -region.peak))
