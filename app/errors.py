"""The app's edge: what the core refuses, and what Gradio does before it, becomes one sentence on the page."""

import functools
import inspect
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.exceptions import InvalidPathError
from gradio_client.utils import is_http_url_like

from ltad.errors import LTADError

logger = logging.getLogger(__name__)

TOLD = 12.0  # seconds that a refusal stays, unless something succeeds before

NOT_UPLOADED = (
    "This path is of no file that was uploaded here, and no other is read. Upload the file, and send the path that the "
    "upload answers."
)
GONE = "This upload is not here any more: uploads are deleted within two hours. Upload the file again."
HOW_TO_SEND = (
    "A file is sent as the path that its upload answers, {“path”: …, “meta”: {“_type”: “gradio.FileData”}}; "
    "/gradio_api/info describes the rest."
)


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


class Page(gr.Blocks):
    """Gradio's page, whose every refusal is a sentence: by itself it answers ``null`` where no handler refused."""

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *arguments: Any, **options: Any) -> Any:
        """Turn what was sent into what the handler takes."""
        try:
            taken = await super().preprocess_data(block_fn, inputs, *arguments, **options)
            if not all(is_http_url_like(path) or Path(path).exists() for path in _paths(inputs)):
                raise gr.Error(GONE, duration=TOLD, print_exception=False)
            return taken
        except gr.Error:
            raise
        except Exception as error:
            logger.warning("/%s was sent what it does not take: %s", block_fn.api_name, error)
            said = _what_was_wrong(error, block_fn, inputs)
            raise gr.Error(said, duration=TOLD, print_exception=False) from error

    async def process_api(self, *arguments: Any, **options: Any) -> Any:
        """Answer a call."""
        try:
            return await super().process_api(*arguments, **options)
        except gr.Error:
            raise
        except Exception as error:  # such as a disk that is full when a picture is to be shown
            raise _unexpected() from error


def _what_was_wrong(error: Exception, block_fn: Any, inputs: list[Any]) -> str:
    """The sentence for what Gradio could not turn into what a handler takes."""
    if isinstance(error, InvalidPathError):
        return NOT_UPLOADED
    if address := next(filter(is_http_url_like, _paths(inputs)), None):
        return f"“{address}” cannot be fetched from here. Give another address, or upload the file."
    wanted = ", ".join(str(block.label) for block in block_fn.inputs) or "nothing"
    return f"What was sent is not what is taken here: {wanted}. {HOW_TO_SEND}"


def _paths(inputs: list[Any]) -> Iterator[str]:
    """The paths, or addresses, of the files among what was sent."""
    for given in inputs:
        for value in given if isinstance(given, list) else [given]:
            if isinstance(value, dict) and isinstance(path := value.get("path"), str):
                yield path


@contextmanager
def _plain() -> Iterator[None]:
    try:
        yield
    except gr.Error:  # which is a ValueError
        raise
    except (LTADError, ValueError) as error:
        raise gr.Error(str(error), duration=TOLD, print_exception=False) from error
    except Exception as error:
        raise _unexpected() from error


def _unexpected() -> gr.Error:
    """What a visitor is told of the error that is being handled; the log has the rest."""
    logger.exception("unexpected error")
    return gr.Error("Something unexpected went wrong; the log has the details.", duration=TOLD, print_exception=False)
