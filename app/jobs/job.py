"""One background adaptation: what is known of it, and what lies in its folder."""

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Self

from app.jobs.pace import Pace, Work, bare_work
from ltad.commands.progress import Line, Look, Step
from ltad.photos.pile import Refusal
from ltad.progress import Stage
from ltad.words import left_out

State = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
LIVE: tuple[State, ...] = ("queued", "running")
PHOTOGRAPHS, DEFECTIVE, FEATURES = "photographs", "defective", "features"  # folders in a job's folder
CHANGES, START = "changes.json", "start.txt"
LOSSES = 200  # points of the curve


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is known of a job.

    checkpoint: the parent's name, under which it is in the job's folder. step and steps: of all optimisations together.
    work: of every stage how much there is to do, see ``work_of``; empty in jobs of earlier versions.
    stage: the one that it is in, and how far, as "fold1-phase2 30/75". losses: (step, loss) of the curve. map: how far
    off the model's reconstruction of ``photograph`` is at the moment, rows of a grid; map_top: the highest value of the
    first such map. left_out: a sentence for each photograph that cannot be used.
    """

    id: str
    checkpoint: str
    class_name: str
    minutes: float
    photographs: int
    created: float
    state: State = "queued"
    stage: str = ""
    step: int = 0
    steps: int = 0
    work: dict[str, float] = field(default_factory=dict)
    eta_seconds: float | None = None
    losses: list[tuple[int, float]] = field(default_factory=list)
    photograph: str = ""
    map: list[list[float]] = field(default_factory=list)
    map_top: float = 0.0
    message: str = ""
    left_out: list[str] = field(default_factory=list)
    output: str = ""
    finished: float | None = None

    def report(self) -> dict[str, object]:
        """The job as the web interface gives it."""
        return {
            "state": self.state,
            "step": self.step,
            "steps": self.steps,
            "eta_seconds": self.eta_seconds,
            "loss": self.losses[-1][1] if self.losses else None,
            "message": self.said,
            "checkpoint": self.name if self.state == "done" else None,
        }

    @property
    def said(self) -> str:
        """Everything that is to be said of it, in sentences."""
        return " ".join([self.message, *self.left_out]).strip()

    @property
    def name(self) -> str:
        """The name of the checkpoint that comes out: hard to guess, too, but it says nothing of the id."""
        return Path(self.output).name

    @property
    def doing(self) -> tuple[Stage, str]:
        """The stage that it is in, and how many of its steps are done, as "30/75"."""
        stage, _, count = self.stage.rpartition(" ")
        return Stage.named(stage), count

    @property
    def planned(self) -> Work:
        """How much there is to do of every stage."""
        return {Stage.named(stage): amount for stage, amount in self.work.items()} or bare_work(self.minutes)

    def without(self, refusal: Refusal) -> Self:
        """The job with a photograph left out; it may be said again after a resume."""
        sentence = left_out(*refusal)
        return self if sentence in self.left_out else replace(self, left_out=[*self.left_out, sentence])


class Clock:
    """Turns what a worker tells into steps done, a curve, and the time that is left.

    stages: the optimisations in their order, with their steps. pace: of all stages, those that learn nothing, too.
    """

    def __init__(self, stages: dict[Stage, int], pace: Pace) -> None:
        self.pace = pace
        self._stages = stages
        self._told = 0.0

    def note(self, job: Job, line: Line) -> Job:
        """The job with a worker's line taken into account."""
        if isinstance(line, Refusal):
            return job.without(line)
        if isinstance(line, Look):
            top = job.map_top or max(map(max, line.map))
            return replace(job, photograph=line.photograph, map=line.map, map_top=top)
        return self._on(job, line)

    def _on(self, job: Job, line: Step) -> Job:
        stage, step, steps, loss = line
        self.pace.note(stage, step, steps)
        job = replace(job, stage=f"{stage} {step}/{steps}", eta_seconds=self.pace.left())
        if stage not in self._stages or loss is None:
            return job
        order = list(self._stages)
        done = sum(self._stages[before] for before in order[: order.index(stage)]) + step
        losses = [*job.losses, (done, round(loss, 5))] if not job.losses or done > job.losses[-1][0] else job.losses
        if len(losses) > LOSSES:
            losses = losses[::2]
        return replace(job, step=done, losses=losses)

    def is_news(self) -> bool:
        """Whether it is time to write again: some times a second are enough."""
        now = time.monotonic()
        if now - self._told < 0.3:
            return False
        self._told = now
        return True
