"""Good photographs that are held out for testing."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltad.data.held_out import SHARE, hold_out
from ltad.photos.pile import Photograph


def photographs(*names: str) -> list[Photograph]:
    return [Photograph(name, Path("/parts") / name) for name in names]


@pytest.mark.parametrize(
    ("count", "held"), [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (5, 1), (9, 1), (10, 2), (14, 2), (200, 40)]
)
def test_one_in_five_and_none_of_fewer(count: int, held: int) -> None:
    known, tested = hold_out(photographs(*(f"OK/{i}.png" for i in range(count))))
    assert (len(known), len(tested)) == (count - held, held)


names = st.lists(st.text("abc0123", min_size=1, max_size=6), min_size=1, max_size=40, unique=True)


@given(names=names, seed=st.integers(0, 3), more=st.text("xyz", min_size=1), data=st.data())
def test_the_choice_is_that_of_the_names(names: list[str], seed: int, more: str, data: st.DataObject) -> None:
    """Whatever their order and wherever they lie, and nearly the same when there is one more."""
    every = photographs(*names)
    known, tested = hold_out(every, seed)
    assert sorted((*known, *tested)) == sorted(every) and [*known] == [each for each in every if each in known]
    shuffled = hold_out(data.draw(st.permutations(every)), seed)
    assert set(shuffled[1]) == set(tested)
    elsewhere = hold_out(photographs(*(f"OK/monday/{name}" for name in names)), seed)
    assert [each.name.rpartition("/")[2] for each in elsewhere[1]] == [each.name for each in tested]
    further = {each.name for each in hold_out(photographs(*names, more), seed)[1]}
    assert len(further ^ {each.name for each in tested}) <= 2


def test_another_seed_chooses_others() -> None:
    every = photographs(*(f"{i}.png" for i in range(20 * SHARE)))
    assert len({hold_out(every, seed)[1] for seed in range(4)}) == 4
