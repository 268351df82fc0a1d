"""One background adaptation: what is known of it, and the process that does it.

The process runs the very command that a person would type, with fewer threads and less priority than the page.
"""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from ltad.adaptation import steps_for, steps_to_do
from ltad.before_after import DEFECTIVE

State = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
LIVE: tuple[State, ...] = ("queued", "running")
PHOTOGRAPHS, CHANGES, START = "photographs", "changes.json", "start.txt"  # in a job's folder
OVERTIME = 5.0  # times the minutes asked for, after which a job is stopped
GRACE = 600.0  # seconds beyond that, for reading, encoding and measuring
LOSSES = 200  # points of the curve
NICENESS = 10
ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is known of a job.

    checkpoint: the parent's name, under which it is in the job's folder. step and steps: of all optimisations together.
    losses: (step, loss) of the curve. map: how far off the model's reconstruction of ``photograph`` is at the moment,
    rows of a grid; map_top: the highest value of the first such map. left_out: a sentence for each photograph that
    cannot be used.
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


def left_out(name: str, reason: str) -> str:
    """Say that a photograph cannot be used."""
    return f"“{name}” is left out: {reason}"


Process = subprocess.Popen[str]


def start(job: Job, folder: Path) -> Process:
    """Start the process of a job in its folder; all paths are relative, as the command stands in the card it writes."""
    command = [sys.executable, "-m", "ltad", "adapt", "--json", "--resume", "--minutes", str(job.minutes)]
    command += ["--images", PHOTOGRAPHS, "--checkpoint", job.checkpoint, "--class-name", job.class_name]
    command += ["--output", job.name, "--report", CHANGES]
    if (folder / DEFECTIVE).is_dir():
        command += ["--defective", DEFECTIVE]
    if word := (folder / START).read_text(encoding="utf-8"):
        command += ["--start", word]
    threads = str(max(1, (os.cpu_count() or 2) // 2))
    environment = os.environ | {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    if hasattr(os, "setpriority"):  # not on Windows
        os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
    return process


def follow(job: Job, folder: Path, process: Process, tell: Callable[[Job], None]) -> Job:
    """Take down what the process says, tell it now and then, and give the job as it ended."""
    clock, said = _Clock(steps_to_do(steps_for(job.minutes))), ""
    limit = OVERTIME * 60 * job.minutes + GRACE
    alarm = threading.Timer(limit, process.kill)
    alarm.start()
    with process:
        for line in process.stderr or ():
            if line.startswith('{"photograph"'):
                told = json.loads(line)
                top = job.map_top or max(map(max, told["map"]))
                job = replace(job, photograph=told["photograph"], map=told["map"], map_top=top)
            elif line.startswith('{"stage"'):
                told = json.loads(line)
                job = clock.note(job, told["stage"], told["step"], told["steps"], told["loss"])
                if clock.is_news():
                    tell(job)
            elif line.startswith('{"left_out"'):
                told = json.loads(line)
                sentence = left_out(told["left_out"].partition("-")[2], told["reason"])
                if sentence not in job.left_out:  # it may be said again after a resume
                    job = replace(job, left_out=[*job.left_out, sentence])
            else:
                said = line.strip() or said
    overtime = not alarm.is_alive()
    alarm.cancel()
    job = replace(job, eta_seconds=None, finished=time.time())
    if process.returncode == 0:
        shutil.make_archive(job.output, "zip", folder, job.name)
        return replace(job, state="done", step=job.steps, stage="")
    if overtime:
        return replace(job, state="failed", message=f"It took more than {limit / 60:.0f} minutes.")
    if process.returncode < 0:
        message = "The training was stopped from outside; it can go on where it was."
        return replace(job, state="interrupted", message=message)
    return replace(job, state="failed", message=said.removeprefix("ltad adapt: ") or "It ended without a word.")


class _Clock:
    """Turns what a worker tells into steps done, a curve, and the time that is left."""

    def __init__(self, stages: dict[str, int]) -> None:
        self._stages = stages
        self._seconds: dict[str, float] = {}  # a step of each kind takes
        self._last: tuple[str, int, float] | None = None
        self._told = 0.0

    def note(self, job: Job, stage: str, step: int, steps: int, loss: float | None) -> Job:
        """The job with a worker's line taken into account."""
        if stage not in self._stages or loss is None:
            return replace(job, stage=f"{stage} {step}/{steps}")
        now, kind = time.monotonic(), stage.split("-")[-1]
        if self._last and self._last[0] == stage and step > self._last[1]:
            took = (now - self._last[2]) / (step - self._last[1])
            self._seconds[kind] = 0.8 * self._seconds.get(kind, took) + 0.2 * took
        self._last = (stage, step, now)
        names = list(self._stages)
        at = names.index(stage)
        done = sum(self._stages[name] for name in names[:at]) + step
        left = {name: self._stages[name] - (step if name == stage else 0) for name in names[at:]}
        usual = sum(self._seconds.values()) / len(self._seconds) if self._seconds else None
        eta = (
            None
            if usual is None
            else sum(count * self._seconds.get(name.split("-")[-1], usual) for name, count in left.items())
        )
        losses = [*job.losses, (done, round(loss, 5))] if not job.losses or done > job.losses[-1][0] else job.losses
        if len(losses) > LOSSES:
            losses = losses[::2]
        return replace(job, stage=f"{stage} {step}/{steps}", step=done, eta_seconds=eta, losses=losses)

    def is_news(self) -> bool:
        """Whether it is time to write again: some times a second are enough."""
        now = time.monotonic()
        if now - self._told < 0.3:
            return False
        self._told = now
        return True
