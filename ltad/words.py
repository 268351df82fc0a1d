"""How names and figures are said to people, the same way in every text."""

import difflib
from collections.abc import Sequence


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
