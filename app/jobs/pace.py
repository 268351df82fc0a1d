"""How long a training takes on this machine: what each kind of its work took there before, or where it was measured."""

import json
import logging
import time
from collections import defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path

from ltad.checkpoint.card import CheckpointCard
from ltad.data.sources import DEMO, JOINED
from ltad.files import write_text
from ltad.progress import Stage
from ltad.training.adaptation import steps_for, steps_to_do

logger = logging.getLogger(__name__)

START, END = Stage("start"), Stage("end")  # what is before the first stage that is told, and after the last
BETWEEN = Stage("between")  # what is before each stage that learns
COPIES, ENCODE, MEASURE, EVALUATE = Stage("copies"), Stage("encode"), Stage("measure"), Stage("evaluate")
MEASURED = {  # seconds of a photograph, a step or a class, on one thread of a busy machine; until this one has its own
    "start": 4.6,
    "encode": 0.05,
    "copies": 1.0,
    "between": 1.1,
    "name": 0.03,
    "generator": 0.16,
    "phase2": 0.33,
    "measure": 0.1,
    "evaluate": 6.0,
    "end": 3.0,
}

Work = dict[Stage, float]


def work_of(minutes: float, photographs: int, defective: int, parent: CheckpointCard) -> Work:
    """What a training has to do, in its order: photographs to encode, to copy and to measure with, steps, and classes.

    The other classes are measured where the parent learned the demo factory.
    """
    learning = bare_work(minutes)
    others = len(parent.class_names) if DEMO in parent.data.base.split(JOINED) else 0
    before, end = {START: learning.pop(START), ENCODE: photographs, COPIES: photographs}, learning.pop(END)
    return before | learning | {MEASURE: photographs + defective, EVALUATE: others, END: end}


def bare_work(minutes: float) -> Work:
    """What every training of so many minutes has to do, whatever it learns from."""
    return {START: 1.0, **learning_of(minutes), END: 1.0}


def learning_of(minutes: float) -> dict[Stage, int]:
    """The stages that learn, in their order, with their steps."""
    return steps_to_do(steps_for(minutes))


def remembered(path: Path) -> dict[str, float]:
    """Seconds that each kind of work takes: as this machine's last training told, or else as ``MEASURED``."""
    try:
        return MEASURED | (json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {})
    except (OSError, ValueError) as error:
        logger.warning("how long trainings take cannot be read: %s", error)
        return MEASURED


def remember(path: Path, seconds: dict[str, float]) -> None:
    """Keep what a training took."""
    write_text(path, json.dumps(remembered(path) | seconds))


class Pace:
    """How fast a training goes, and so how long it will still take.

    A kind of work that was seen takes as long as it took; one that was not, as long as usual, by as much more or less
    as what was seen did. work, usual: see ``work_of`` and ``remembered``. learning: the stages that learn, in whose
    steps what lies before them is not counted.
    """

    def __init__(self, work: Work, usual: Mapping[str, float], learning: Collection[Stage]) -> None:
        self._work, self._usual, self._learning = work, usual, learning
        self._at, self._step, self._steps = START, 0, 1
        self._spent: dict[str, float] = defaultdict(float)
        self._did: dict[str, float] = defaultdict(float)
        self._last = time.monotonic()

    def note(self, stage: Stage, step: int, steps: int) -> None:
        """A stage has done so many of its steps, not all of them in this process where it goes on with a training."""
        if stage not in self._work:  # its time is that of the next one
            return
        if self._at == START:
            self._book(START, 1.0)
        elif stage == self._at:
            self._book(stage, (step - self._step) / steps * self._work[stage])
        elif stage in self._learning:
            self._book(BETWEEN, 1.0)
        else:
            self._book(stage, step / steps * self._work[stage])
        self._at, self._step, self._steps = stage, step, steps

    def end(self) -> None:
        """The training is over."""
        self._book(END, 1.0)

    def left(self) -> float:
        """Seconds that are left; over 0 until the end."""
        predicted = sum(did * self._usual[kind] for kind, did in self._did.items())
        factor = sum(self._spent.values()) / predicted if predicted else 1.0
        taken = {kind: factor * seconds for kind, seconds in self._usual.items()} | self.seconds()
        order = [*self._work]
        later = order[order.index(self._at) + 1 :]
        left = {stage: self._work[stage] for stage in later} | {BETWEEN: sum(s in self._learning for s in later)}
        left[self._at] = (1 - self._step / self._steps) * self._work[self._at]
        return sum(amount * taken[stage.kind] for stage, amount in left.items())

    def seconds(self) -> dict[str, float]:
        """What each kind of work that was seen took."""
        return {kind: self._spent[kind] / did for kind, did in self._did.items() if did > 0}

    def _book(self, stage: Stage, amount: float) -> None:
        """The time since the last note went into so much of the work of a stage."""
        now = time.monotonic()
        self._spent[stage.kind] += now - self._last
        self._did[stage.kind] += max(0.0, amount)
        self._last = now
