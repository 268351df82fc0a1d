"""Stages and lines: what is written is read again, by programs, too."""

import argparse
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltad.commands import progress
from ltad.commands.progress import Bars, Line, Lines, Log, Look, Step, read, told, written
from ltad.photos.pile import Refusal
from ltad.progress import Stage
from tests.toys import until

kinds = st.sampled_from(["encode", "phase1", "phase2", "name", "turns of fold", "fold", "a-b"])
stages = st.builds(Stage, kinds, st.none() | st.integers(1, 12))
steps = st.builds(Step, stages, st.integers(0, 99), st.integers(0, 99), st.none() | st.floats(0, 9))
looks = st.builds(Look, st.text(), st.lists(st.lists(st.floats(0, 9), max_size=3), max_size=3))
refusals = st.builds(Refusal, st.text(), st.text())


@given(stages)
def test_a_stage_is_what_its_name_says(stage: Stage) -> None:
    assert Stage.named(str(stage)) == stage


def test_stages_are_named_as_they_always_were() -> None:
    assert [str(Stage("phase2", fold)) for fold in (None, 1)] == ["phase2", "fold1-phase2"]


@given(st.one_of(steps, looks, refusals))
def test_what_is_written_is_read(line: Line) -> None:
    text = written(line)
    assert read(text) == line and "\n" not in text


def test_the_keys_are_those_that_programs_know() -> None:
    assert (
        written(Step(Stage("phase2", 1), 3, 9, 0.5)) == '{"stage": "fold1-phase2", "step": 3, "steps": 9, "loss": 0.5}'
    )
    assert written(Refusal("a.png", "why")) == '{"left_out": "a.png", "reason": "why"}'
    assert written(Look("a.png", [[0.5]])) == '{"photograph": "a.png", "map": [[0.5]]}'


@pytest.mark.parametrize("text", ["", "ltad adapt: no", "[]", "3", '{"stage": "a"}', '{"left_out": 3, "reason": ""}'])
def test_whatever_else_is_said_is_no_line(text: str) -> None:
    assert read(text) is None


def test_a_log_has_a_line_at_every_stage_and_at_least_one_a_minute(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "MINUTE", 0.05)
    said: list[str] = []

    def has(pattern: str) -> bool:
        said.extend(capsys.readouterr().err.splitlines())
        return any(re.fullmatch(f"ltad train: {pattern}", line) for line in said)

    log = Log("train")
    log(Stage("encode"), 16, 4000)
    assert has("encode, step 16 of 4000")
    log(Stage("phase2", 1), 1, 800, 0.5)
    assert has("fold1-phase2, step 1 of 800, loss 0.500")
    log(Stage("phase2", 1), 400, 800, 0.25)
    until(lambda: has(r"fold1-phase2, step 400 of 800, loss 0.250, \d+ (s|min) left"), seconds=10)
    said.clear()
    until(lambda: has(r"fold1-phase2, step 400 of 800.*"), seconds=10)  # also where nothing goes on
    log(Stage("phase2", 1), 800, 800, 0.25)
    until(lambda: has("fold1-phase2, step 800 of 800, loss 0.250"), seconds=10)
    log.close()


def test_who_waits_is_told_in_their_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    for is_terminal, json, kind in (
        (True, True, Lines),
        (False, True, Lines),
        (True, False, Bars),
        (False, False, Log),
    ):
        monkeypatch.setattr(sys.stderr, "isatty", lambda is_terminal=is_terminal: is_terminal)
        chosen = told(argparse.Namespace(command="train", json=json))
        chosen.close()
        assert type(chosen) is kind
