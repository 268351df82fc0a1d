"""The Checkpoints tab: what there is, what the long tail does, and two checkpoints on one photograph."""

from html import escape
from typing import Any

import gradio as gr

from app.choices import checkpoint_choices
from app.errors import told_plainly
from app.examples.gallery import example_gallery, thumbnails
from app.examples.judged import examples_for
from app.fields import checked, needed
from app.limits import AT_ONCE
from app.photograph import NO_PHOTOGRAPH, small_photograph
from app.predictors import Predictors
from app.tabs.checkpoints.cards import checkpoint_cards, difference_card, family
from app.texts import say
from app.viewer import inspection
from ltad.errors import ImageError


def build(predictors: Predictors, tab: gr.Tab) -> list[gr.Dropdown]:
    """Lay out the tab and wire it; gives where checkpoints are chosen. What is measured is read when it is opened."""
    shown = predictors.first()
    cards, choices = predictors.cards(), checkpoint_choices(predictors)
    alike = [c.name for c in cards if shown not in (None, c.name) and c.data.base == predictors.card(shown).data.base]
    others = [*alike, *(card.name for card in reversed(cards))]  # of the same products, if there is one
    with gr.Tabs(elem_id="checkpoints-parts"):
        with gr.Tab(say("cards")):
            gr.Markdown(say("long_tail"), elem_id="long-tail")
            deck = gr.HTML(checkpoint_cards(cards, {}), elem_id="deck", apply_default_css=False)
        with gr.Tab(say("family")):
            gr.HTML(family(cards), elem_id="family", apply_default_css=False)
        with gr.Tab(say("compare_two")):
            gr.Markdown(say("two"))
            with gr.Row(equal_height=False):
                with gr.Column(scale=4, min_width=320):
                    photo = small_photograph("compare-photograph")
                with gr.Column(scale=5, min_width=320):
                    with gr.Row():
                        first = gr.Dropdown(choices, value=shown, label=say("first"), min_width=160)
                        second = gr.Dropdown(
                            choices,
                            value=others[0] if others else None,
                            label=say("second"),
                            min_width=160,
                            elem_id="compare-second",
                        )
                    run = gr.Button(say("compare"), variant="primary", elem_id="compare-run")
                    gallery = example_gallery(predictors.card(shown) if shown else None, "compare-examples")
            difference = gr.HTML(elem_id="difference", apply_default_css=False)
            with gr.Row(equal_height=False):
                with gr.Column(min_width=320):
                    left = gr.HTML(elem_id="compare-left", apply_default_css=False)
                with gr.Column(min_width=320):
                    right = gr.HTML(elem_id="compare-right", apply_default_css=False)

    @told_plainly
    def show_deck() -> str:
        return checkpoint_cards(cards, predictors.speeds())

    @told_plainly
    def compare(path: str | None, first: str, second: str) -> list[str]:
        if path is None:
            raise ImageError(NO_PHOTOGRAPH)
        one, two = (predictors.get(name) for name in (first, second))
        a, b = one.predict(path), two.predict(path)
        return [
            difference_card(a, b),
            *(f'<h2 class="learned-by">{escape(p.checkpoint)}</h2>{inspection(p)}' for p in (a, b)),
        ]

    @told_plainly
    def compare_again(path: str | None, first: str, second: str) -> list[Any]:
        return compare(path, first, second) if path else [gr.skip()] * 3

    @told_plainly
    def choose_example(checkpoint: str, event: gr.SelectData) -> str:
        return str(examples_for(predictors.card(checkpoint))[event.index].path)

    @told_plainly
    def choose_first(checkpoint: str) -> list[tuple[str, str]]:
        return thumbnails(predictors.card(checkpoint))

    private: dict[str, Any] = {"api_visibility": "private", "concurrency_id": "inspect", "concurrency_limit": AT_ONCE}
    tab.select(show_deck, None, deck, api_visibility="private")
    first.change(choose_first, first, gallery, api_visibility="private")
    chosen = gallery.select(choose_example, first, photo, api_visibility="private")
    inputs, outputs = [photo, first, second], [difference, left, right]
    validator = checked(needed(NO_PHOTOGRAPH), None, None)
    asked = gr.on([run.click, photo.input], compare, inputs, outputs, validator=validator, **private)
    asked.success(js="() => window.ltadReveal('#difference')")
    gr.on([first.change, second.change], compare_again, inputs, outputs, **private)
    chosen.success(compare, inputs, outputs, **private)
    return [first, second]
