"""Ink on parts: pictures drawn once in the part's own coordinates, then laid under the part's pose."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from ltad.data.demo.geometry import FINE, OVERSAMPLING, SIZE, Pose


def sample(
    picture: Image.Image, pose: Pose, offset: Sequence[float] | np.ndarray = (0.0, 0.0), *, smooth: bool = True
) -> np.ndarray:
    """Lay a picture of OVERSAMPLING dots per part pixel, centred on the part, under a pose.

    Args:
        offset: where the picture's centre lies on the part, in pixels.
        smooth: interpolate; False keeps the exact values, for indices.

    Returns: (FINE, FINE) float32 in [0, 1], with the channels first if there are several; the picture's own integer
    values if not smooth; 0 outside.
    """
    cosine, sine = np.cos(pose.turn) / pose.scale, np.sin(pose.turn) / pose.scale
    # Fine sample (u, v) -> photo pixel (u / 2 - 128) -> part -> dot of the picture.
    left = -SIZE / 2 - pose.centre[0]
    top = -SIZE / 2 - pose.centre[1]
    shift_x = OVERSAMPLING * (cosine * left + sine * top - offset[0]) + picture.width / 2
    shift_y = OVERSAMPLING * (cosine * top - sine * left - offset[1]) + picture.height / 2
    matrix = (cosine, sine, shift_x, -sine, cosine, shift_y)
    filter_ = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
    laid = picture.transform((FINE, FINE), Image.Transform.AFFINE, matrix, filter_)
    if not smooth:
        return np.asarray(laid)
    values = np.asarray(laid, np.float32) / 255
    return values if values.ndim == 2 else np.ascontiguousarray(values.transpose(2, 0, 1))
