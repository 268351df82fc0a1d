"""Progress as a person sees it, bars or a log, and as a program reads it: JSON lines, written and read here."""

import argparse
import json
import sys
import threading
import time
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

MINUTE = 60.0  # seconds


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


class Log:
    """Progress in a file or a container's log: a line on stderr at every stage, and one a minute as long as it lasts.

    command: which it is of.
    """

    def __init__(self, command: str) -> None:
        self._command = command
        self._at: Step | None = None
        self._began = (0.0, 0)  # when the stage was first told, and at which step
        self._changing = threading.Lock()
        self._closed = threading.Event()
        threading.Thread(target=self._every_minute, daemon=True, name="progress").start()

    def __call__(self, stage: Stage, step: int, steps: int, loss: float | None = None) -> None:
        """Note where the stage is, and write it where it is a new one."""
        with self._changing:
            is_new = self._at is None or self._at.stage != stage
            self._at = Step(stage, step, steps, loss)
            if is_new:
                self._began = (time.monotonic(), step)
                self._say(self._at)

    def leave_out(self, refusal: Refusal) -> None:
        """Write that a photograph cannot be used."""
        print(left_out(*refusal), file=sys.stderr, flush=True)

    def close(self) -> None:
        """Write no more."""
        self._closed.set()

    def _every_minute(self) -> None:
        while not self._closed.wait(MINUTE):
            with self._changing:
                if self._at:
                    self._say(self._at)

    def _say(self, at: Step) -> None:
        loss = "" if at.loss is None else f", loss {at.loss:.3f}"
        print(
            f"ltad {self._command}: {at.stage}, step {at.step} of {at.steps}{loss}{self._left(at)}",
            file=sys.stderr,
            flush=True,
        )

    def _left(self, at: Step) -> str:
        """How long the stage will still take, once some of its steps have been seen."""
        start, first = self._began
        if not first < at.step < at.steps:
            return ""
        seconds = (time.monotonic() - start) / (at.step - first) * (at.steps - at.step)
        return f", {seconds:.0f} s left" if seconds < MINUTE else f", {seconds / MINUTE:.0f} min left"


def told(options: argparse.Namespace) -> Lines | Bars | Log:
    """Whoever waits for a command: a program, a person at a terminal, or one who reads a log later."""
    if options.json:
        return Lines()
    return Bars() if sys.stderr.isatty() else Log(options.command)
