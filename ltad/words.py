"""How names and figures are said to people, the same way in every text."""

import codecs
import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Any

AS_JSON = "as JSON"  # the way with characters that an encoding lacks: \u4e2d, so that JSON means what it meant


def _as_json(error: UnicodeError) -> tuple[str, int]:
    """What stands for the characters that an encoding lacks, and where to go on."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


codecs.register_error(AS_JSON, _as_json)


def spoken(class_name: str) -> str:
    """A class's name as people say it: “metal nut” for metal_nut."""
    return class_name.replace("_", " ")


def percent(value: float | None, decimals: int = 1) -> str:
    """A figure in per cent, "n/a" where it is undefined."""
    return "n/a" if value is None else f"{100 * value:.{decimals}f}"


def counted(count: int, noun: str) -> str:
    """So many of what a noun names: “1 image”, “3 images”."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def left_out(name: str, reason: str) -> str:
    """The sentence that says why a photograph cannot be used."""
    return f"“{name}” is left out: {reason}"


def nearest_first(wanted: str, names: Sequence[str]) -> str:
    """The names that exist, those most like the wanted one first; "none" where there is none."""
    return ", ".join(difflib.get_close_matches(wanted, names, n=max(1, len(names)), cutoff=0.0)) or "none"


def unmarked_in_words(classes: Mapping[str, Mapping[str, Any]]) -> str:
    """How many defective test images of which classes no pixel figure is of, by the rows of ``evaluate``'s table."""
    counts = {name: row.get("n_unmarked") for name, row in classes.items() if row["pixel_auroc"] is not None}
    return ", ".join(f"{count} of {name}" for name, count in counts.items() if count)
