"""How folders of older formats are read: as values of the format of today, which mean the same."""

import statistics
from typing import Any

from ltad.config import HarmlessConfig

FORMAT_VERSION = 5
HALF = 0.5  # of the usual similarity to its name, at which format 3 still took an image for a class's


def values_of_today(values: dict[str, Any]) -> dict[str, Any]:
    """The values of an older ``config.json`` as those of today; any others as they are."""
    steps = {3: _from_format_3, 4: _from_format_4}
    try:
        while (version := values["format_version"]) in steps:
            values = steps[version](values) | {"format_version": version + 1}
    except (TypeError, KeyError, AttributeError):
        return values  # what is missing is said where it is used
    return values


def _from_format_4(values: dict[str, Any]) -> dict[str, Any]:
    """Format 4 knew one metric, one optimiser, no layouts, no fine view, and no change of what a rehearsal judged."""
    config = values["config"]
    memory = config["memory"] | {"metrics": ["euclidean"] * len(config["memory"]["strides"])}
    phase2 = config["phase2"] | {"optimiser": "adamw", "muon_learning_rate": 0.01}
    synthesis = config["synthesis"] | {"layouts": 0}
    known = {"memory": memory, "phase2": phase2, "synthesis": synthesis, "detail": {"times": 1}}
    calibration = values["calibration"]
    rehearsals = {size: each | {"changed": {}} for size, each in calibration["rehearsals"].items()}
    return values | {
        "config": config | known,
        "calibration": calibration | {"rehearsals": rehearsals},
    }


def _from_format_3(values: dict[str, Any]) -> dict[str, Any]:
    """Format 3 knew no harmless change, no background and no rehearsal.

    Its classes were recognised by the similarity to their names, at half of what is usual.
    """
    scores, similarities = (values["calibration"][key] for key in ("scores", "similarities"))
    classes = {name: {"scores": own, "changed": [], "familiarity": similarities[name]} for name, own in scores.items()}
    usual = [statistics.median(each) for each in similarities.values() if each]
    calibration = {
        "classes": classes,
        "rehearsals": {},
        "reach": HALF * abs(statistics.median(usual)) if usual else 2.0,
        "familiar_by": "name",
    }
    harmless = vars(HarmlessConfig.none()) | {"without": []}
    scoring = values["config"]["scoring"] | {"background": 0.0}
    config = values["config"] | {"harmless": harmless, "scoring": scoring}
    return values | {"config": config, "calibration": calibration}
