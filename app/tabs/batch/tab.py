"""The Batch tab: many photographs or a ZIP in, a table that fills, and files to take away."""

import secrets
import time
from collections.abc import Iterator
from dataclasses import replace
from html import escape
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import gradio as gr

from app.choices import checkpoint_and_class, class_choices
from app.errors import told_plainly
from app.fields import checked, needed
from app.limits import AT_ONCE, UPLOAD_SECONDS
from app.predictors import Predictors
from app.tabs.batch.batch import NO_PHOTOGRAPHS, Batch, batch_element
from app.texts import say
from app.viewer import inspection
from ltad.errors import ImageError
from ltad.files import write_text
from ltad.inspection.predictor import AUTO

EMPTY = '<ltad-hint data-hint="dropMany"></ltad-hint>'
BACK = '<ltad-back data-to="#batch-table"></ltad-back>'
CHOOSE = '<ltad-hint data-hint="choose"></ltad-hint>'
LISTEN = "element.addEventListener('ltad-choose', (event) => trigger('select', event.detail))"
GONE = "This batch is gone. Drop the photographs again."
EVERY = 0.25  # seconds between two messages to the page
EXPORTS = {"report.html": "html_report", "results.csv": "csv", "results.json": "json", "maps.zip": "maps"}


def build(predictors: Predictors) -> list[gr.Dropdown]:
    """Lay out the tab and wire it; gives where a checkpoint is chosen."""
    batch = gr.State(None, time_to_live=UPLOAD_SECONDS, delete_callback=_close)
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320):
            files = gr.File(label=say("files"), file_count="multiple", height=160, elem_id="batch-files")
        with gr.Column(min_width=320):
            checkpoint, class_name = checkpoint_and_class(predictors, "batch-checkpoint", None)
            with gr.Row():
                run = gr.Button(say("inspect_all"), variant="primary", elem_id="batch-run")
                stop = gr.Button(say("stop"), elem_id="batch-stop")
            with gr.Row(equal_height=True):
                kind = gr.Dropdown(
                    [(say(key), name) for name, key in EXPORTS.items()],
                    value=next(iter(EXPORTS)),
                    label=say("take_away"),
                    min_width=200,
                    elem_id="batch-kind",
                )
                export = gr.Button(say("save"), elem_id="batch-export")
    with gr.Row(equal_height=False):
        with gr.Column(min_width=320):
            table = gr.HTML(EMPTY, elem_id="batch-table", apply_default_css=False, js_on_load=LISTEN)
            rate = gr.Number(visible=False)
            made = gr.File(show_label=False, visible=False, elem_id="batch-made")
        with gr.Column(min_width=320, elem_classes="beside"):
            shown = gr.HTML(CHOOSE, elem_id="batch-shown", apply_default_css=False)

    @told_plainly
    def inspect_all(
        files: list[str] | None, checkpoint: str, class_name: str, before: Batch | None
    ) -> Iterator[tuple[Any, ...]]:
        _close(before)
        predictor = predictors.get(checkpoint)
        batch, key = Batch(files or [], predictor.card), secrets.token_hex(4)
        sent, told = 0, 0.0
        total = batch.total
        for _ in batch.run(predictor, class_name):
            if time.monotonic() - told >= EVERY:
                yield batch_element(batch.rows(sent), total, batch.card, key), CHOOSE, batch
                sent, told = len(batch.items), time.monotonic()
        yield batch_element(batch.rows(), total, batch.card, key), CHOOSE, batch  # whatever the page missed

    @told_plainly
    def show(batch: Batch | None, event: gr.EventData) -> str:
        number = event.number
        if batch is None or batch.is_gone or not isinstance(number, int) or not 0 <= number < len(batch.items):
            raise ImageError(GONE)
        item = batch.items[number]
        if item.prediction is None:
            return f'{BACK}<div class="card"><h3>{escape(item.photograph.name)}</h3><p>{escape(item.error)}</p></div>'
        predictor = predictors.get(batch.card.name)
        again = predictor.predict(item.photograph.path, item.prediction.class_name)
        return BACK + inspection(replace(again, given=item.prediction.given))

    @told_plainly
    def take_away(batch: Batch | None, kind: str, rate: float | None) -> Any:
        if batch is None:
            raise ImageError("There is no batch yet: drop photographs and inspect them first.")
        if batch.is_gone:  # another one has just begun
            raise ImageError(GONE)
        path = Path(mkdtemp(prefix="export-", dir=batch.folder), kind)
        rate = rate or batch.card.config.calibration.false_alarm_rate
        if path.suffix == ".html":
            write_text(path, batch.report(rate))
        elif path.suffix == ".csv":
            write_text(path, batch.csv(rate))
        elif path.suffix == ".json":
            write_text(path, batch.json(rate))
        else:
            batch.write_maps(path, rate)
        return gr.File(str(path), visible=True)

    @told_plainly
    def choose_checkpoint(checkpoint: str) -> Any:
        return gr.Dropdown(choices=class_choices(predictors, checkpoint), value=AUTO)

    private: dict[str, Any] = {"api_visibility": "private", "concurrency_id": "inspect", "concurrency_limit": AT_ONCE}
    checkpoint.change(choose_checkpoint, checkpoint, class_name, api_visibility="private")
    gr.on([checkpoint.change, class_name.input], js="() => window.ltadStale(true)", api_visibility="private")
    inputs, outputs = [files, checkpoint, class_name, batch], [table, shown, batch]
    validator = checked(needed(NO_PHOTOGRAPHS), None, None, None)
    running = run.click(inspect_all, inputs, outputs, js=ANEW, validator=validator, **private)
    running.success(js="() => window.ltadReveal('#batch-table')")
    stop.click(None, cancels=running, api_visibility="private")
    opened = table.select(show, batch, shown, show_progress="hidden", **private)
    opened.success(js="() => window.ltadReveal('#batch-shown')")
    export.click(take_away, [batch, kind, rate], made, js=NOW, api_visibility="private").success(
        js="(file) => window.ltadSave(file)", inputs=made, api_visibility="private"
    )
    return [checkpoint]


ANEW = "(...inputs) => { window.ltadStale(false); return inputs; }"
NOW = "(batch, kind, rate) => [batch, kind, window.ltadRate()]"  # the false-alarm rate that the page shows


def _close(batch: Batch | None) -> None:
    if batch is not None:
        batch.close()
