"""What may be in the way of whoever sends something to the Hub; each is put there before it is sent."""

from collections.abc import Callable

import pytest
from huggingface_hub import constants

from tests.hub import READER, Hub

Obstacle = Callable[[Hub, pytest.MonkeyPatch], None]


def nothing(hub: Hub, patch: pytest.MonkeyPatch) -> None:
    """Everything as it is."""


def no_token(hub: Hub, patch: pytest.MonkeyPatch) -> None:
    patch.delenv("HF_TOKEN")


def wrong_token(hub: Hub, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("HF_TOKEN", "hf_forgotten")


def readers_token(hub: Hub, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("HF_TOKEN", READER)


def no_network(hub: Hub, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")


def fault(line: str, status: int, said: str) -> Obstacle:
    return lambda hub, patch: hub.faults.update({line: (status, said)})
