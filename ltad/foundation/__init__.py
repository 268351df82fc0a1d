"""Frozen image-text foundation models, found by name."""

from ltad.errors import FoundationError
from ltad.foundation.base import Fingerprint, FoundationModel, ImageFeatures

DEFAULT = "align-mini"
FORMS = (DEFAULT, "align", "align:FOLDER", "open_clip:ARCH/TAG", "open_clip:ARCH/TAG@FILE", "open_clip:ARCH/FILE")

__all__ = ["DEFAULT", "FORMS", "Fingerprint", "FoundationModel", "ImageFeatures", "load_foundation"]


def load_foundation(name: str = DEFAULT) -> FoundationModel:
    """Load a foundation model by its name; FoundationError says which names there are, or what is missing."""
    kind, _, choice = name.partition(":")
    if name == DEFAULT:
        from ltad.foundation.align_mini import AlignMini

        return AlignMini()
    if name == "align" or (kind == "align" and choice):
        from ltad.foundation.align import Align

        return Align(choice)
    if kind == "open_clip" and choice:
        from ltad.foundation.open_clip import OpenCLIP

        return OpenCLIP(choice)
    raise FoundationError(f"There is no foundation model “{name}”; the forms of a name are {', '.join(FORMS)}.")
