"""The Teach tab: a product's photographs in, checked, learned in the background, and a checkpoint out."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, Self

import gradio as gr

from app.answers import in_the_cache
from app.choices import checkpoint_choices
from app.errors import told_plainly
from app.fields import checked, needed
from app.jobs.job import LIVE, PHOTOGRAPHS, Job
from app.jobs.product import LONGEST, class_name_of
from app.jobs.queue import Jobs, refuse_too_many
from app.limits import CHECKS, MAX_MINUTES, UPLOAD_SECONDS
from app.photograph import Photograph, pictures_to_click, small_picture
from app.predictors import Predictors
from app.space import forgets
from app.tabs.teach.cards import changes_card, check_card, job_card, time_note
from app.texts import say
from app.viewer import inspection, promise, promise_of_images
from ltad.deploy.hub import push
from ltad.errors import HubError, ImageError, JobError
from ltad.foundation.features import Encoder
from ltad.foundation.store import FeatureFolder
from ltad.inspection.names import name_tokens
from ltad.photos.gather import gather
from ltad.photos.pile import Pile
from ltad.progress import quiet
from ltad.training.adaptation import DEFAULT_MINUTES
from ltad.training.check import DataCheck, check_photographs
from ltad.words import spoken

EMPTY = '<ltad-hint data-hint="teach"></ltad-hint>'
NO_PHOTOGRAPHS = "There are no photographs. Drop good ones, or a ZIP archive of them."
NO_REPOSITORY = "Give the repository, such as name/screws."
NO_TOKEN = "Give an access token that may write to the repository."
REMEMBERED = 8  # trainings, by one browser
SHOWN = 40  # photographs to click afterwards
THUMB = 160  # pixels
POLL = 1.0  # seconds


class Upload(NamedTuple):
    """The photographs of one upload as they were checked, and the folder of what was unpacked and encoded of them."""

    check: DataCheck
    defective: Pile
    folder: TemporaryDirectory[str]

    @property
    def features(self) -> Path:
        """Where the photographs' features are kept."""
        return Path(self.folder.name, "features")


class Memory(NamedTuple):
    """What must work before the tab is opened: the browser's memory of its trainings, and the clock that looks at one.

    They are made outside the tabs, since what is in a tab that was never opened is not there yet.
    """

    trainings: gr.BrowserState
    timer: gr.Timer

    @classmethod
    def make(cls) -> Self:
        """Put both on the page, where they show nothing. The secret only has to be the same after a restart."""
        return cls(gr.BrowserState([], storage_key="ltad-trainings", secret="ltad"), gr.Timer(POLL, active=False))


def build(
    predictors: Predictors,
    jobs: Jobs,
    demo: gr.Blocks,
    memory: Memory,
    tabs: gr.Tabs,
    photo: Photograph,
    pickers: Sequence[gr.Dropdown],
) -> None:
    """Lay out the tab and wire it; photo: of the Inspect tab; pickers: where checkpoints are chosen, its own first."""
    trainings, timer = memory
    names, first = checkpoint_choices(predictors), predictors.first()
    upload = gr.State(None, time_to_live=UPLOAD_SECONDS, delete_callback=_close)
    gr.Markdown(say("teach_intro"))
    if forgets():
        gr.Markdown(say("forgets"), elem_id="teach-forgets")
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=320):
            gr.Markdown(say("teach_photographs"))
            files = gr.File(label=say("good_files"), file_count="multiple", height=150, elem_id="teach-files")
            class_name = gr.Textbox(
                label=say("product"), placeholder="hex nut", max_length=LONGEST, max_lines=1, elem_id="teach-name"
            )
            parent = gr.Dropdown(names, value=first, label=say("parent"), elem_id="teach-parent")
            pickers = [*pickers, parent]
            with gr.Accordion(say("optional"), open=False):
                defective = gr.File(
                    label=say("defective_files"), file_count="multiple", height=120, elem_id="teach-defective"
                )
                start = gr.Textbox(label=say("start_word"), placeholder="nut", max_length=40, max_lines=1)
                minutes = gr.Slider(
                    0.5, MAX_MINUTES, value=DEFAULT_MINUTES, step=0.5, label=say("minutes"), elem_id="teach-minutes"
                )
            check = gr.Button(say("check"), variant="primary", elem_id="teach-check")
        with gr.Column(scale=5, min_width=320):
            gr.Markdown(say("teach_check"))
            found = gr.HTML(EMPTY, elem_id="teach-found", apply_default_css=False)
            with gr.Column(visible=False) as chosen:
                pictures = pictures_to_click([], say("strangest"), "teach-pictures", columns=5)
                leave_out = gr.Dropdown(
                    [], multiselect=True, label=say("leave_out"), info=say("leave_out_info"), elem_id="teach-leave-out"
                )
                lasting = gr.HTML(elem_id="teach-lasting", apply_default_css=False)
                train = gr.Button(say("train"), variant="primary", elem_id="teach-train")
    with gr.Column(visible=False) as training:
        gr.Markdown(say("teach_training"))
        with gr.Row(equal_height=False):
            which = gr.Dropdown([], label=say("trainings"), scale=3, min_width=220, elem_id="teach-which")
            cancel = gr.Button(say("cancel"), min_width=100, elem_id="teach-cancel")
            resume = gr.Button(say("resume"), min_width=100, elem_id="teach-resume")
        state = gr.HTML(elem_id="teach-state", apply_default_css=False)
        with gr.Column(visible=False) as results:
            with gr.Row():
                use = gr.Button(say("use"), variant="primary", elem_id="teach-use")
                label: Any = say("download")  # Gradio translates it, but its signature knows only str
                download = gr.DownloadButton(label, elem_id="teach-download")
            changes = gr.HTML(elem_id="teach-changes", apply_default_css=False)
            taught = pictures_to_click([], say("look_twice"), "teach-taught", columns=8)
            with gr.Row(equal_height=False):
                with gr.Column(min_width=320):
                    gr.Markdown(say("before"))
                    left = gr.HTML(elem_id="teach-before", apply_default_css=False)
                with gr.Column(min_width=320):
                    gr.Markdown(say("after"))
                    right = gr.HTML(elem_id="teach-after", apply_default_css=False)
            with gr.Accordion(say("share"), open=False):
                with gr.Row():
                    repository = gr.Textbox(label=say("repository"), max_lines=1)
                    token = gr.Textbox(label=say("token"), type="password", max_lines=1)
                    private = gr.Checkbox(True, label=say("private"), min_width=100)
                send = gr.Button(say("push"), elem_id="teach-push")
                sent = gr.Markdown(elem_id="teach-sent")

    @told_plainly
    def look_at(
        files: list[str] | None, defective: list[str] | None, parent: str, minutes: float, before: Upload | None
    ) -> list[Any]:
        _close(before)
        folder = TemporaryDirectory(prefix="ltad-teach-")
        good, bad = (
            gather([Path(file) for file in some or ()], Path(folder.name, kind))
            for kind, some in (("good", files), ("defective", defective))
        )
        if not good.photographs and not good.refused:
            raise ImageError(NO_PHOTOGRAPHS)
        refuse_too_many(max(len(good.photographs), len(bad.photographs)))
        bad = bad.with_masks().readable()
        store = FeatureFolder(Path(folder.name, "features"))
        check = check_photographs(good.good(), Encoder(predictors.get(parent).foundation, store), quiet)
        upload, card = Upload(check, bad, folder), predictors.card(parent)
        choices = [(_label(c.name, c.remarks), i) for i, c in enumerate(check.photographs)]
        shown = [(small_picture(c.photograph.path, THUMB), _label(c.name, c.remarks)) for c in check.photographs]
        return [
            upload,
            check_card(check, (*check.refused, *bad.refused), promise_of_images(card, len(check.photographs))),
            shown,
            gr.Dropdown(choices=choices, value=[]),
            how_long(upload, parent, minutes),
            gr.Column(visible=check.is_enough),
        ]

    def how_long(upload: Upload | None, parent: str, minutes: float) -> str:
        if upload is None:
            return ""
        good, bad = len(upload.check.photographs), len(upload.defective.photographs)
        return time_note(jobs.seconds(minutes, good, bad, predictors.card(parent)))

    def toggle(left_out: list[int], event: gr.SelectData) -> list[int]:
        return [i for i in left_out if i != event.index] if event.index in left_out else [*left_out, event.index]

    def check_names(*asked: Any) -> Any:
        _, _, _, parent, _, start, _ = asked
        reads = partial(name_tokens, predictors.get(parent).foundation) if (start or "").strip() else None
        return checked(None, None, class_name_of, None, None, reads, None)(*asked)

    @told_plainly
    def begin(
        upload: Upload | None,
        left_out: list[int],
        class_name: str | None,
        parent: str,
        minutes: float,
        start: str | None,  # None: the accordion was never opened
        ids: list[str],
    ) -> list[Any]:
        if upload is None:
            raise JobError("The photographs are gone. Drop and check them again.")
        kept = tuple(c.photograph for i, c in enumerate(upload.check.photographs) if i not in left_out)
        good = Pile(kept, upload.check.refused)
        parent_folder, word = predictors.card(parent).path, (start or "").strip()
        job = jobs.submit(good, parent_folder, class_name or "", minutes, word, upload.defective, upload.features)
        ids = [job.id, *ids][:REMEMBERED]
        return [ids, gr.Dropdown(choices=_choices(jobs, ids), value=job.id), gr.Column(visible=True)]

    def find_again(ids: list[str] | None) -> list[Any]:
        ids = ids or []
        mine = _own(jobs, ids)
        newest = mine[0].id if mine else None
        which = gr.Dropdown(choices=_choices(jobs, ids), value=newest)
        return [[job.id for job in mine], which, gr.Column(visible=bool(mine)), *pickers_with(ids)]

    def pickers_with(ids: list[str]) -> list[Any]:
        own = [(f"{spoken(job.class_name)} ({job.id[:4]})", job.name) for job in _own(jobs, ids) if job.state == "done"]
        return [gr.Dropdown(choices=[*names, *own]) for _ in pickers]

    @told_plainly
    def show(job_id: str | None, ids: list[str]) -> list[Any]:
        if not job_id:
            return [gr.skip()] * len(shown)
        job = jobs.get(job_id)
        photograph = jobs.folder(job_id) / PHOTOGRAPHS / job.photograph if job.photograph else None
        is_live, is_done = job.state in LIVE, job.state == "done"
        after = [gr.skip()] * (3 + len(pickers))
        if is_done:
            gallery = [(small_picture(path, THUMB), kind) for path, kind in jobs.photographs(job_id)[:SHOWN]]
            archive = gr.DownloadButton(value=in_the_cache(jobs.archive(job_id), download.GRADIO_CACHE))
            told = promise(predictors.card(job.name), job.class_name)
            after = [changes_card(jobs.changes(job_id), told), gallery, archive, *pickers_with(ids)]
        return [
            job_card(job, jobs.place(job_id), photograph),
            gr.Timer(active=is_live),
            gr.Button(visible=is_live),
            gr.Button(visible=not is_live and not is_done),
            gr.Column(visible=is_done),
            *after,
        ]

    @told_plainly
    def stop(job_id: str) -> None:
        jobs.cancel(job_id)

    @told_plainly
    def go_on(job_id: str) -> None:
        jobs.resume(job_id)

    @told_plainly
    def look_twice(job_id: str, event: gr.SelectData) -> list[str]:
        job, photographs = jobs.get(job_id), jobs.photographs(job_id)
        if not isinstance(event.index, int) or not 0 <= event.index < len(photographs):
            raise ImageError("This photograph is gone.")
        path, _ = photographs[event.index]
        two = [predictors.get(name) for name in (job.checkpoint, job.name)]
        return [inspection(predictor.predict(path)) for predictor in two]

    @told_plainly
    def use_it(job_id: str) -> list[Any]:
        path, _ = jobs.photographs(job_id)[0]
        shown = in_the_cache(path, download.GRADIO_CACHE)
        return [gr.Dropdown(value=jobs.get(job_id).name), gr.Tabs(selected="inspect"), shown]

    @told_plainly
    def share(job_id: str, repository: str, token: str, private: bool) -> list[str]:
        return [f"It is at {push_own(jobs.get(job_id), repository, token, private)}.", ""]

    apart: dict[str, Any] = {"api_visibility": "private", "concurrency_id": "teach", "concurrency_limit": CHECKS}
    hidden: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    shown = [state, timer, cancel, resume, results, changes, taught, download, *pickers]
    looked_at = [upload, found, pictures, leave_out, lasting, chosen]
    check.click(
        look_at,
        [files, defective, parent, minutes, upload],
        looked_at,
        validator=checked(needed(NO_PHOTOGRAPHS), None, None, None, None),
        **apart,
    )
    minutes.release(how_long, [upload, parent, minutes], lasting, **hidden)
    pictures.select(toggle, leave_out, leave_out, **hidden)
    begun = train.click(
        begin,
        [upload, leave_out, class_name, parent, minutes, start, trainings],
        [trainings, which, training],
        api_visibility="private",
        validator=check_names,
    )
    begun.success(js="() => window.ltadReveal('#teach-which')")
    demo.load(find_again, trainings, [trainings, which, training, *pickers], **hidden)
    which.change(show, [which, trainings], shown, **hidden)
    timer.tick(show, [which, trainings], shown, **hidden)
    cancel.click(stop, which, None, api_visibility="private").success(show, [which, trainings], shown, **hidden)
    resume.click(go_on, which, None, api_visibility="private").success(show, [which, trainings], shown, **hidden)
    taught.select(look_twice, which, [left, right], **apart)
    use.click(use_it, which, [pickers[0], tabs, photo], api_visibility="private").success(js="() => scrollTo(0, 0)")
    send.click(
        share,
        [which, repository, token, private],
        [sent, token],
        validator=checked(None, needed(NO_REPOSITORY), needed(NO_TOKEN), None),
        **apart,
    )


def push_own(job: Job, repository: str, token: str, private: bool) -> str:
    """Put a visitor's checkpoint on the Hub in their own name, never in this server's, and give its address."""
    if job.state != "done":
        raise JobError("There is no checkpoint yet. Wait until the training is done.")
    repository, token = repository.strip(), token.strip()
    if not repository:
        raise HubError(NO_REPOSITORY)
    if not token:
        raise HubError(NO_TOKEN)
    return push(Path(job.output), repository, private=private, token=token).address


def _close(upload: Upload | None) -> None:
    if upload is not None:
        upload.folder.cleanup()


def _own(jobs: Jobs, ids: Sequence[str]) -> list[Job]:
    """The trainings that a browser remembers and that are still here."""
    mine = []
    for job_id in ids:
        try:
            mine.append(jobs.get(job_id))
        except JobError:  # swept
            continue
    return mine


def _choices(jobs: Jobs, ids: Sequence[str]) -> list[tuple[str, str]]:
    return [(f"{spoken(job.class_name)} ({job.id[:4]}) · {job.checkpoint}", job.id) for job in _own(jobs, ids)]


def _label(name: str, remarks: Sequence[str]) -> str:
    return f"{name}: {', '.join(remarks)}" if remarks else name
