"""What a long day leaves behind, and how it is swept: the server's memory stays what its models need."""

import re
import threading
import time
from datetime import datetime, timedelta
from weakref import ref

import gradio as gr

from ltad.machine import return_memory

EVERY = 5.0  # seconds between two sweeps
ONE_CALL = re.compile(r"[0-9a-f]{32}")  # Gradio names a session so where a program's call brings none
OVER = timedelta(seconds=60)  # since it was last used: the call is answered, and nobody can ask for it again


def keep_low(demo: gr.Blocks) -> None:
    """Sweep now and then for as long as the page exists."""
    page = ref(demo)

    def forever() -> None:
        while (there := page()) is not None:
            sweep(there)
            del there
            time.sleep(EVERY)

    threading.Thread(target=forever, daemon=True, name="sweep").start()


def sweep(demo: gr.Blocks) -> int:
    """Forget the sessions of calls that are over, a quarter of a megabyte each, and give freed memory back.

    Gradio keeps up to 10,000 of them. Gives how many were forgotten.
    """
    forgotten = 0
    if hasattr(demo, "app"):  # it is launched
        sessions = demo.app.state_holder
        with sessions.lock:
            for name, last in list(sessions.time_last_used.items()):
                if ONE_CALL.fullmatch(name) and datetime.now() - last > OVER:
                    sessions.session_data.pop(name, None)
                    sessions.time_last_used.pop(name, None)
                    forgotten += 1
    return_memory()
    return forgotten
