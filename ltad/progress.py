"""How far a long work is: the stage that it is in, and the steps done."""

import re
from typing import NamedTuple, Protocol, Self


class Stage(NamedTuple):
    """A part of a long work, such as encoding the images, or phase 2 of the model of a fold.

    kind: what is done. fold: from 1, where it is done for a model that is to judge the images of that fold; None for
    the final model, and where nothing is trained. Written, it names the stage in files and lines: "fold1-phase2".
    """

    kind: str
    fold: int | None = None

    def __str__(self) -> str:
        return self.kind if self.fold is None else f"fold{self.fold}-{self.kind}"

    @classmethod
    def named(cls, text: str) -> Self:
        """The stage that was written as ``text``."""
        match = re.fullmatch(r"fold(\d+)-(.+)", text)
        return cls(match[2], int(match[1])) if match else cls(text)


class Progress(Protocol):
    """Told after every step: the stage, steps done, steps in all, and the loss where there is one."""

    def __call__(self, stage: Stage, step: int, steps: int, loss: float | None = None) -> None:
        """Report one step."""


def quiet(stage: Stage, step: int, steps: int, loss: float | None = None) -> None:
    """Progress for nobody."""


def part(progress: Progress, number: int, parts: int) -> Progress:
    """Progress of a stage that is done in parts, each of as many steps: this one is of that number, from 0."""

    def told(stage: Stage, step: int, steps: int, loss: float | None = None) -> None:
        progress(stage, number * steps + step, parts * steps, loss)

    return told
