"""What is wrong with a field is said at the field, before anything waits or computes."""

from collections.abc import Callable
from typing import Any

import gradio as gr

from ltad.errors import LTADError

Check = Callable[[Any], object]  # refuses a value by raising LTADError or ValueError


def checked(*checks: Check | None) -> Callable[..., Any]:
    """A validator for an event: one check for each of its inputs, or None for what is not checked."""

    def validate(*given: Any) -> Any:
        said = [_said(check, value) for check, value in zip(checks, given, strict=True)]
        return said if len(said) > 1 else said[0]

    return validate


def needed(sentence: str) -> Check:
    """A check that refuses an empty field with a sentence."""

    def check(value: Any) -> None:
        if not (value.strip() if isinstance(value, str) else value):
            raise ValueError(sentence)

    return check


def _said(check: Check | None, value: Any) -> dict[str, Any]:
    try:
        if check:
            check(value)
    except (LTADError, ValueError) as error:
        return gr.validate(False, str(error))
    return gr.validate(True, "")
