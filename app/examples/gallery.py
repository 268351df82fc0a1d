"""The examples as galleries show them."""

import gradio as gr

from app.examples.judged import examples_for
from app.examples.pictures import Example
from app.photograph import pictures_to_click
from app.texts import say
from ltad.checkpoint.card import CheckpointCard
from ltad.words import spoken


def thumbnails(card: CheckpointCard) -> list[tuple[str, str]]:
    """The examples of a checkpoint as a gallery takes them: files with captions."""
    return [(str(example.path), caption(example, card)) for example in examples_for(card)]


def example_gallery(card: CheckpointCard | None, elem_id: str) -> gr.Gallery:
    """The pictures to click, as a part of the page; none without a checkpoint."""
    return pictures_to_click(thumbnails(card) if card else [], say("examples"), elem_id, columns=4)


def caption(example: Example, card: CheckpointCard) -> str:
    """What it teaches, its class, what is wrong with it, and whether the class is of the tail."""
    words = f"{spoken(example.class_name)}: {spoken(example.defect)}"
    if any(c.name == example.class_name and c.group == "tail" for c in card.classes):
        words += " (tail)"
    return f"{example.lesson} · {words}" if example.lesson else words
