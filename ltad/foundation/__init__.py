"""Frozen image-text foundation models, found by name."""

import torch

from ltad.errors import FoundationError
from ltad.foundation.base import Fingerprint, FoundationModel, ImageFeatures
from ltad.machine import AUTO, choose_device

DEFAULT = "align-mini"
FORMS = (DEFAULT, "align", "align:FOLDER", "open_clip:ARCH/TAG", "open_clip:ARCH/TAG@FILE", "open_clip:ARCH/FILE")

__all__ = ["DEFAULT", "FORMS", "Fingerprint", "FoundationModel", "ImageFeatures", "load_foundation"]


def load_foundation(name: str = DEFAULT, device: str | torch.device = AUTO) -> FoundationModel:
    """Load a foundation model by its name onto a device, "auto" = the best there is.

    FoundationError says which names there are, or what is missing; DeviceError which devices there are.
    """
    kind, _, choice = name.partition(":")
    device = choose_device(device) if isinstance(device, str) else device
    if name == DEFAULT:
        from ltad.foundation.align_mini import AlignMini

        return AlignMini(device)
    if name == "align" or (kind == "align" and choice):
        from ltad.foundation.align import Align

        return Align(choice, device)
    if kind == "open_clip" and choice:
        from ltad.foundation.open_clip import OpenCLIP

        return OpenCLIP(choice, device)
    raise FoundationError(f"There is no foundation model “{name}”; the forms of a name are {', '.join(FORMS)}.")
