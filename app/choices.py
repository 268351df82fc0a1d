"""What a visitor chooses from in several tabs."""

from typing import Any

from app.predictors import Predictors
from app.texts import say
from ltad.inspection.predictor import AUTO
from ltad.words import spoken


def class_choices(predictors: Predictors, checkpoint: str | None) -> list[tuple[Any, str]]:
    """The classes of a checkpoint to choose from, "auto" first."""
    names = predictors.card(checkpoint).class_names if checkpoint else ()
    return [(say("recognise"), AUTO), *((spoken(name), name) for name in names)]
