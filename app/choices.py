"""What a visitor chooses from in several tabs."""

from typing import Any

import gradio as gr

from app.predictors import Predictors
from app.texts import say, say_checkpoint
from ltad.inspection.predictor import AUTO
from ltad.words import spoken


def checkpoint_choices(predictors: Predictors) -> list[tuple[Any, str]]:
    """The checkpoints that ship, each with what is in it."""
    return [(say_checkpoint(card), card.name) for card in predictors.cards()]


def class_choices(predictors: Predictors, checkpoint: str | None) -> list[tuple[Any, str]]:
    """The classes of a checkpoint to choose from, "auto" first."""
    names = predictors.card(checkpoint).class_names if checkpoint else ()
    return [(say("recognise"), AUTO), *((spoken(name), name) for name in names)]


def checkpoint_and_class(predictors: Predictors, checkpoint_id: str, class_id: str | None) -> list[gr.Dropdown]:
    """Where a checkpoint and one of its classes are chosen, side by side; elem ids of both."""
    names, first = checkpoint_choices(predictors), predictors.first()
    with gr.Row():
        checkpoint = gr.Dropdown(
            names, value=first, label=say("checkpoint"), scale=2, min_width=200, elem_id=checkpoint_id
        )
        class_name = gr.Dropdown(
            class_choices(predictors, first), value=AUTO, label=say("class"), min_width=160, elem_id=class_id
        )
    return [checkpoint, class_name]
