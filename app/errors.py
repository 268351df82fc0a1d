"""The app's edge: what the core refuses becomes one sentence on the page."""

import functools
import inspect
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr

from ltad.errors import LTADError

logger = logging.getLogger(__name__)


def told_plainly(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Show a refusal's own sentence; log anything else and say that it was unexpected. Handlers may be generators."""

    @functools.wraps(handler)
    def guarded(*arguments: Any) -> Any:
        with _plain():
            return handler(*arguments)

    @functools.wraps(handler)
    def guarded_steps(*arguments: Any) -> Iterator[Any]:
        with _plain():
            yield from handler(*arguments)

    return guarded_steps if inspect.isgeneratorfunction(handler) else guarded


@contextmanager
def _plain() -> Iterator[None]:
    try:
        yield
    except (LTADError, ValueError) as error:
        raise gr.Error(str(error), duration=None, print_exception=False) from error
    except gr.Error:
        raise
    except Exception as error:
        logger.exception("unexpected error")
        raise gr.Error("Something unexpected went wrong; the log has the details.") from error
