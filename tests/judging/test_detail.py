"""The whole frame and a finer view of it: one scale, and the higher of both."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ltad.config import LTADConfig
from ltad.judging.detail import gain, joined_map, usual_gain
from ltad.judging.scoring import RawScores, Usual, score_images, standardise
from ltad.presets import default

GRID = 16 * 16


@given(st.integers(2, 60), st.floats(0.2, 5))
def test_what_normal_images_reach_is_made_the_same(images: int, factor: float) -> None:
    whole = 2 + torch.rand(images, generator=torch.Generator().manual_seed(images))
    own = gain(whole, whole * factor, usual=1.0)
    assert min(1, 1 / factor) - 1e-6 <= own <= max(1, 1 / factor) + 1e-6  # on the way to what the images say
    assert gain(whole, whole * factor, usual=1 / factor) == pytest.approx(1 / factor, rel=1e-4)


def test_a_class_of_few_leans_on_the_others() -> None:
    few, many = (gain(torch.full((n,), 2.0), torch.full((n,), 4.0), usual=2.0) for n in (1, 200))
    assert few > 1 > 0.6 > many > 0.5 and gain(torch.empty(0), torch.empty(0), usual=2.0) == 2.0
    assert usual_gain([0.5, 2.0]) == pytest.approx(1) and usual_gain([]) == 1


def test_the_higher_of_both_is_told_where_it_is() -> None:
    whole, fine = torch.zeros(2, 2), torch.zeros(4, 8)
    whole[0, 0], fine[3, 7] = 3.0, 5.0
    both = joined_map(whole, fine)
    assert both.shape == (4, 8) and both[0, 0] == 3 and both[3, 7] == 5 and both[3, 0] == 0


def scored(fine: list[torch.Tensor], whole: float, scale: float = 1.0) -> torch.Tensor:
    """Image scores where every patch of the whole frame has this score, and fine ones are these, times a gain."""
    config: LTADConfig = replace(default(), scoring=replace(default().scoring, background=0.0, smoothing=0.0))
    memory = torch.full((len(fine), 3, GRID), whole)
    raw = RawScores(memory, torch.full((len(fine), GRID), whole), torch.zeros(len(fine), GRID), tuple(fine))
    return score_images(raw, config, scale).image


def test_an_image_scores_the_higher_of_what_it_scores_whole_and_finely() -> None:
    flat, spotted = torch.zeros(2, 30, 44), torch.zeros(2, 60, 20)
    spotted[:, 7:10, 3:6] = 8.0
    torch.testing.assert_close(scored([flat, spotted], 2.0), torch.tensor([2.0, 8.0]))
    torch.testing.assert_close(scored([flat, spotted], 2.0, 0.5), torch.tensor([2.0, 4.0]))
    torch.testing.assert_close(scored([spotted], 9.0), torch.tensor([9.0]))


def test_fine_distances_are_standardised_by_class_whatever_their_size() -> None:
    flat = torch.zeros(2, 1, 4)
    raw = RawScores(
        torch.empty(2, 0, 4), flat[:, 0], flat[:, 0], (torch.full((1, 3, 5), 7.0), torch.full((1, 2, 2), 7.0))
    )
    placed = (torch.zeros(2, 2, 4), torch.ones(2, 2, 4))
    usual = Usual(
        (torch.empty(2, 0), torch.empty(2, 0)), placed, (torch.tensor([[5.0], [1.0]]), torch.tensor([[2.0], [3.0]]))
    )
    one, other = standardise(raw, usual).fine
    assert (one == 1).all() and (other == 2).all() and one.shape == (1, 3, 5)
    assert raw.of(torch.tensor([1])).fine[0].shape == (1, 2, 2)
    assert [m.shape[-1] for m in RawScores.joined([raw, raw]).fine] == [5, 2, 5, 2]
