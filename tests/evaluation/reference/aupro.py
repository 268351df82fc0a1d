"""AUPRO written to be read, not to be fast: one threshold after the other, one region after the other."""

from itertools import pairwise

import numpy as np


def regions_of(mask: np.ndarray) -> list[set[tuple[int, int]]]:
    """Return the 8-connected regions as sets of (row, column)."""
    left = {(int(row), int(column)) for row, column in np.argwhere(mask)}
    regions = []
    while left:
        region, border = set(), [left.pop()]
        while border:
            row, column = border.pop()
            region.add((row, column))
            near = {(row + down, column + right) for down in (-1, 0, 1) for right in (-1, 0, 1)} & left
            left -= near
            border.extend(near)
        regions.append(region)
    return regions


def curve(masks: list[np.ndarray], maps: list[np.ndarray]) -> list[tuple[float, float]]:
    """Return (false-positive rate, mean overlap) for no pixel found, then for each distinct score as the threshold."""
    normal = sum(int((~mask).sum()) for mask in masks)
    points = [(0.0, 0.0)]
    for threshold in sorted({float(value) for each in maps for value in each.ravel()}, reverse=True):
        false, overlaps = 0, []
        for mask, anomaly_map in zip(masks, maps, strict=True):
            found = anomaly_map >= threshold
            false += int((found & ~mask).sum())
            for region in regions_of(mask):
                overlaps.append(sum(bool(found[place]) for place in region) / len(region))
        points.append((false / normal, sum(overlaps) / len(overlaps)))
    return points


def aupro(masks: list[np.ndarray], maps: list[np.ndarray], fpr_limit: float) -> float:
    """Add up the trapezoids of the curve, the last one cut at the limit."""
    area = 0.0
    points = curve(masks, maps)
    for (x0, y0), (x1, y1) in pairwise(points):
        if x1 == x0 or x0 >= fpr_limit:
            continue
        end = min(x1, fpr_limit)
        y_end = y0 + (y1 - y0) * (end - x0) / (x1 - x0)
        area += (end - x0) * (y0 + y_end) / 2
    return area / fpr_limit
