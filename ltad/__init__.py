"""LTAD: long-tailed anomaly detection with learnable class names (Ho, Peng, Vasconcelos, CVPR 2024).

    from ltad import Predictor
    prediction = Predictor.from_checkpoint("demo-exp100").predict("part.jpg")

Shapes, everywhere: ``B`` images, ``H W`` pixels, ``h w`` patches, ``N = h·w``, ``D`` features of a patch,
``K`` classes, ``L`` tokens of a name, ``J`` dimensions of the joint space of image and text. Every score grows with
abnormality.

The names below are loaded when first used, so that ``import ltad`` costs nothing.
"""

import importlib
from typing import Any

__version__ = "0.2.0"

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
