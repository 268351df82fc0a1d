"""How unlike its class an image may be before it is taken for a stranger.

A checkpoint has not seen the strangers that it will meet, but its classes are strangers to each other: without a class,
its images are taken for the nearest other one, and lie so far from that as strangers do. The line is drawn between the
farthest normal images and those, nearer to these: strangers that lie within are unusual everywhere as well.
"""

from statistics import fmean, median

import torch
from torch import Tensor

from ltad.foundation.features import Features
from ltad.judging.calibration import Calibration

FARTHEST = 0.99  # of the held-out normals, which are to be known
NEAREST = 0.05  # of a class's images, taken for another's, which are not
WAY = 0.7  # our choice: the part of the way between the two; defective parts lie farther than normal ones
LEAST = 0.4  # our choice: of real good parts none lay farther from what is usual, of defective ones five in a thousand


def reach(calibration: Calibration, names: tuple[str, ...], features: Features, centres: Tensor) -> float:
    """How much less familiar than its class usually is an image may be.

    features: of all training images; centres: where the classes' images lie (K, J).
    """
    usual = torch.tensor([calibration.usual_familiarity(name) for name in names])
    missed = [
        usual[k] - torch.tensor(calibration.classes[name].familiarity)
        for k, name in enumerate(names)
        if calibration.classes[name].familiarity
    ]
    own = fmean(float(each.quantile(FARTHEST)) for each in missed)
    if len(names) == 1:
        return max(own, LEAST)
    similarity = features.embeddings @ centres.T
    similarity.scatter_(1, features.class_ids[:, None], -torch.inf)
    nearest, taken_for = similarity.max(1)
    distance = usual[taken_for] - nearest
    strange = median(
        float(distance[features.class_ids == k].quantile(NEAREST)) for k in features.class_ids.unique().tolist()
    )
    return max(LEAST, own + WAY * max(0.0, strange - own))
