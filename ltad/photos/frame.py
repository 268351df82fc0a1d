"""The one geometry: a photograph's whole frame as a model sees it, and maps and masks back and forth with it."""

import numpy as np
import torch
from PIL import Image

MEASURED = 512  # our choice: pixels of the shorter side; four times as many would show little more
LONGEST = 8  # our choice: times as long as broad that a fine view may be; what is longer is squeezed


def to_bytes(image: Image.Image, width: int, height: int) -> torch.Tensor:
    """Resize the whole frame to what an image tower is shown, bilinear, with antialiasing.

    No part of an inspection photograph may be cropped away: for the tower's square both sides are resized, and the
    proportions are not kept; those of a fine view are, see ``fine_size``.

    Returns:
        (3, height, width) uint8, channels red, green, blue.
    """
    if image.mode != "RGB":
        raise ValueError(f"image must be RGB, as open_photo makes it, got mode {image.mode!r}")
    pixels = np.array(image.resize((width, height), Image.Resampling.BILINEAR))
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def fine_size(size: tuple[int, int], side: int, step: int) -> tuple[int, int]:
    """The size (width, height) at which a photograph of a size is seen finely: its shorter side is ``side`` pixels.

    It keeps the photograph's proportions but for half a step: both sides are whole steps. So photographs of one class
    come to one scale, whatever their pixels: what matters is what the frame shows.
    """
    shorter = min(size)
    width, height = (round(min(length / shorter, LONGEST) * side / step) * step for length in size)
    return width, height


def measured_size(size: tuple[int, int]) -> tuple[int, int]:
    """The size (width, height) at which what is known of a photograph's pixels is compared with a map of it.

    Its own, or where that is large, its own proportions at ``MEASURED``: whatever has made the map.
    """
    share = min(1.0, MEASURED / min(size))
    width, height = (max(1, round(share * length)) for length in size)
    return width, height


def map_to_image(anomaly_map: np.ndarray, width: int, height: int) -> np.ndarray:
    """Resize a map (h, w) to the pixels of the image it was made from: (height, width) float32.

    Bilinear and aligned at pixel centres, the inverse of what ``to_bytes`` did to the frame.
    """
    grid = Image.fromarray(np.ascontiguousarray(anomaly_map, dtype=np.float32))
    return np.array(grid.resize((width, height), Image.Resampling.BILINEAR))


def resize_mask(mask: np.ndarray, width: int, height: int) -> np.ndarray:
    """Resize a mask (H, W) to (height, width) bool by nearest neighbour, with the geometry of ``to_bytes``."""
    pixels = Image.fromarray(np.asarray(mask, dtype=bool).astype(np.uint8))
    return np.array(pixels.resize((width, height), Image.Resampling.NEAREST)) > 0
