"""What the arithmetic runs on."""

import os
import stat
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch

from ltad.machine import cache_folder, cores, in_words, return_memory, settle, temporary_folder, threads

ROOT = Path(__file__).parents[1]
WAITS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


def test_threads_are_the_cores_or_as_many_as_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert 1 <= cores() <= (os.cpu_count() or 1) and threads() == cores()
    for said, meant in (("3", 3), ("0", cores()), ("", cores()), ("4,2", cores())):
        monkeypatch.setenv("OMP_NUM_THREADS", said)
        assert threads() == meant


def test_a_process_settles_on_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", str(before + 1))
    settle()
    assert torch.get_num_threads() == before + 1
    torch.set_num_threads(before)
    assert in_words(torch.device("cpu")) == f"cpu ({before + 1} threads)"


def test_memory_can_be_given_back_wherever_this_runs() -> None:
    return_memory()


def test_the_cache_is_the_users_or_the_one_that_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LTAD_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("LTAD_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert cache_folder() == tmp_path / "caches" / "ltad"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == Path.home() / ".cache" / "ltad" == tmp_path / "home" / ".cache" / "ltad"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="on Windows a home can always be written")
def test_without_a_home_the_cache_is_below_the_temporary_folder_and_nobody_elses(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("LTAD_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", os.devnull)
    ours = tmp_path / f"ltad-{os.getuid()}"
    assert cache_folder() == cache_folder() == ours and stat.S_IMODE(ours.stat().st_mode) == 0o700
    (said,) = caplog.messages  # once
    assert f"kept in “{ours}”, since “{os.devnull}/.cache/ltad” cannot be written; LTAD_CACHE names another" in said
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # who runs this is in no list of users
    assert cache_folder() == ours and not Path("~").exists()
    ours.rmdir()
    ours.symlink_to(tmp_path)
    other = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: other)
    ours.rename(tmp_path / f"ltad-{os.getuid()}")  # somebody else was quicker to lay a folder there
    mine = temporary_folder("ltad")
    assert mine.parent == tmp_path and mine.name.startswith("ltad-") and mine.name != f"ltad-{os.getuid()}"


def asked(code: str, **environment: str) -> str:
    clean = {key: value for key, value in os.environ.items() if key not in WAITS}
    environment = clean | {"PYTHONPATH": str(ROOT)} | environment
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_waiting_threads_are_told_to_sleep_unless_their_user_wants_otherwise() -> None:
    code = "import ltad, os; print(*(os.environ[name] for name in ('OMP_WAIT_POLICY', 'GOMP_SPINCOUNT')))"
    assert asked(code) == "PASSIVE 0"
    assert asked(code, OMP_WAIT_POLICY="ACTIVE", GOMP_SPINCOUNT="7") == "ACTIVE 7"


BUSY = """
import torch
layers = torch.nn.Sequential(*(torch.nn.Linear(512, 512) for _ in range(6)))
while True:
    layers(torch.rand(256, 512)).square().mean().backward()
"""
TIMED = """
import sys, time
from ltad import Predictor
from ltad.machine import settle
settle()
predictor, taken = Predictor.from_checkpoint("demo-exp100"), []
for _ in range(30):
    start = time.perf_counter()
    predictor.predict(sys.argv[1])
    taken.append(time.perf_counter() - start)
print(*taken[5:])
"""


@pytest.mark.slow
def test_beside_a_busy_process_an_inspection_takes_as_long_as_its_share_of_the_machine() -> None:
    image = str(next((ROOT / "assets" / "examples").glob("*.jpg")))

    def seconds() -> float:
        command = [sys.executable, "-c", TIMED, image]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        return statistics.median(map(float, done.stdout.split()))

    alone = seconds()
    waits = {name: value for name, value in os.environ.items() if name not in WAITS}  # a neighbour as it comes
    with subprocess.Popen([sys.executable, "-c", BUSY], env=waits) as neighbour:
        beside = seconds()
        neighbour.kill()
    assert beside < 4 * alone  # it was 10 to 60 times with threads that spin
