"""What a long day leaves behind."""

import gc
import time
from datetime import datetime, timedelta
from types import SimpleNamespace
from weakref import ref

import gradio as gr
import pytest
from gradio.state_holder import StateHolder

from app import memory
from app.memory import keep_low, sweep
from tests.toys import until

CALL, BROWSER, CLIENT = "0123456789abcdef" * 2, "k3j2h1g0abc", "7f9c24e8-3b12-4fef-91e0-56a2d5c9be1a"


@pytest.fixture
def demo() -> gr.Blocks:
    """A page with the sessions of a call, a browser and a Python client."""
    with gr.Blocks() as demo:
        gr.Textbox()
    holder = StateHolder()
    holder.set_blocks(demo)
    demo.app = SimpleNamespace(state_holder=holder)
    for name in (CALL, BROWSER, CLIENT):
        holder[name]
    return demo


def test_sessions_of_calls_that_are_over_are_forgotten_and_no_others(demo: gr.Blocks) -> None:
    holder = demo.app.state_holder
    assert sweep(demo) == 0 and len(holder.session_data) == 3  # just used
    for name in holder.time_last_used:
        holder.time_last_used[name] = datetime.now() - timedelta(seconds=61)
    assert sweep(demo) == 1
    assert set(holder.session_data) == set(holder.time_last_used) == {BROWSER, CLIENT}
    assert holder[CALL]  # and come again where they are asked for


def test_a_page_that_is_not_launched_has_none() -> None:
    with gr.Blocks() as demo:
        gr.Textbox()
    assert sweep(demo) == 0


class Page:
    """Something that can be gone: Gradio itself keeps hold of the blocks that were made last."""


def test_it_is_swept_until_the_page_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    swept: list[int] = []
    # Pages of other tests may live on and be swept by their own threads: only this one counts.
    monkeypatch.setattr(memory, "sweep", lambda demo: swept.append(1) if isinstance(demo, Page) else None)
    monkeypatch.setattr(memory, "EVERY", 0.01)
    page = Page()
    gone = ref(page)
    keep_low(page)  # type: ignore[arg-type]
    until(lambda: len(swept) > 2, seconds=10)
    del page
    until(lambda: gc.collect() >= 0 and gone() is None, seconds=10)
    time.sleep(0.05)
    count = len(swept)
    time.sleep(0.05)
    assert len(swept) == count
