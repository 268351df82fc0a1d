"""The Inspect tab: a photograph in, verdict, map and pseudo class out."""

from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from app.choices import checkpoint_and_class, class_choices
from app.errors import told_plainly
from app.examples.gallery import example_gallery, thumbnails
from app.examples.judged import examples_for, judged_before
from app.examples.pictures import example_at
from app.fields import checked, needed
from app.glossary import explain_all, explained
from app.limits import AT_ONCE
from app.photograph import NO_PHOTOGRAPH, Photograph
from app.predictors import Predictors
from app.texts import say
from app.viewer import inspection, inspection_element
from app.viewer.tiles import Tiles
from ltad.checkpoint.card import CheckpointCard, Parent
from ltad.errors import ImageError
from ltad.evaluation.before_after import taught_in_words
from ltad.evaluation.table import in_words
from ltad.inspection.prediction import ClassVerdict
from ltad.inspection.predictor import AUTO
from ltad.photos.archive import MAX_PACKED
from ltad.photos.decode import MAX_PIXELS, READABLE, open_photo
from ltad.words import counted, spoken

SHOW_RESULT = "() => window.ltadReveal('#result')"
EMPTY = '<ltad-hint data-hint="drop"></ltad-hint>'
LOADING = '<ltad-hint data-hint="loading"></ltad-hint>'
LIMITS = f"{READABLE}; up to {MAX_PACKED // 10**6} MB and {MAX_PIXELS // 10**6} megapixels"


def build(predictors: Predictors) -> tuple[Photograph, list[gr.Dropdown]]:
    """Lay out the tab and wire it; gives where a photograph comes in, and where a checkpoint is chosen."""
    first = predictors.first()
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=320):
            photo = Photograph(
                label=say("photograph"),
                placeholder=f"Drop or paste a photograph, or click to choose one\n{LIMITS}",
                format="png",
                sources=["upload", "webcam", "clipboard"],
                height=240,
                elem_id="photograph",
                elem_classes="photograph",
            )
            checkpoint, class_name = checkpoint_and_class(predictors, "checkpoint", "class-name")
            status = gr.HTML(LOADING, elem_id="loading", apply_default_css=False)
            loading = gr.Timer(1)
            run = gr.Button(say("inspect"), variant="primary", elem_id="run")
            about = gr.Markdown(about_checkpoint(predictors, first), elem_id="about")
            gallery = example_gallery(predictors.card(first) if first else None, "examples")
        with gr.Column(scale=5, min_width=320):
            result = gr.HTML(EMPTY, elem_id="result", apply_default_css=False)
            with gr.Accordion(say("as_another"), open=False):
                as_each = gr.Button(say("as_each"), size="sm", elem_id="as-each")
                verdicts = gr.HTML(elem_id="verdicts", apply_default_css=False)
            with gr.Accordion(say("report"), open=False):
                report = gr.JSON(elem_id="report", show_label=False)

    @told_plainly
    def inspect_photo(path: str | None, checkpoint: str, class_name: str) -> tuple[str, Any]:
        if path is None:
            return EMPTY, None
        predictor = predictors.get(checkpoint)
        prediction, example = predictor.predict(path, class_name), example_at(Path(path))
        tiles = Tiles.cut(prediction.photo.image, Path(result.GRADIO_CACHE))
        if tiles:
            result.temp_files.update(tiles.files)  # so that they are served, and swept away
        return inspection(prediction, example and example.defect, tiles), prediction.report()

    @told_plainly
    def judge_as_each(path: str | None, checkpoint: str) -> str:
        if path is None:
            raise ImageError(NO_PHOTOGRAPH)
        return verdict_table(predictors.get(checkpoint).judge_as_each(path))

    @told_plainly
    def choose_example(checkpoint: str, class_name: str, event: gr.SelectData) -> list[Any]:
        card = predictors.card(checkpoint)
        example = examples_for(card)[event.index]
        facts = None if predictors.is_loaded(checkpoint) else judged_before(example, card)
        known: Any = gr.skip()
        if facts:
            known = inspection_element(facts, open_photo(example.path).image, card, example.defect)
        return [str(example.path), known, class_name if class_name == example.class_name else AUTO]

    def show_loading() -> list[Any]:
        waiting = predictors.waiting()
        return [LOADING if waiting else "", gr.Timer(active=bool(waiting))]

    @told_plainly
    def choose_checkpoint(checkpoint: str) -> list[Any]:
        choices = gr.Dropdown(choices=class_choices(predictors, checkpoint), value=AUTO)
        return [choices, about_checkpoint(predictors, checkpoint), thumbnails(predictors.card(checkpoint))]

    private: dict[str, Any] = {"api_visibility": "private", "concurrency_id": "inspect", "concurrency_limit": AT_ONCE}
    inputs, outputs = [photo, checkpoint, class_name], [result, report]
    other = checkpoint.change(choose_checkpoint, checkpoint, [class_name, about, gallery], api_visibility="private")
    chosen = gallery.select(
        choose_example, [checkpoint, class_name], [photo, result, class_name], api_visibility="private"
    )
    loading.tick(show_loading, None, [status, loading], api_visibility="private", show_progress="hidden")
    for judged in (
        photo.input(inspect_photo, inputs, outputs, show_progress="minimal", **private),
        chosen.success(inspect_photo, inputs, outputs, show_progress="minimal", **private),
        other.success(inspect_photo, inputs, outputs, show_progress="minimal", **private),
        class_name.input(inspect_photo, inputs, outputs, show_progress="minimal", **private),
        run.click(inspect_photo, inputs, outputs, **private),
    ):
        judged.success(js=SHOW_RESULT)
        judged.failure(js="() => ['', null]", outputs=outputs, api_visibility="private")  # no verdict of another one
    as_each.click(
        judge_as_each, [photo, checkpoint], verdicts, validator=checked(needed(NO_PHOTOGRAPH), None), **private
    )
    gr.on([photo.change, checkpoint.change], js="() => ''", outputs=verdicts, api_visibility="private")
    return photo, [checkpoint]


def verdict_table(verdicts: list[ClassVerdict]) -> str:
    """What a photograph would be as each class, as a table."""
    rows = "".join(
        f'<tr><th scope="row">{escape(spoken(match.name))}</th><td>{match.similarity:z.2f}</td>'
        f"<td>{judgement.score:.2f}</td><td>{judgement.threshold:.2f}</td><td>{judgement.verdict}</td></tr>"
        for match, judgement in verdicts
    )
    head = "".join(f'<th scope="col">{text}</th>' for text in ("Class", "Similarity", "Score", "Threshold", "Verdict"))
    return f'<table class="figures"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def about_checkpoint(predictors: Predictors, checkpoint: str | None) -> str:
    """One line on the chosen checkpoint."""
    if checkpoint is None:
        return "No checkpoint is here yet. Train one with `python -m ltad train --data demo --output checkpoints/demo`."
    card = predictors.card(checkpoint)
    if card.parent:
        return _about_taught(card, card.parent, predictors.changes(checkpoint))
    counts = sorted((c.n_train for c in card.classes), reverse=True)
    figures = in_words(card.metrics["mean"] if card.metrics else None)
    imbalance = "" if card.data.imbalance == "none" else f" ({explained(card.data.imbalance)})"
    each = (
        f"{counts[0]} down to {counts[-1]} training images"
        if counts[0] > counts[-1]
        else f"{counts[0]} training images each"
    )
    return (
        f"**{len(counts)} classes** with {each}{imbalance}. "
        f"Image {explained('AUROC')} on its test images, per cent: {explain_all(figures)}."
    )


def _about_taught(card: CheckpointCard, parent: Parent, changes: dict[str, Any] | None) -> str:
    """One line on a checkpoint that was taught: which classes, and what a job of ours measured of the last."""
    names = dict.fromkeys((*card.data.added, *([changes["class"]] if changes else [])))
    counts = [
        f"**{spoken(name)}** ({counted(card.classes[card.class_id(name)].n_train, 'image')})"
        for name in names
        if name in card.class_names
    ]
    taught = f", taught {', '.join(counts)}" if counts else ""
    measured = taught_in_words(changes) if changes else "What that changed was not measured here."
    return f"**{len(card.classes)} classes**: {parent.name}{taught}. {measured}"
