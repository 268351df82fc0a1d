"""The queue of background jobs, with a worker that acts as the real one would."""

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path, PureWindowsPath

import pytest

from app.jobs import queue as module
from app.jobs import worker
from app.jobs.queue import Jobs
from ltad.errors import JobError
from ltad.photos.pile import Photograph, Pile, Refusal
from tests.toys import acting, full_disk, over, ring_pile, rings, until, wait

SHORT = 0.1  # minutes
JobsThat = Callable[[str], Jobs]


@pytest.fixture
def good(tmp_path: Path) -> Pile:
    return ring_pile(tmp_path / "photographs", 5)


def save(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rings(0).save(path)
    return path


@pytest.fixture
def jobs_that(tmp_path: Path) -> Iterator[JobsThat]:
    """Make the queue of one folder with workers that act; one that is there is closed first."""
    made: list[Jobs] = []

    def make(script: str) -> Jobs:
        made.append(Jobs(tmp_path / "jobs", acting(script)))
        return made[-1]

    yield make
    for jobs in made:
        jobs.close()


@pytest.fixture
def jobs(jobs_that: JobsThat) -> Jobs:
    return jobs_that("time.sleep(60)")


def test_cancelling_a_waiting_and_a_running_job(jobs_that: JobsThat, good: Pile, toy_checkpoint: Path) -> None:
    jobs = jobs_that("say(1); time.sleep(60)")
    running = jobs.submit(good, toy_checkpoint, "a", SHORT)
    waiting = jobs.submit(good, toy_checkpoint, "b", SHORT)
    wait(jobs, running.id, lambda job: job.step > 0)
    assert jobs.place(waiting.id) == 1
    assert jobs.cancel(waiting.id).state == "cancelled"
    jobs.cancel(running.id)
    after = jobs.submit(good, toy_checkpoint, "c", SHORT)
    wait(jobs, after.id, lambda job: job.step > 0)  # the place is free
    assert jobs.cancel(running.id).state == jobs.get(running.id).state == "cancelled"
    assert jobs.card(running.name) is None


def test_what_ran_when_the_server_stopped_is_interrupted_and_what_waited_goes_on(
    jobs_that: JobsThat, good: Pile, toy_checkpoint: Path
) -> None:
    first = jobs_that("say(1); time.sleep(60)")
    running, waiting = (first.submit(good, toy_checkpoint, name, SHORT) for name in "ab")
    wait(first, running.id, lambda job: job.step > 0)
    first.close()
    second = jobs_that("say(1)")
    assert second.get(running.id).state == "interrupted"
    assert wait(second, waiting.id, over).state == "done"
    assert second.resume(running.id).state == "queued"
    assert wait(second, running.id, over).state == "done"


def test_a_worker_that_is_killed_is_interrupted_and_goes_on(
    jobs_that: JobsThat, good: Pile, toy_checkpoint: Path
) -> None:
    jobs = jobs_that(
        """say(1)
        if not os.path.exists("killed"):
            open("killed", "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        say(3)"""
    )
    job = jobs.submit(good, toy_checkpoint, "a", SHORT)
    interrupted = wait(jobs, job.id, over)
    assert interrupted.state == "interrupted" and "stopped from outside" in interrupted.message
    jobs.resume(job.id)
    assert wait(jobs, job.id, over).state == "done"


def test_a_worker_that_ends_without_a_word_was_stopped_as_windows_stops_it(
    jobs_that: JobsThat, good: Pile, toy_checkpoint: Path
) -> None:
    jobs = jobs_that("say(1); os._exit(1)")
    ended = wait(jobs, jobs.submit(good, toy_checkpoint, "a", SHORT).id, over)
    assert ended.state == "interrupted" and "stopped from outside" in ended.message


@pytest.mark.parametrize("name", ["nul.x", "con", "a.", "AUX.tar.gz", "零件 7", "瓶底（棕色）"])
def test_a_product_of_any_name_has_a_folder_on_every_system(
    name: str, jobs: Jobs, good: Pile, toy_checkpoint: Path
) -> None:
    folder = jobs.submit(good, toy_checkpoint, name, SHORT).name
    assert not PureWindowsPath(folder).is_reserved()
    assert PureWindowsPath(folder).name == folder and folder.rstrip(". ") == folder


@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "POSIX"])
def test_a_workers_words_are_understood_in_every_locale(
    locale: str, jobs: Jobs, good: Pile, toy_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = jobs.submit(good, toy_checkpoint, "a", SHORT)
    monkeypatch.setenv("LC_ALL", locale)
    monkeypatch.delenv("PYTHONUTF8", raising=False)
    words = "import sys; print('“零件” is left out', file=sys.stderr)"
    monkeypatch.setattr(worker, "command", lambda job, folder: [sys.executable, "-S", "-c", words])
    with worker.start(job, jobs.folder(job.id)) as process:
        assert process.stderr and process.stderr.read() == "“零件” is left out\n"


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


def test_a_job_that_fails_says_why(jobs_that: JobsThat, good: Pile, toy_checkpoint: Path) -> None:
    jobs = jobs_that(
        """say_line({"left_out": "worn.png", "reason": "It is worn."}); say(2)
        sys.exit("ltad adapt: Nothing can be learned from that.")"""
    )
    job = jobs.submit(good._replace(refused=(Refusal("bomb.zip", "Too large."),)), toy_checkpoint, "few", SHORT)
    failed = wait(jobs, job.id, over)
    assert (failed.state, failed.message) == ("failed", "Nothing can be learned from that.")
    assert failed.said.endswith("“bomb.zip” is left out: Too large. “worn.png” is left out: It is worn.")


def test_photographs_and_masks_are_stored_side_by_side_under_harmless_names(
    jobs: Jobs, toy_checkpoint: Path, tmp_path: Path
) -> None:
    files = [save(tmp_path / str(i) / "0.png") for i in range(5)]
    names = ("a/0.png", "b/0.png", "../x y.png", "c.png", "c_mask.png")
    good = Pile(tuple(Photograph(name, file) for name, file in zip(names, files, strict=True)))
    defective = Pile((Photograph("a/0.png", files[0], files[1]), Photograph("b/0.png", files[2])))
    job = jobs.submit(good, toy_checkpoint, "a", SHORT, defective=defective)
    stored = {path.name for path in (jobs.folder(job.id) / "defective").iterdir()}
    assert stored == {"0000-0.png", "0000-0_mask.png", "0001-0.png"}
    assert sorted(path.name for path in (jobs.folder(job.id) / "photographs").iterdir()) == [
        "0000-0.png", "0001-0.png", "0002-x_y.png", "0003-c.png", "0004-c.png",
    ]  # fmt: skip
    assert [kind for _, kind in jobs.photographs(job.id)] == ["good"] * 5 + ["defective"] * 2


def test_what_cannot_be_taken_is_refused_in_a_sentence(
    jobs: Jobs, good: Pile, toy_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(JobError, match="sign “/” cannot stand"):
        jobs.submit(good, toy_checkpoint, "../evil", SHORT)
    with pytest.raises(JobError, match="up to 15 minutes"):
        jobs.submit(good, toy_checkpoint, "a", 100)
    with pytest.raises(JobError, match="3 photographs are too few"):
        jobs.submit(Pile(good.photographs[:3]), toy_checkpoint, "a", SHORT)
    with pytest.raises(JobError, match="201 photographs"):
        jobs.submit(Pile(good.photographs[:1] * 201), toy_checkpoint, "a", SHORT)
    monkeypatch.setattr(module, "MAX_STORED", 1000)
    with pytest.raises(JobError, match="0 MB can be taken at once"):
        jobs.submit(good, toy_checkpoint, "a", SHORT)
    monkeypatch.setattr(module, "MAX_STORED", 10**8)
    monkeypatch.setattr(module, "MAX_WAITING", 0)
    with pytest.raises(JobError, match="waiting already"):
        jobs.submit(good, toy_checkpoint, "a", SHORT)
    monkeypatch.setattr(module, "MAX_WAITING", 8)
    monkeypatch.setattr(module, "FREE_BYTES", shutil.disk_usage(jobs.root).total)
    with pytest.raises(JobError, match="disk is nearly full"):
        jobs.submit(good, toy_checkpoint, "a", SHORT)
    assert list(jobs.root.iterdir()) == []


def test_a_disk_that_fills_up_leaves_no_half_job(
    jobs: Jobs, good: Pile, toy_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.shutil, "copyfile", full)
    with pytest.raises(JobError, match="No space left"):
        jobs.submit(good, toy_checkpoint, "a", SHORT)
    assert list(jobs.root.iterdir()) == []


def test_a_disk_that_is_full_for_a_while_holds_the_queue_up_and_no_longer(
    jobs_that: JobsThat,
    good: Pile,
    toy_checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    word = tmp_path / "end"
    jobs = jobs_that(f"while not os.path.exists({str(word)!r}): time.sleep(0.01)\nsys.exit('no')")
    first, second = (jobs.submit(good, toy_checkpoint, name, SHORT) for name in "ab")
    wait(jobs, first.id, lambda job: job.state == "running")
    with full_disk():
        word.touch()  # the first one ends, and its end cannot be written
        until(lambda: caplog.text.count("could not be written") > 1)
        assert (jobs.get(first.id).state, jobs.get(second.id).state) == ("running", "queued")
    assert [wait(jobs, job.id, over).state for job in (first, second)] == ["failed", "failed"]


def test_ids_cannot_be_paths_and_unknown_ones_get_a_sentence(jobs: Jobs) -> None:
    for wrong in ("", "../../etc", "a" * 21, "a/b" * 8):
        with pytest.raises(JobError, match="no training's id"):
            jobs.get(wrong)
    with pytest.raises(JobError, match="is not there"):
        jobs.get("a" * 22)


def size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def test_old_jobs_are_swept_by_age_and_by_size(
    jobs: Jobs, good: Pile, toy_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = []
    for _ in range(3):
        job = jobs.submit(Pile(good.photographs[:4]), toy_checkpoint, "a", SHORT)
        jobs.cancel(job.id)
        ids.append(job.id)
    (jobs.root / "left over").mkdir()
    jobs.sweep()
    assert {folder.name for folder in jobs.root.iterdir()} == set(ids)
    monkeypatch.setattr(
        module,
        "KEPT_BYTES",
        2 * size_of(jobs.folder(ids[2])) + 200,
    )
    jobs.sweep()
    assert {folder.name for folder in jobs.root.iterdir()} == set(ids[1:])
    monkeypatch.setattr(module, "KEPT_SECONDS", 0)
    jobs.sweep()
    assert list(jobs.root.iterdir()) == []
