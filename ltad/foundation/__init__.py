"""Frozen image-text foundation models, found by name."""

from ltad.errors import FoundationError
from ltad.foundation.base import Fingerprint, FoundationModel, ImageFeatures

DEFAULT = "align-mini"

__all__ = ["DEFAULT", "Fingerprint", "FoundationModel", "ImageFeatures", "load_foundation"]


def load_foundation(name: str = DEFAULT) -> FoundationModel:
    """Load a foundation model by its name; FoundationError names those that exist."""
    if name == DEFAULT:
        from ltad.foundation.align_mini import AlignMini

        return AlignMini()
    raise FoundationError(f"There is no foundation model “{name}”; the one that exists is {DEFAULT}.")
