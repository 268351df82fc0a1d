"""Background jobs, with the worker process that a person's command would be."""

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from test_adaptation import rings

from app import jobs as module
from app.job import LIVE, Job
from app.jobs import Jobs
from ltad.errors import JobError
from ltad.foundation import FoundationModel
from ltad.predictor import Predictor

SHORT = 0.1  # minutes
WAIT = 150.0  # seconds


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("photographs")
    for i in range(5):
        rings(i).save(folder / f"{i}.png")
    return [(f"part {i}.png", folder / f"{i}.png") for i in range(5)]


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    jobs = Jobs(tmp_path / "jobs")
    yield jobs
    jobs.close()


def wait(jobs: Jobs, job_id: str, holds: Callable[[Job], bool]) -> Job:
    deadline = time.monotonic() + WAIT
    while not holds(job := jobs.get(job_id)):
        assert time.monotonic() < deadline, job
        time.sleep(0.05)
    return job


def over(job: Job) -> bool:
    return job.state not in LIVE


def trains(job: Job) -> bool:
    return job.state == "running" and job.step > 0


@pytest.fixture(scope="module")
def finished(
    photographs: list[tuple[str, Path]], toy_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Jobs, Job]]:
    """A job that ran from its beginning to its end."""
    folder = tmp_path_factory.mktemp("finished")
    Image.fromarray(np.eye(96, 128, dtype=np.uint8)).save(mask := folder / "mask.png")
    (folder / "burnt.png").write_bytes(b"nothing")
    pictures = [path for _, path in photographs]
    defective = [("torn_mask.png", mask), ("torn.png", pictures[0]), ("other_mask.png", pictures[1])]
    defective.append(("burnt.png", folder / "burnt.png"))
    jobs = Jobs(folder / "jobs")
    job = jobs.submit(photographs, toy_checkpoint, "ring s", SHORT, "", defective, [("bomb.zip", "It is too large.")])
    yield jobs, wait(jobs, job.id, over)
    jobs.close()


def test_a_job_leaves_a_checkpoint_and_says_what_it_changed(
    finished: tuple[Jobs, Job], foundation: FoundationModel
) -> None:
    jobs, done = finished
    assert done.state == "done" and done.step == done.steps and done.losses, done
    predictor = Predictor.from_checkpoint(done.output, foundation)
    assert predictor.predict(rings(90)).class_name == "ring_s"
    assert len(done.map) == 16 and 0 < max(map(max, done.map)) and done.photograph == "0000-part_0.png"
    changes = jobs.changes(done.id)
    assert changes["class"] == "ring_s" and len(changes["after"]["good"]) == 5
    assert len(changes["after"]["defective"]) == 2 and changes["after"]["pixel_auroc"] is not None
    assert [kind for _, kind in jobs.photographs(done.id)] == ["good"] * 5 + ["defective"] * 3
    with ZipFile(jobs.archive(done.id)) as archive:
        assert f"{done.name}/model.safetensors" in archive.namelist()
        assert done.id not in archive.read(f"{done.name}/config.json").decode()
    card = jobs.card(done.name)
    assert card and card.class_names[-1] == "ring_s"
    assert jobs.card("toy") is None and jobs.card(f"../{done.name}") is None and jobs.card("*" + done.name[1:]) is None
    reason = done.left_out[-1].partition(": ")[2]
    assert "not an image" in reason and "burnt" not in reason
    assert done.report() == {
        "state": "done",
        "step": done.steps,
        "steps": done.steps,
        "eta_seconds": None,
        "loss": done.losses[-1][1],
        "message": "“bomb.zip” is left out: It is too large. “burnt.png” is left out: " + reason,
        "checkpoint": Path(done.output).name,
    }


def test_a_killed_worker_and_a_restarted_server_lose_nothing(
    finished: tuple[Jobs, Job], photographs: list[tuple[str, Path]], toy_checkpoint: Path, tmp_path: Path
) -> None:
    first = Jobs(tmp_path / "jobs")
    job = first.submit(photographs, toy_checkpoint, "rings", SHORT)
    running = wait(first, job.id, lambda job: job.step > job.steps / 3)
    assert running.steps > running.step and "/" in running.stage
    assert first._process
    os.kill(first._process.pid, signal.SIGKILL)
    assert wait(first, job.id, over).state == "interrupted"
    first.resume(job.id)
    wait(first, job.id, trains)
    first.close()  # the server goes down in the middle
    second = Jobs(tmp_path / "jobs")
    assert second.get(job.id).state == "interrupted"
    second.resume(job.id)
    done = wait(second, job.id, over)
    assert done.state == "done"
    mine, theirs = (load_file(Path(job.output) / "model.safetensors") for job in (done, finished[1]))
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
    second.close()


@pytest.mark.parametrize("moment", ["first step", "last step"])
def test_cancelling_a_waiting_and_a_running_job(
    jobs: Jobs, photographs: list[tuple[str, Path]], toy_checkpoint: Path, moment: str
) -> None:
    running = jobs.submit(photographs, toy_checkpoint, "a", SHORT)
    waiting = jobs.submit(photographs, toy_checkpoint, "b", SHORT)
    wait(jobs, running.id, lambda job: job.state == "running")
    assert jobs.place(waiting.id) == 1
    assert jobs.cancel(waiting.id).state == "cancelled"
    wait(jobs, running.id, trains if moment == "first step" else lambda job: job.step == job.steps)
    started = time.monotonic()
    jobs.cancel(running.id)
    while jobs._process:
        assert time.monotonic() - started < 5
        time.sleep(0.02)
    assert jobs.cancel(running.id).state == jobs.get(running.id).state == "cancelled"
    assert jobs.card(running.name) is None


def test_two_servers_keep_their_jobs_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTAD_JOBS", str(tmp_path / "all"))
    first = Jobs.of_this_server()
    second = Jobs.of_this_server()
    assert first.root != second.root
    first.close()
    again = Jobs.of_this_server()
    assert again.root == first.root
    for jobs in (second, again):
        jobs.close()


def test_a_job_that_cannot_succeed_says_why(
    jobs: Jobs, photographs: list[tuple[str, Path]], toy_checkpoint: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.png").write_bytes(b"nothing")
    job = jobs.submit([*photographs[:3], ("broken.png", tmp_path / "broken.png")], toy_checkpoint, "few", SHORT)
    failed = wait(jobs, job.id, over)
    assert failed.state == "failed" and failed.message.startswith("3 images are too few")
    assert "“broken.png” is left out" in failed.said


def test_what_cannot_be_taken_is_refused_in_a_sentence(
    jobs: Jobs, photographs: list[tuple[str, Path]], toy_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("", "../evil", "x" * 41, "a\nb"):
        with pytest.raises(JobError, match="needs a name"):
            jobs.submit(photographs, toy_checkpoint, name, SHORT)
    with pytest.raises(JobError, match="up to 15 minutes"):
        jobs.submit(photographs, toy_checkpoint, "a", 100)
    with pytest.raises(JobError, match="3 photographs are too few"):
        jobs.submit(photographs[:3], toy_checkpoint, "a", SHORT)
    with pytest.raises(JobError, match="201 photographs"):
        jobs.submit(photographs[:1] * 201, toy_checkpoint, "a", SHORT)
    monkeypatch.setattr(module, "MAX_STORED", 1000)
    with pytest.raises(JobError, match="0 MB can be taken at once"):
        jobs.submit(photographs, toy_checkpoint, "a", SHORT)
    monkeypatch.setattr(module, "MAX_STORED", 10**8)
    monkeypatch.setattr(module, "MAX_WAITING", 0)
    with pytest.raises(JobError, match="waiting already"):
        jobs.submit(photographs, toy_checkpoint, "a", SHORT)
    monkeypatch.setattr(module, "MAX_WAITING", 8)
    monkeypatch.setattr(module, "FREE_BYTES", shutil.disk_usage(jobs.root).total)
    with pytest.raises(JobError, match="disk is nearly full"):
        jobs.submit(photographs, toy_checkpoint, "a", SHORT)
    assert list(jobs.root.iterdir()) == []


def test_a_disk_that_fills_up_leaves_no_half_job(
    jobs: Jobs, photographs: list[tuple[str, Path]], toy_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.shutil, "copyfile", full)
    with pytest.raises(JobError, match="No space left"):
        jobs.submit(photographs, toy_checkpoint, "a", SHORT)
    assert list(jobs.root.iterdir()) == []


def test_a_disk_that_is_full_for_a_while_holds_the_queue_up_and_no_longer(
    jobs: Jobs,
    photographs: list[tuple[str, Path]],
    toy_checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write, refused = module.write_text, []

    def full(path: Path, text: str) -> None:
        refused.append(path)
        raise OSError(28, "No space left on device")

    (tmp_path / "broken.png").write_bytes(b"nothing")
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    first, second = (
        jobs.submit([("broken.png", tmp_path / "broken.png")] * 4, toy_checkpoint, name, SHORT) for name in "ab"
    )
    wait(jobs, first.id, lambda job: job.state == "running")
    monkeypatch.setattr(module, "write_text", full)
    deadline = time.monotonic() + WAIT
    while len(refused) < 3:  # how the first one ended
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (jobs.get(first.id).state, jobs.get(second.id).state) == ("running", "queued")
    monkeypatch.setattr(module, "write_text", write)
    assert [wait(jobs, job.id, over).state for job in (first, second)] == ["failed", "failed"]


def test_ids_cannot_be_paths_and_unknown_ones_get_a_sentence(jobs: Jobs) -> None:
    for wrong in ("", "../../etc", "a" * 21, "a/b" * 8):
        with pytest.raises(JobError, match="no training's id"):
            jobs.get(wrong)
    with pytest.raises(JobError, match="is not there"):
        jobs.get("a" * 22)


def test_old_jobs_are_swept_by_age_and_by_size(
    jobs: Jobs, photographs: list[tuple[str, Path]], toy_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = []
    for _ in range(3):
        job = jobs.submit(photographs[:4], toy_checkpoint, "a", SHORT)
        jobs.cancel(job.id)
        ids.append(job.id)
    (jobs.root / "left over").mkdir()
    jobs.sweep()
    assert {folder.name for folder in jobs.root.iterdir()} == set(ids)
    monkeypatch.setattr(module, "KEPT_BYTES", 2 * module._size(jobs.folder(ids[2])) + 200)
    jobs.sweep()
    assert {folder.name for folder in jobs.root.iterdir()} == set(ids[1:])
    monkeypatch.setattr(module, "KEPT_SECONDS", 0)
    jobs.sweep()
    assert list(jobs.root.iterdir()) == []
