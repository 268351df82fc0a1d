"""Where a checkpoint works: what it flags, finds and refuses at its own false-alarm rate.

An AUROC looks at all thresholds; whoever inspects has one, which held-out normal images set before.
"""

import zlib
from typing import Any

import numpy as np

from ltad.evaluation import metrics
from ltad.evaluation.scored import ScoredClass
from ltad.inspection.predictor import Predictor

SHARES = {"false_alarms": 0, "found": 1}  # of the images with these labels, those whose verdict is a defect
WORKING_POINT = (*SHARES, "found_at_best", "refused")


def working_point(scored: ScoredClass, predictor: Predictor) -> dict[str, Any]:
    """What the checkpoint's own rate makes of a class's test images; None where it is undefined.

    false_alarms, found: as ``shares``. found_at_best: the share of defective images above a threshold that lets no
    more of the good test images pass it than the class's own promises: optimistic, as it is set on those images
    themselves (``metrics.found_at``). refused: the share of all images that get no verdict.
    """
    row = shares(scored) | {"found_at_best": None, "refused": None}
    if scored.decisions:
        row["refused"] = metrics.share([each.refused for each in scored.decisions])
        if scored.has_image_figures:
            promised = _promised_rate(scored.class_name, predictor)
            row["found_at_best"] = metrics.found_at(scored.labels, scored.scores, promised)
    return row


def shares(scored: ScoredClass) -> dict[str, Any]:
    """The shares of good and of defective images whose verdict is a defect, with Wilson's 95 % intervals."""
    row: dict[str, Any] = {}
    for key, label in SHARES.items():
        flags = scored.flags(label)
        row[key] = metrics.share(flags) if flags.size else None
        row[f"{key}_interval"] = metrics.share_interval(flags) if flags.size else None
    return row


def share_draws(scored: ScoredClass, seed: int) -> dict[str, np.ndarray]:
    """Bootstrap values of the shares that are defined, for the intervals of their means over classes.

    A share of 0 or 1 has no spread in them: a mean over classes that all have such ones gets an interval of no width.
    """
    return {
        key: metrics.bootstrap_share(flags, seed=zlib.crc32(f"{seed}/{scored.class_name}/{key}".encode()))
        for key, label in SHARES.items()
        if (flags := scored.flags(label)).size
    }


def _promised_rate(class_name: str, predictor: Predictor) -> float:
    """The share of good images that the class's threshold may flag."""
    card = predictor.card
    rate = card.config.calibration.false_alarm_rate
    return card.calibration.judge(0.0, class_name, rate).promised_rate
