"""The Names tab: what the learned class names are, and how a word of one's own would do in their place."""

from functools import lru_cache, partial
from typing import Any

import gradio as gr

from app.choices import checkpoint_choices, class_choices
from app.errors import told_plainly
from app.examples.gallery import example_gallery, thumbnails
from app.examples.judged import examples_for
from app.fields import checked, needed
from app.limits import AT_ONCE
from app.photograph import NO_PHOTOGRAPH, small_photograph
from app.predictors import Predictors
from app.tabs.names.cards import NO_CHECKPOINT, NO_WORD, likeness_card, names_card, plane_card, word_card
from app.texts import say
from ltad.errors import ImageError
from ltad.inspection.names import (
    MAX_CHARACTERS,
    LearnedName,
    compare_words,
    describe_names,
    lay_out,
    name_similarities,
    name_tokens,
)
from ltad.inspection.predictor import Predictor

DESCRIBED = 8  # checkpoints whose description is kept
WORDS_SHOWN = 3  # per token
OPENING = '<ltad-hint data-hint="reading"></ltad-hint>'


def build(predictors: Predictors, tab: gr.Tab) -> list[gr.Dropdown]:
    """Lay out the tab and wire it; gives where a checkpoint is chosen. Names are read when it is first opened."""
    names, first = checkpoint_choices(predictors), predictors.first()
    with gr.Row(equal_height=False):
        checkpoint = gr.Dropdown(
            names, value=first, label=say("checkpoint"), scale=2, min_width=220, elem_id="names-checkpoint"
        )
        with gr.Column(scale=5, min_width=320):
            gr.Markdown(say("made_up"))
    start = OPENING if first else NO_CHECKPOINT
    table = gr.HTML(start, elem_id="names-table", apply_default_css=False)
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320):
            likeness = gr.HTML(elem_id="names-likeness", apply_default_css=False)
        with gr.Column(min_width=320):
            plane = gr.HTML(elem_id="names-plane", apply_default_css=False)
    gr.Markdown(say("word_title"))
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=320):
            photo = small_photograph("names-photograph")
            gallery = example_gallery(predictors.card(first) if first else None, "names-examples")
        with gr.Column(scale=5, min_width=320):
            choices = class_choices(predictors, first)[1:]  # never “recognise it”
            class_name = gr.Dropdown(
                choices, value=choices[0][1] if choices else None, label=say("class"), elem_id="names-class"
            )
            word = gr.Textbox(
                label=say("word"),
                placeholder="screw",
                max_length=MAX_CHARACTERS,
                max_lines=1,
                elem_id="names-word",
            )
            run = gr.Button(say("compare"), variant="primary", elem_id="names-run")
            result = gr.HTML(NO_WORD, elem_id="names-result", apply_default_css=False)

    described = lru_cache(DESCRIBED)(_describe)

    @told_plainly
    def show(checkpoint: str | None, path: str | None) -> list[str]:
        if checkpoint is None:
            return [NO_CHECKPOINT, "", ""]
        predictor = predictors.get(checkpoint)
        learned = described(predictor)
        pictures = {e.class_name: e.path for e in reversed(examples_for(predictor.card)) if e.defect == "good"}
        likeness = likeness_card(learned, name_similarities(predictor))
        return [names_card(learned, pictures), likeness, draw(predictor, path)]

    def draw(predictor: Predictor, path: str | None) -> str:
        embeddings = predictor.embed(path)[None] if path else None
        return plane_card(described(predictor), lay_out(predictor, embeddings))

    @told_plainly
    def mark_photo(checkpoint: str | None, path: str | None) -> list[str]:
        return [draw(predictors.get(checkpoint), path) if checkpoint else "", NO_WORD]

    @told_plainly
    def choose_checkpoint(checkpoint: str) -> list[Any]:
        choices = class_choices(predictors, checkpoint)[1:]
        return [gr.Dropdown(choices=choices, value=choices[0][1]), thumbnails(predictors.card(checkpoint)), NO_WORD]

    @told_plainly
    def choose_example(checkpoint: str, event: gr.SelectData) -> list[Any]:
        example = examples_for(predictors.card(checkpoint))[event.index]
        return [str(example.path), example.class_name]

    @told_plainly
    def compare(checkpoint: str | None, path: str | None, class_name: str, word: str) -> str:
        if checkpoint is None:
            return NO_CHECKPOINT
        if path is None:
            raise ImageError(NO_PHOTOGRAPH)
        predictor = predictors.get(checkpoint)
        return word_card(compare_words(predictor, path, class_name, word or ""), predictor.card)

    def check(checkpoint: str | None, path: str | None, class_name: str, word: str) -> Any:
        reads = partial(name_tokens, predictors.get(checkpoint).foundation) if checkpoint else None
        return checked(None, needed(NO_PHOTOGRAPH), None, reads)(checkpoint, path, class_name, word or "")

    private: dict[str, Any] = {"api_visibility": "private", "concurrency_id": "inspect", "concurrency_limit": AT_ONCE}
    cards = [table, likeness, plane]
    tab.select(show, [checkpoint, photo], cards, **private)
    checkpoint.change(choose_checkpoint, checkpoint, [class_name, gallery, result], api_visibility="private")
    checkpoint.change(show, [checkpoint, photo], cards, **private)
    chosen = gallery.select(choose_example, checkpoint, [photo, class_name], api_visibility="private")
    for given in (photo.input, chosen.success):
        given(mark_photo, [checkpoint, photo], [plane, result], **private)
    class_name.input(lambda: NO_WORD, None, result, api_visibility="private")  # what was said of another class is gone
    asked = [checkpoint, photo, class_name, word]
    gr.on([run.click, word.submit], compare, asked, result, validator=check, **private)
    return [checkpoint]


def _describe(predictor: Predictor) -> tuple[LearnedName, ...]:
    return describe_names(predictor, WORDS_SHOWN)
