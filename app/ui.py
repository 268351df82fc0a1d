"""The page: its tabs, its endpoints, and how it is launched."""

from typing import Any

import gradio as gr

from app import endpoints, viewer
from app.predictors import Predictors
from app.tabs import batch, checkpoints, inspect, names
from app.theme import NAMES_STYLE, STYLE, theme
from ltad.archives import MAX_PACKED

QUEUE_SIZE = 64  # waiting visitors; one more is told that the queue is full
MASTHEAD = """<div class="masthead"><h1>LTAD</h1>
<p>One model for many products, learned from normal images only: it finds what is wrong with a part, shows where, and
recognises the part by a name that it made up itself.</p></div>"""


def build_demo(predictors: Predictors | None = None) -> gr.Blocks:
    """Put the page together; the models load in the background while it is already there."""
    predictors = predictors or Predictors()
    with gr.Blocks(title="LTAD: find defects with learned class names", analytics_enabled=False) as demo:
        gr.HTML(MASTHEAD)
        with gr.Tabs():
            with gr.Tab("Inspect"):
                inspect.build(predictors)
            with gr.Tab("Batch"):
                batch.build(predictors)
            with gr.Tab("Names") as tab:
                names.build(predictors, tab)
            with gr.Tab("Checkpoints") as tab:
                checkpoints.build(predictors, tab)
        endpoints.build(predictors)
    predictors.warm_up()
    return demo.queue(max_size=QUEUE_SIZE)


def launch_options() -> dict[str, Any]:
    """What ``launch`` needs to know."""
    return {
        "theme": theme(),
        "css_paths": [STYLE, viewer.STYLE, NAMES_STYLE],
        "head": viewer.head(),
        "max_file_size": MAX_PACKED,
        "mcp_server": True,
        "ssr_mode": False,
        "footer_links": ["api", "settings"],
    }
