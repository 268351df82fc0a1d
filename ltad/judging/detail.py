"""How what is seen finely counts beside the whole frame: a map of either, and the higher one is told.

A fine map has more patches than that of the whole frame, so that the highest of a normal image are higher. Its scores
are brought to one scale: what normal images of a class reach at most is made to be the same in both.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate

GAIN_COUNTS = 2.0  # our choice: what is usual in all classes counts as much as a class's own two images
HIGHEST = 1.645  # standard deviations above the mean: what one normal image of twenty exceeds


def gain(whole: Tensor, finely: Tensor, usual: float) -> float:
    """What fine scores are multiplied by, given what a class's normal images (n,) score whole and finely.

    usual: the same of all classes, on which a class of few images leans.
    """
    if not len(whole):
        return usual
    own = _level(whole) / _level(finely)
    trust = len(whole) / (len(whole) + GAIN_COUNTS)
    return math.exp(trust * math.log(own) + (1 - trust) * math.log(usual))


def _level(scores: Tensor) -> float:
    """What normal images reach: a score that few of them exceed."""
    return max(1e-3, float(scores.mean() + HIGHEST * scores.std(correction=0)))


def usual_gain(gains: Sequence[float]) -> float:
    """The mean of classes' gains, as of ratios; 1 where there are none."""
    return math.exp(sum(map(math.log, gains)) / len(gains)) if gains else 1.0


def joined_map(whole: Tensor, fine: Tensor) -> Tensor:
    """One map (h', w'), that of the whole frame (h, w) and a fine one (h', w') of the same unit: the higher of both."""
    larger = interpolate(whole[None, None], fine.shape, mode="bilinear", align_corners=False)[0, 0]
    return torch.maximum(larger, fine)
