"""The page: its tabs, its endpoints, and how it is launched."""

from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from app import endpoints, viewer
from app.errors import Page
from app.examples.pictures import serve_in_place
from app.jobs.queue import Jobs
from app.limits import MAX_PACKED, QUEUE_SIZE, SWEEP, UPLOAD_SECONDS
from app.memory import keep_low
from app.predictors import Predictors
from app.tabs import inspect
from app.tabs.batch import tab as batch
from app.tabs.checkpoints import tab as checkpoints
from app.tabs.names import tab as names
from app.tabs.teach import tab as teach
from app.texts import say, translations
from app.theme import NAMES_STYLE, STYLE, TEACH_STYLE, theme
from app.uploads import BoundedUploads
from ltad.errors import DeviceError, WriteError
from ltad.foundation.engine import engine_choice
from ltad.machine import choose_device, settle


def build_demo(predictors: Predictors | None = None, jobs: Jobs | None = None) -> gr.Blocks:
    """Put the page together; the models load in the background while it is already there."""
    settle()
    jobs = jobs or _jobs()
    serve_in_place()
    predictors = predictors or Predictors(jobs)
    title = "LTAD: find defects with learned class names"
    with Page(title=title, analytics_enabled=False, delete_cache=(SWEEP, UPLOAD_SECONDS)) as demo:
        gr.Markdown(say("masthead"), elem_classes="masthead")
        memory = teach.Memory.make()
        with gr.Tabs() as tabs:
            with gr.Tab(say("inspect"), id="inspect"):
                photo, pickers = inspect.build(predictors)
            with gr.Tab(say("batch")):
                pickers += batch.build(predictors)
            with gr.Tab(say("names")) as tab:
                pickers += names.build(predictors, tab)
            with gr.Tab(say("checkpoints")) as tab:
                pickers += checkpoints.build(predictors, tab)
            with gr.Tab(say("teach")):
                teach.build(predictors, jobs, demo, memory, tabs, photo, pickers)
        tabs.select(js="() => scrollTo(0, 0)", api_visibility="private")
        endpoints.build(predictors, jobs)
    predictors.warm_up()
    keep_low(demo)
    return demo.queue(max_size=QUEUE_SIZE)


def _jobs() -> Jobs:
    """This server's jobs; the end with a sentence where LTAD_DEVICE, LTAD_ENGINE or LTAD_JOBS name what cannot be."""
    try:
        choose_device()
        engine_choice()
        return Jobs.of_this_server()
    except (DeviceError, WriteError) as error:
        raise SystemExit(f"The page cannot start: {error}") from error


def launch_options() -> dict[str, Any]:
    """What ``launch`` needs to know."""
    return {
        "theme": theme(),
        "css_paths": [STYLE, viewer.STYLE, NAMES_STYLE, TEACH_STYLE],
        "head": viewer.head(),
        "i18n": translations(Predictors().cards()),
        "max_file_size": MAX_PACKED,
        "app_kwargs": {"middleware": [Middleware(BoundedUploads)]},
        "mcp_server": True,
        "ssr_mode": False,
        "footer_links": ["api", "settings"],
    }
