"""The one geometry: a photograph's whole frame as a model sees it, and maps and masks back and forth with it."""

import numpy as np
import torch
from PIL import Image


def to_tensor(image: Image.Image, size: int) -> torch.Tensor:
    """Resize the whole frame to a square tensor for an image tower.

    No part of an inspection photograph may be cropped away, so both sides are resized and the aspect ratio is not
    kept; bilinear, with antialiasing.

    Returns:
        (3, size, size) float32 in [0, 1], channels red, green, blue, not yet normalised.
    """
    if image.mode != "RGB":
        raise ValueError(f"image must be RGB, as open_photo makes it, got mode {image.mode!r}")
    pixels = np.array(image.resize((size, size), Image.Resampling.BILINEAR))
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous().float() / 255


def map_to_image(anomaly_map: np.ndarray, width: int, height: int) -> np.ndarray:
    """Resize a map (h, w) to the pixels of the image it was made from: (height, width) float32.

    Bilinear and aligned at pixel centres, the inverse of what ``to_tensor`` did to the frame.
    """
    grid = Image.fromarray(np.ascontiguousarray(anomaly_map, dtype=np.float32))
    return np.array(grid.resize((width, height), Image.Resampling.BILINEAR))


def resize_mask(mask: np.ndarray, size: int) -> np.ndarray:
    """Resize a mask (H, W) to (size, size) bool by nearest neighbour, with the geometry of ``to_tensor``."""
    pixels = Image.fromarray(np.asarray(mask, dtype=bool).astype(np.uint8))
    return np.array(pixels.resize((size, size), Image.Resampling.NEAREST)) > 0
