"""What is known of a job: steps done over all stages, the time that is left, the curve, and what is left out."""

import json
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from app.jobs.job import LOSSES, Clock, Job
from app.jobs.pace import END, EVALUATE, MEASURED, START, Pace, remember, remembered, work_of
from app.jobs.queue import Jobs
from ltad.commands.progress import Look, Step
from ltad.inspection.predictor import Predictor
from ltad.photos.pile import Refusal
from ltad.progress import Stage
from tests.toys import acting, over, ring_pile, wait

NAME, PHASE2 = Stage("name", 1), Stage("phase2", 1)
STAGES = {NAME: 10, PHASE2: 20, Stage("name"): 30}
WORK = {START: 1.0, **STAGES, EVALUATE: 4.0, END: 1.0}
USUAL = {"start": 2.0, "between": 0.0, "name": 1.0, "phase2": 1.0, "evaluate": 10.0, "end": 5.0}


def clock_of(stages: dict[Stage, int] = STAGES) -> Clock:
    return Clock(stages, Pace(WORK, USUAL, stages))


@pytest.fixture
def job() -> Job:
    return Job(id="a" * 22, checkpoint="toy", class_name="rings", minutes=1, photographs=5, created=0.0, steps=60)


class Now:
    """A clock on the wall that goes on when it is told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Now:
    now = Now()
    for module in ("job", "pace"):
        monkeypatch.setattr(f"app.jobs.{module}.time", SimpleNamespace(monotonic=now.monotonic))
    return now


def test_steps_are_counted_over_all_stages(job: Job) -> None:
    clock = clock_of()
    for stage, step, done in ((NAME, 1, 1), (NAME, 10, 10), (PHASE2, 1, 11), (Stage("name"), 4, 34)):
        job = clock.note(job, Step(stage, step, STAGES[stage], 0.5))
        assert job.step == done and job.losses[-1] == (done, 0.5)
        assert job.doing == (stage, f"{step}/{STAGES[stage]}")


def test_what_learns_nothing_is_shown_and_not_counted(job: Job) -> None:
    job = clock_of().note(job, Step(Stage("encode"), 3, 5, None))
    assert (job.stage, job.step, job.losses) == ("encode 3/5", 0, [])
    assert job.doing == (Stage("encode"), "3/5")


def test_the_time_that_is_left_is_that_of_all_stages_and_never_none_of_it(job: Job, now: Now) -> None:
    clock = clock_of()
    rest = 10 * 4 + 5  # seconds of measuring and ending, where they take as long as usual

    def left(stage: Stage, step: int, after: float, steps: int | None = None) -> float | None:
        nonlocal job
        now.seconds += after
        job = clock.note(job, Step(stage, step, steps or STAGES[stage], None if steps else 0.5))
        return job.eta_seconds

    assert clock.pace.left() == pytest.approx(2 + 10 + 20 + 30 + rest)  # before anything is told
    assert left(NAME, 1, 4) == pytest.approx(2 * (9 + 20 + 30 + rest))  # it began twice as slowly as usual
    assert left(NAME, 10, 18) == pytest.approx(2 * (20 + 30 + rest))  # and goes on so
    left(PHASE2, 1, 60)  # what lies between two stages belongs to none of them
    slower = (4 + 18 + 60 + 57) / (2 + 9 + 19)
    assert left(PHASE2, 20, 57) == pytest.approx(60 + 2 * 30 + slower * rest)  # each kind as long as it took
    left(Stage("name"), 30, 60)
    quarter = left(EVALUATE, 10, 3, 40)
    assert quarter and quarter > 3 * 3  # three quarters of the measuring, and the end
    assert left(EVALUATE, 40, 9, 40) > 0
    now.seconds += 1
    clock.pace.end()
    took = clock.pace.seconds()
    assert (took["evaluate"], took["end"], took["phase2"]) == pytest.approx((3, 1, 3))


def test_a_step_that_was_done_before_a_resume_took_no_time_of_this_one(job: Job, now: Now) -> None:
    clock = clock_of()
    for step in (18, 19, 20):
        now.seconds += 3
        job = clock.note(job, Step(PHASE2, step, 20, 0.5))
    assert clock.pace.seconds() == {"start": 3, "phase2": 3}


def test_a_machine_remembers_what_its_last_training_took(tmp_path: Path, predictor: Predictor) -> None:
    path = tmp_path / "jobs.pace.json"
    assert remembered(path) == MEASURED
    remember(path, {"phase2": 7.0})
    assert remembered(path) == MEASURED | {"phase2": 7.0}
    path.write_text("torn")
    assert remembered(path) == MEASURED
    work = work_of(3, 10, 2, predictor.card)
    assert {stage.kind for stage in work} | {"between"} == MEASURED.keys()  # of each kind it is known
    assert work[Stage("measure")] == 12 and work[EVALUATE] == 0  # the toys are nobody's to render
    demo = work_of(3, 10, 2, replace(predictor.card, data=replace(predictor.card.data, name="demo")))
    assert demo[EVALUATE] == len(predictor.card.class_names)


def test_the_curve_stays_short_and_keeps_its_beginning(job: Job) -> None:
    clock, stages = clock_of({NAME: 1000}), []
    for step in range(1, 1001):
        job = clock.note(job, Step(NAME, step, 1000, 1 / step))
        stages.append(len(job.losses))
    assert max(stages) <= LOSSES and stages[-1] > LOSSES / 4
    assert job.losses[0] == (1, 1.0) and [step for step, _ in job.losses] == sorted({step for step, _ in job.losses})


def test_a_step_that_comes_again_after_a_resume_stands_on_the_curve_once(job: Job) -> None:
    for step in (4, 5):
        job = clock_of().note(job, Step(NAME, step, 10, 0.5))
    job = clock_of().note(job, Step(NAME, 4, 10, 0.5))
    assert [step for step, _ in job.losses] == [4, 5] and job.step == 4


def test_a_refusal_is_said_once(job: Job) -> None:
    clock, torn, worn = clock_of(), Refusal("torn.png", "It is torn."), Refusal("worn.png", "It is worn.")
    for refusal in (torn, worn, torn):
        job = clock.note(job, refusal)
    assert job.left_out == ["“torn.png” is left out: It is torn.", "“worn.png” is left out: It is worn."]
    assert replace(job, message="It failed.").said.startswith("It failed. “torn.png”")


def test_maps_are_measured_by_the_first_one(job: Job) -> None:
    clock = clock_of()
    job = clock.note(job, Look("a.png", [[1.0, 8.0], [2.0, 3.0]]))
    job = clock.note(job, Look("a.png", [[1.0, 1.5], [2.0, 1.0]]))
    assert (job.photograph, job.map, job.map_top) == ("a.png", [[1.0, 1.5], [2.0, 1.0]], 8.0)


def test_news_are_told_a_few_times_a_second(now: Now) -> None:
    clock, told = clock_of(), 0
    for _ in range(100):
        now.seconds += 0.01
        told += clock.is_news()
    assert 3 <= told <= 4  # in a second


OLD = {  # as the version before wrote it
    "id": "Q" * 22,
    "checkpoint": "toy",
    "class_name": "rings",
    "minutes": 0.1,
    "photographs": 5,
    "state": "running",
    "stage": "fold1-phase2 30/75",
    "step": 130,
    "steps": 700,
    "eta_seconds": 40.5,
    "losses": [[1, 0.75], [130, 0.25]],
    "photograph": "0000-part_0.png",
    "map": [[0.5, 0.25]],
    "map_top": 0.5,
    "message": "",
    "left_out": [],
    "output": "",
    "finished": None,
}


def test_a_job_of_the_version_before_is_read_and_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "jobs" / OLD["id"]
    ring_pile(folder / "photographs", 5)
    (folder / "start.txt").write_text("")
    output = str(folder / "rings-0123456789abcdef")
    (folder / "job.json").write_text(json.dumps(OLD | {"output": output, "created": time.time()}))
    jobs = Jobs(tmp_path / "jobs", acting("say(3)"))
    try:
        found = jobs.get(OLD["id"])
        assert (found.state, found.message) == ("interrupted", "The server stopped while this was running.")
        assert found.doing == (PHASE2, "30/75") and found.losses == [(1, 0.75), (130, 0.25)]
        jobs.resume(found.id)
        assert wait(jobs, found.id, over).state == "done"
    finally:
        jobs.close()
