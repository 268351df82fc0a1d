"""The real worker of a background job: the command that a person would type."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest
import torch
from safetensors.torch import load_file

from app.jobs.job import Job
from app.jobs.pace import MEASURED, remembered
from app.jobs.queue import Jobs
from app.tabs.batch.batch import Batch
from ltad.foundation import FoundationModel
from ltad.inspection.predictor import Predictor
from ltad.photos.pile import Photograph, Pile, Refusal
from tests.toys import over, ring_pile, rings, torn, wait

SHORT = 0.1  # minutes
NAME = "瓶底（棕色）"  # with brackets, and of a script that no folder's name has to hold


def kill(words: str) -> None:
    """Kill the process whose command line has these words."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode()
        except OSError:  # it has just ended
            continue
        if words in line:
            found.append(int(path.parent.name))
    (pid,) = found
    os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def finished(toy_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Jobs, Job]]:
    """A job that ran from its beginning to its end."""
    folder = tmp_path_factory.mktemp("finished")
    torn_ring, mask = torn(950)
    torn_ring.save(folder / "torn.png")
    mask.save(folder / "mask.png")
    good = ring_pile(folder / "good", 5)._replace(refused=(Refusal("bomb.zip", "It is too large."),))
    pictures = [Photograph("torn.png", folder / "torn.png", folder / "mask.png"), good.photographs[1]]
    jobs = Jobs(folder / "jobs")
    job = jobs.submit(good, toy_checkpoint, NAME, SHORT, "", Pile(tuple(pictures)))
    yield jobs, wait(jobs, job.id, over)
    jobs.close()


def test_a_job_leaves_a_checkpoint_and_says_what_it_changed(
    finished: tuple[Jobs, Job], foundation: FoundationModel
) -> None:
    jobs, done = finished
    assert done.state == "done" and done.step == done.steps and done.losses, done
    predictor = Predictor.from_checkpoint(done.output, foundation)
    assert predictor.predict(rings(90)).class_name == NAME
    batch = Batch([str(jobs.photographs(done.id)[0][0])], predictor.card)
    assert len(list(batch.run(predictor, NAME))) == 1 and f",{NAME}," in batch.csv(0.1)
    batch.close()
    assert len(done.map) == 16 and 0 < max(map(max, done.map)) and done.photograph == "0000-part_0.png"
    changes = jobs.changes(done.id)
    assert changes["class"] == NAME and len(changes["after"]["good"]) == 5
    assert len(changes["after"]["defective"]) == 2 and changes["after"]["pixel_auroc"] is not None
    assert [kind for _, kind in jobs.photographs(done.id)] == ["good"] * 5 + ["defective"] * 2
    with ZipFile(jobs.archive(done.id)) as archive:
        assert f"{done.name}/model.safetensors" in archive.namelist()
        assert f"| {NAME} | 5 | " in archive.read(f"{done.name}/README.md").decode()
        assert done.id not in archive.read(f"{done.name}/config.json").decode()
    assert jobs.changes_of(done.name) == changes and jobs.changes_of("toy") is None
    took = remembered(jobs.root.with_name(f"{jobs.root.name}.pace.json"))
    assert all(took[kind] != MEASURED[kind] for kind in ("start", "copies", "between", "phase2", "measure", "end"))
    card = jobs.card(done.name)
    assert card and card.class_names[-1] == NAME
    assert jobs.card("toy") is None and jobs.card(f"../{done.name}") is None and jobs.card("*" + done.name[1:]) is None
    assert done.report() == {
        "state": "done",
        "step": done.steps,
        "steps": done.steps,
        "eta_seconds": None,
        "loss": done.losses[-1][1],
        "message": "“bomb.zip” is left out: It is too large.",
        "checkpoint": Path(done.output).name,
    }


@pytest.mark.slow
def test_a_killed_worker_and_a_restarted_server_lose_nothing(
    finished: tuple[Jobs, Job], toy_checkpoint: Path, tmp_path: Path
) -> None:
    first = Jobs(tmp_path / "jobs")
    job = first.submit(ring_pile(tmp_path / "good", 5), toy_checkpoint, "rings", SHORT)
    running = wait(first, job.id, lambda job: job.step > job.steps / 3)
    assert running.steps > running.step and "/" in running.stage
    kill(f"--output {job.name} ")
    assert wait(first, job.id, over).state == "interrupted"
    first.resume(job.id)
    wait(first, job.id, lambda job: job.state == "running" and job.step > 0)
    first.close()  # the server goes down in the middle
    second = Jobs(tmp_path / "jobs")
    assert second.get(job.id).state == "interrupted"
    second.resume(job.id)
    done = wait(second, job.id, over)
    assert done.state == "done"
    mine, theirs = (load_file(Path(job.output) / "model.safetensors") for job in (done, finished[1]))
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
    second.close()
