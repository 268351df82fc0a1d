"""How a calibration is kept in ``config.json``."""

import math
from itertools import chain
from typing import Any

from ltad.judging.calibration import FAMILIAR_BY, Calibration, HeldOut
from ltad.judging.rehearsal import Rehearsal, Scale


def values_of(calibration: Calibration) -> dict[str, Any]:
    """The calibration as plain JSON values."""
    rehearsals = {
        str(size): {"usual": list(each.usual), "scores": dict(each.scores), "changed": dict(each.changed)}
        for size, each in calibration.rehearsals.items()
    }
    return {
        "classes": {name: vars(each) for name, each in calibration.classes.items()},
        "rehearsals": rehearsals,
        "reach": calibration.reach,
        "familiar_by": calibration.familiar_by,
    }


def calibration_of(values: dict[str, Any]) -> Calibration:
    """The calibration that ``values_of`` gave; ValueError, TypeError or KeyError where it cannot be used."""
    classes = {
        name: HeldOut(**{key: tuple(map(float, figures)) for key, figures in each.items()})
        for name, each in values["classes"].items()
    }
    rehearsals = {
        int(size): Rehearsal(
            Scale(*map(float, each["usual"])),
            *({name: tuple(map(float, own)) for name, own in each[key].items()} for key in ("scores", "changed")),
        )
        for size, each in values["rehearsals"].items()
    }
    calibration = Calibration(classes, rehearsals, float(values["reach"]), values["familiar_by"])
    figures = [figure for each in classes.values() for part in vars(each).values() for figure in part]
    for each in rehearsals.values():
        figures += [*each.usual, *chain(*each.scores.values(), *each.changed.values())]
    if not all(map(math.isfinite, (*figures, calibration.reach))):
        raise ValueError("the calibration's figures must be finite")
    seen = [scores for each in rehearsals.values() for scores in (*each.scores.values(), *each.changed.values())]
    if any(each.usual.spread <= 0 for each in rehearsals.values()) or not all(seen):
        raise ValueError("a rehearsal must have scores, and a spread over 0")
    if calibration.familiar_by not in FAMILIAR_BY:
        raise ValueError(f"familiar_by must be one of {', '.join(FAMILIAR_BY)}, got {calibration.familiar_by!r}")
    return calibration
