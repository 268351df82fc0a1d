"""LTAD: long-tailed anomaly detection with learnable class names (Ho, Peng, Vasconcelos, CVPR 2024).

    from ltad import Predictor
    prediction = Predictor.from_checkpoint("demo-exp100").predict("part.jpg")

Shapes, everywhere: ``B`` images, ``H W`` pixels, ``h w`` patches, ``N = h·w``, ``D`` features of a patch,
``K`` classes, ``L`` tokens of a name, ``J`` dimensions of the joint space of image and text. Every score grows with
abnormality.

The names below are loaded when first used, so that ``import ltad`` costs nothing. It should come before ``import
torch``, so that torch's threads learn to wait without burning.
"""

import importlib
import os
from typing import Any

# A thread of torch's that waits for another one spins, and beside a busy process that other one is asleep: an
# inspection then takes 5 to 60 times as long. OpenMP reads this when torch is first imported, so it stands first.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

__version__ = "0.5.0"

_HOMES = {
    "Predictor": "ltad.inspection.predictor",
    "Prediction": "ltad.inspection.prediction",
    "LTADConfig": "ltad.config",
    "LTADError": "ltad.errors",
    "evaluate": "ltad.evaluation.table",
    "load_checkpoint": "ltad.checkpoint.folder",
    "load_foundation": "ltad.foundation",
    "open_dataset": "ltad.data.sources",
    "train": "ltad.training.training",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'ltad' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
