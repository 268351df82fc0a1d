"""Progress as a person sees it, bars, and as a program reads it: one JSON object a line, written and read here."""

import json
import sys
from typing import NamedTuple

from torch import Tensor
from tqdm import tqdm

from ltad.photos.pile import Refusal
from ltad.progress import Stage
from ltad.words import left_out


class Step(NamedTuple):
    """A stage went on."""

    stage: Stage
    step: int
    steps: int
    loss: float | None


class Look(NamedTuple):
    """How far off the reconstruction of a photograph is at the moment: rows of a grid."""

    photograph: str
    map: list[list[float]]


Line = Step | Look | Refusal


def written(line: Line) -> str:
    """A line as JSON."""
    if isinstance(line, Step):
        return json.dumps(line._asdict() | {"stage": str(line.stage)})
    if isinstance(line, Refusal):
        return json.dumps({"left_out": line.name, "reason": line.reason})
    return json.dumps(line._asdict())


def read(text: str) -> Line | None:
    """The line that was written; None for whatever else a process says."""
    try:
        values = json.loads(text)
    except json.JSONDecodeError:
        return None
    match values:
        case {"stage": str(stage), "step": int(step), "steps": int(steps), "loss": loss}:
            return Step(Stage.named(stage), step, steps, loss)
        case {"photograph": str(photograph), "map": list(rows)}:
            return Look(photograph, rows)
        case {"left_out": str(name), "reason": str(reason)}:
            return Refusal(name, reason)
    return None


class Lines:
    """Progress for machines: a line a step on stderr."""

    def __call__(self, stage: Stage, step: int, steps: int, loss: float | None = None) -> None:
        """Write where the stage is."""
        self._say(Step(stage, step, steps, loss))

    def watch(self, photograph: str, error: Tensor) -> None:
        """Write how far off the reconstruction of a photograph's patches (h, w) is."""
        self._say(Look(photograph, [[round(value, 3) for value in row] for row in error.tolist()]))

    def leave_out(self, refusal: Refusal) -> None:
        """Write that a photograph cannot be used."""
        self._say(refusal)

    def close(self) -> None:
        """Nothing is open."""

    def _say(self, line: Line) -> None:
        print(written(line), file=sys.stderr, flush=True)


class Bars:
    """Progress on a terminal: one bar per stage; nothing where stderr is no terminal."""

    def __init__(self) -> None:
        self._bar: tqdm | None = None
        self._stage: Stage | None = None

    def __call__(self, stage: Stage, step: int, steps: int, loss: float | None = None) -> None:
        """Move the stage's bar."""
        if self._bar is None or stage != self._stage:
            self.close()
            self._bar = tqdm(total=steps, desc=str(stage), disable=None, leave=True)
            self._stage = stage
        if loss is not None:
            self._bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
        self._bar.update(step - self._bar.n)

    def leave_out(self, refusal: Refusal) -> None:
        """Write that a file cannot be used, below the bars."""
        self.close()
        print(left_out(*refusal), file=sys.stderr)

    def close(self) -> None:
        """End the current bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
