"""A job on disk: its photographs, a state file that is always whole, and the checkpoint that comes out."""

import json
import logging
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path, PurePath
from typing import Any

from app.jobs.job import CHANGES, DEFECTIVE, PHOTOGRAPHS, Job
from ltad.checkpoint.card import CONFIG, CheckpointCard
from ltad.checkpoint.folder import read_card
from ltad.errors import JobError
from ltad.files import write_text
from ltad.photos.gather import gather
from ltad.photos.masks import MASK
from ltad.photos.pile import Photograph

logger = logging.getLogger(__name__)

KINDS = {PHOTOGRAPHS: "good", DEFECTIVE: "defective"}  # as a person is told
NAME_LENGTH = 60  # characters that are kept of a photograph's


class JobFolders:
    """The folders of all jobs, below one."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, job_id: str) -> Path:
        """Where a job is kept; JobError for what can be no id."""
        if not re.fullmatch(r"[A-Za-z0-9_-]{22}", job_id):
            raise JobError("This is no training's id.")
        return self.root / job_id

    def get(self, job_id: str) -> Job:
        """A job by its id; JobError where there is none."""
        path = self.folder(job_id) / "job.json"
        if not path.is_file():
            raise JobError("This training is not there: it was swept, or never was. Start a new one.")
        values = json.loads(path.read_text(encoding="utf-8"))
        return Job(**values | {"losses": [tuple(point) for point in values["losses"]]})

    def all(self) -> Iterator[Job]:
        """Every job; what is none is logged and passed over."""
        for path in self.root.glob("*/job.json"):
            try:
                yield self.get(path.parent.name)
            except (JobError, ValueError, TypeError) as error:
                logger.warning("%s is no job: %s", path.parent, error)

    def save(self, job: Job) -> None:
        """Write a job's state, whole or not at all."""
        write_text(self.folder(job.id) / "job.json", json.dumps(asdict(job)))

    def changes(self, job_id: str) -> dict[str, Any]:
        """What a finished job changed, as ``before_and_after`` gives it."""
        return json.loads((self.folder(job_id) / CHANGES).read_text(encoding="utf-8"))

    def archive(self, job_id: str) -> Path:
        """The ZIP of a finished job's checkpoint."""
        return Path(f"{self.get(job_id).output}.zip")

    def photographs(self, job_id: str) -> list[tuple[Path, str]]:
        """The photographs of a job, those that it learned from first, each with what it is; without masks."""
        folders = [(self.folder(job_id) / kind, kind) for kind in (PHOTOGRAPHS, DEFECTIVE)]
        return [
            (photograph.path, KINDS[kind])
            for folder, kind in folders
            if folder.is_dir()
            for photograph in gather([folder], folder).with_masks().photographs
        ]

    def card(self, checkpoint: str) -> CheckpointCard | None:
        """The card of a finished job's checkpoint by its name; None where it is none of these."""
        job = self._job_of(checkpoint)
        return read_card(self.folder(job.id) / checkpoint) if job else None

    def changes_of(self, checkpoint: str) -> dict[str, Any] | None:
        """What the job of a checkpoint changed; None where it is none of these."""
        job = self._job_of(checkpoint)
        return self.changes(job.id) if job else None

    def _job_of(self, checkpoint: str) -> Job | None:
        """The finished job that a checkpoint came out of."""
        if re.fullmatch(r"[\w.-]+-[0-9a-f]{16}", checkpoint):
            for path in self.root.glob(f"*/{checkpoint}/{CONFIG}"):
                job = self.get(path.parent.parent.name)
                if job.state == "done" and job.name == checkpoint:
                    return job
        return None


def store(folder: Path, photographs: Sequence[Photograph]) -> None:
    """Copy photographs into a folder, under a number and what is harmless of their names, masks beside their own."""
    for number, photograph in enumerate(photographs):
        folder.mkdir(parents=True, exist_ok=True)
        harmless = re.sub(r"[^\w.-]+", "_", PurePath(photograph.name).stem.removesuffix(MASK))[:NAME_LENGTH]
        for file, mark in ((photograph.path, ""), (photograph.mask, MASK)):
            if file:
                shutil.copyfile(file, folder / f"{number:04}-{harmless}{mark}{file.suffix.lower()}")


def bytes_of(folder: Path) -> int:
    """The size of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
