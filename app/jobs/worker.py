"""The process of a job: the very command that a person would type, less urgent than the page and with fewer threads."""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from app.jobs.job import CHANGES, DEFECTIVE, FEATURES, PHOTOGRAPHS, START, Clock, Job
from app.jobs.pace import Pace, learning_of, remember, remembered
from app.limits import GRACE, OVERTIME
from ltad.commands.progress import Step, read
from ltad.machine import threads

NICENESS = 10
ROOT = Path(__file__).parents[2]

Process = subprocess.Popen[str]


def command(job: Job, folder: Path) -> list[str]:
    """What the process runs; all paths are relative, as the command stands in the card that it writes."""
    words = [sys.executable, "-m", "ltad", "adapt", "--json", "--resume", "--checked", "--minutes", str(job.minutes)]
    words += ["--images", PHOTOGRAPHS, "--checkpoint", job.checkpoint, f"--class-name={job.class_name}"]
    words += ["--output", job.name, "--report", CHANGES, "--features", FEATURES]
    if (folder / DEFECTIVE).is_dir():
        words += ["--defective", DEFECTIVE]
    if word := (folder / START).read_text(encoding="utf-8"):
        words += [f"--start={word}"]
    return words


def start(job: Job, folder: Path) -> Process:
    """Start the process of a job in its folder."""
    environment = os.environ | {"OMP_NUM_THREADS": str(max(1, threads() // 2)), "PYTHONPATH": str(ROOT)}
    environment |= {"PYTHONUTF8": "1"}  # what it says is read as UTF-8, whatever the server's own words are in
    process = subprocess.Popen(
        command(job, folder),
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        creationflags=getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0),  # on Windows
    )
    if hasattr(os, "setpriority"):  # elsewhere
        os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
    return process


def follow(job: Job, folder: Path, process: Process, paces: Path, tell: Callable[[Job], object]) -> Job:
    """Take down what the process says, tell it now and then, and give the job as it ended.

    paces: the file in which this machine remembers what trainings take.
    """
    learning = learning_of(job.minutes)
    pace = Pace(job.planned, remembered(paces), learning)
    clock, said = Clock(learning, pace), ""
    tell(job := replace(job, eta_seconds=pace.left()))
    limit = OVERTIME * 60 * job.minutes + GRACE
    alarm = threading.Timer(limit, process.kill)
    alarm.start()
    with process:
        for text in process.stderr or ():
            line = read(text)
            if line is None:
                said = text.strip() or said
                continue
            job = clock.note(job, line)
            if isinstance(line, Step) and clock.is_news():
                tell(job)
    overtime = not alarm.is_alive()
    alarm.cancel()
    job = replace(job, eta_seconds=None, finished=time.time())
    if process.returncode == 0:
        shutil.make_archive(job.output, "zip", folder, job.name)
        shutil.rmtree(folder / FEATURES, ignore_errors=True)
        pace.end()
        remember(paces, pace.seconds())
        return replace(job, state="done", step=job.steps, stage="")
    if overtime:
        return replace(job, state="failed", message=f"It took more than {limit / 60:.0f} minutes.")
    if process.returncode < 0 or not said:  # on Windows a process that is killed ends as one that failed
        message = "The training was stopped from outside; it can go on where it was."
        return replace(job, state="interrupted", message=message)
    return replace(job, state="failed", message=said.removeprefix("ltad adapt: "))
