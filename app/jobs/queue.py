"""Background adaptations that survive a closed tab and a restarted server; one runs at a time.

Whoever knows a job's id, which cannot be guessed, may look at it and change it.
"""

import logging
import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from app.jobs import worker
from app.jobs.folders import JobFolders, bytes_of, store
from app.jobs.job import DEFECTIVE, FEATURES, LIVE, PHOTOGRAPHS, START, Job
from app.jobs.pace import Pace, learning_of, remembered, work_of
from app.jobs.product import class_name_of, folder_of
from app.limits import (
    FREE_BYTES,
    KEPT_BYTES,
    KEPT_SECONDS,
    MAX_MINUTES,
    MAX_PHOTOGRAPHS,
    MAX_STORED,
    MAX_WAITING,
    SWEEP,
)
from app.space import storage
from ltad.checkpoint.card import CheckpointCard
from ltad.checkpoint.folder import read_card
from ltad.errors import JobError
from ltad.files import refuse_unwritable, write_text
from ltad.machine import cache_folder
from ltad.photos.pile import Pile
from ltad.training.adaptation import FEWEST
from ltad.words import left_out

logger = logging.getLogger(__name__)

Start = Callable[[Job, Path], worker.Process]

NOTHING = Pile()

PATIENCE = 5  # seconds, until a full disk is tried again


class Jobs(JobFolders):
    """All jobs below one folder, and the thread that runs them one after the other."""

    def __init__(self, root: Path, start: Start = worker.start) -> None:
        """Find what is there: what was waiting goes on waiting, what was running was interrupted.

        start: how a job's process is started. Raises filelock.Timeout where another server has the folder.
        """
        super().__init__(root)
        self._start = start
        self._paces = root.with_name(f"{root.name}.pace.json")
        root.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(root.with_name(f"{root.name}.lock"), timeout=0)
        self._lock.acquire()
        self._changed = threading.Condition()  # holds an RLock, so that a sweep may be within
        self._process: worker.Process | None = None
        self._closed = False
        root.mkdir(parents=True, exist_ok=True)
        self._queue = []
        for job in sorted(self.all(), key=lambda job: job.created):
            if job.state == "running":
                self.save(replace(job, state="interrupted", message="The server stopped while this was running."))
            if job.state == "queued":
                self._queue.append(job.id)
        self.sweep()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop the worker; a running job is interrupted."""
        with self._changed:
            self._closed = True
            if self._process:
                self._process.kill()
            self._changed.notify_all()
        self._thread.join()
        self._lock.release()

    @classmethod
    def of_this_server(cls) -> Self:
        """The jobs below the folder that LTAD_JOBS names, or in a Space's storage, or below the cache.

        A second server has its own. Raises WriteError where the folder can never be written.
        """
        lasting = storage()
        root = Path(os.environ.get("LTAD_JOBS") or (lasting / "ltad" if lasting else cache_folder()) / "jobs")
        refuse_unwritable(root, is_folder=True)
        number = 1
        while True:
            try:
                return cls(root / str(number))
            except Timeout:
                number += 1

    def submit(
        self,
        good: Pile,
        parent: Path,
        class_name: str,
        minutes: float,
        word: str = "",
        defective: Pile = NOTHING,
        features: Path | None = None,
    ) -> Job:
        """Take a job and give it; JobError where it cannot be taken.

        class_name: what the product is called, see ``class_name_of``.
        good: photographs to learn from, and what of them is left out. parent: the folder of the checkpoint to start
        from. word: from which the name starts. defective: only to measure with, each with its mask. features: the
        folder where those of the photographs are kept that were encoded already.
        """
        name = class_name_of(class_name)
        photographs, spoilt = good.photographs, defective.photographs
        if not 0 < minutes <= MAX_MINUTES:
            raise JobError(f"A training may take up to {MAX_MINUTES:.0f} minutes; {minutes:g} were asked for.")
        if len(photographs) < FEWEST:
            raise JobError(f"{len(photographs)} photographs are too few: give {FEWEST} good ones at least.")
        refuse_too_many(max(len(photographs), len(spoilt)))
        self.sweep()
        files = [file for each in (*photographs, *spoilt) for file in (each.path, each.mask) if file]
        size = sum(file.stat().st_size for file in files)
        if size > MAX_STORED:
            limit = f"{MAX_STORED // 10**6} MB can be taken at once"
            raise JobError(
                f"These photographs have {size / 1e6:.0f} MB; {limit}. Choose among them, or make them smaller."
            )
        if shutil.disk_usage(self.root).free < FREE_BYTES + size:
            raise JobError("The server's disk is nearly full. Try again later, or with fewer photographs.")
        card = read_card(parent)
        job = Job(
            id=secrets.token_urlsafe(16),
            checkpoint=parent.name,
            class_name=name,
            minutes=minutes,
            photographs=len(photographs),
            created=time.time(),
            steps=sum(learning_of(minutes).values()),
            work={str(s): amount for s, amount in work_of(minutes, len(photographs), len(spoilt), card).items()},
            left_out=[left_out(*refusal) for refusal in (*good.refused, *defective.refused)],
        )
        folder = self.folder(job.id)
        job = replace(job, output=str(folder / f"{folder_of(name)}-{secrets.token_hex(8)}"))
        with self._changed:
            self._refuse_in_a_full_queue()
            try:
                store(folder / PHOTOGRAPHS, photographs)
                store(folder / DEFECTIVE, spoilt)
                shutil.copytree(parent, folder / parent.name)  # may be another one, or gone, when its turn comes
                if features and features.is_dir():
                    shutil.copytree(features, folder / FEATURES)
                write_text(folder / START, word)
                self.save(job)
            except OSError as error:
                shutil.rmtree(folder, ignore_errors=True)
                reason = error.strerror or "the server's disk may be full"
                raise JobError(f"The photographs could not be stored: {reason}. Try again later.") from error
            self._queue.append(job.id)
            self._changed.notify_all()
        return job

    def seconds(self, minutes: float, photographs: int, defective: int, parent: CheckpointCard) -> float:
        """How long a training would take on this machine, all of it, once its turn has come."""
        work = work_of(minutes, photographs, defective, parent)
        return Pace(work, remembered(self._paces), learning_of(minutes)).left()

    def place(self, job_id: str) -> int:
        """How many jobs are before a queued one; 0 where it is the next, or not queued."""
        with self._changed:
            before = self._queue.index(job_id) if job_id in self._queue else 0
            return before + (self._process is not None and job_id in self._queue)

    def cancel(self, job_id: str) -> Job:
        """Stop a job that waits or runs, at once; one that is over stays as it is."""
        with self._changed:
            job = self.get(job_id)
            if job.state not in LIVE:
                return job
            if job_id in self._queue:
                self._queue.remove(job_id)
            job = replace(job, state="cancelled", eta_seconds=None, finished=time.time(), message="")
            self.save(job)
            if self._process and self._running == job_id:
                self._process.kill()
            return job

    def resume(self, job_id: str) -> Job:
        """Let an interrupted, failed or cancelled job go on where it stopped."""
        with self._changed:
            job = self.get(job_id)
            if job.state in (*LIVE, "done"):
                return job
            self._refuse_in_a_full_queue()
            job = replace(job, state="queued", message="", finished=None)
            self.save(job)
            self._queue.append(job_id)
            self._changed.notify_all()
            return job

    def sweep(self) -> None:
        """Remove jobs that are over and old, then the oldest ones until all fit; folders without a state, too."""
        with self._changed:
            jobs = sorted(self.all(), key=lambda job: job.created)
            known = {job.id for job in jobs}
            for folder in self.root.iterdir():
                if folder.name not in known:
                    shutil.rmtree(folder, ignore_errors=True)
            over = [job for job in jobs if job.state not in LIVE]
            sizes = {job.id: bytes_of(self.folder(job.id)) for job in over}
            for job in over:
                if time.time() - job.created > KEPT_SECONDS or sum(sizes.values()) > KEPT_BYTES:
                    shutil.rmtree(self.folder(job.id), ignore_errors=True)
                    del sizes[job.id]

    def _refuse_in_a_full_queue(self) -> None:
        if len(self._queue) >= MAX_WAITING:
            raise JobError(f"{MAX_WAITING} trainings are waiting already. Try again when one of them is done.")

    def _work(self) -> None:
        while job_id := self._next():
            try:
                job = self._run(job_id)
            except JobError as error:
                logger.warning("a training was taken away: %s", error)
                continue
            except Exception as error:
                logger.exception("a training could not be run")
                reason = getattr(error, "strerror", None) or "Something unexpected went wrong"
                job = replace(self.get(job_id), state="failed", message=f"{reason}.", eta_seconds=None)
            self._end(job)

    def _next(self) -> str | None:
        """Wait for the job whose turn it is; None when the server stops."""
        with self._changed:
            while not self._changed.wait_for(lambda: self._queue or self._closed, SWEEP):
                self.sweep()
            if self._closed:
                return None
            self._running = self._queue.pop(0)
            return self._running

    def _run(self, job_id: str) -> Job:
        """Run a job, and give it as it ended."""
        with self._changed:
            job = self.get(job_id)
            if job.state != "queued":  # cancelled since its turn came
                return job
            job = replace(job, state="running", stage="", message="")
            self._tell(job)
            self._process = self._start(job, self.folder(job_id))
        return worker.follow(job, self.folder(job_id), self._process, self._paces, self._tell)

    def _end(self, job: Job) -> None:
        """Write how a job ended; a full disk is waited for, since no other job could run on it either."""
        with self._changed:
            if self._process:
                self._process.kill()  # if it could not be followed to its end
            self._process = None
            while not self._tell(job) and not self._closed:
                self._changed.wait(PATIENCE)

    def _tell(self, job: Job) -> bool:
        """Write a live job's news, unless it was cancelled or swept in the meantime; False where the disk refuses."""
        with self._changed:
            try:
                if self.folder(job.id).is_dir() and self.get(job.id).state in LIVE:
                    self.save(job)
            except OSError as error:
                logger.warning("the state of a training could not be written: %s", error)
                return False
            return True


def refuse_too_many(photographs: int) -> None:
    """Raise JobError for more photographs than one job may have."""
    if photographs > MAX_PHOTOGRAPHS:
        limit = f"{MAX_PHOTOGRAPHS} can be taken at once"
        raise JobError(f"These are {photographs} photographs; {limit}. Choose among them.")
