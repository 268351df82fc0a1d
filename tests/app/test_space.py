"""What the page knows of the Space that it runs on."""

from pathlib import Path

import pytest

from app import space
from app.jobs.queue import Jobs


def test_a_space_without_storage_forgets_and_one_with_it_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SPACE_ID", raising=False)
    monkeypatch.setattr(space, "STORAGE", tmp_path)
    assert not space.forgets() and space.storage() is None  # this is a machine of one's own
    monkeypatch.setenv("SPACE_ID", "alice/parts")
    assert not space.forgets() and space.storage() == tmp_path
    monkeypatch.setattr(space, "STORAGE", tmp_path / "absent")
    assert space.forgets() and space.storage() is None


def test_trainings_lie_in_a_spaces_storage_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LTAD_JOBS", raising=False)
    monkeypatch.setenv("SPACE_ID", "alice/parts")
    monkeypatch.setattr(space, "STORAGE", tmp_path)
    jobs = Jobs.of_this_server()
    jobs.close()
    assert jobs.root == tmp_path / "ltad" / "jobs" / "1" and jobs.root.is_dir()
