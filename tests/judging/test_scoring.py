"""From what the model gives to one map and one number per image."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ltad.config import LTADConfig
from ltad.judging.scoring import (
    Parts,
    RawScores,
    ScoreStatistics,
    Usual,
    combine,
    fuse,
    image_scores,
    neutral_statistics,
    raw_scores,
    reconstruction_scores,
    standardise,
    without_background,
)
from ltad.model.ltad import LTADOutput
from ltad.presets import default

GRID = (6, 9)
PLACES = GRID[0] * GRID[1]


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def unchanged(images: int, dim: int, memories: int = 0) -> ScoreStatistics:
    """Statistics that leave scores as they are."""
    return neutral_statistics(images, memories, dim, PLACES)


def smoothed(smoothing: float, **scoring: object) -> LTADConfig:
    return replace(default(), scoring=replace(default().scoring, smoothing=smoothing, **scoring))


def output(patches: Tensor, rebuilt: Tensor, logits: Tensor, distances: Tensor | None = None) -> LTADOutput:
    """What a model of one memory, or of none, says."""
    return LTADOutput(patches, rebuilt, torch.empty(len(logits), 0, PLACES) if distances is None else distances, logits)


def logits_only(logits: Tensor, smoothing: float) -> Tensor:
    """The semantic part of the raw scores of (B, h, w) logits, (B, h, w)."""
    flat = logits.flatten(1)
    silent = torch.zeros(*flat.shape, 2)
    raw = raw_scores(output(silent, silent, flat), unchanged(len(flat), 2), smoothed(smoothing), GRID)
    return raw.logit.unflatten(1, GRID)


def test_the_reconstruction_score_is_the_residuals_length() -> None:
    patches, rebuilt, logits = torch.randn(2, PLACES, 4), torch.randn(2, PLACES, 4), torch.zeros(2, PLACES)
    normal = unchanged(2, 4)
    scores = reconstruction_scores(output(patches, rebuilt, logits), normal)
    torch.testing.assert_close(scores, (patches - rebuilt).norm(dim=-1) / 2)
    assert (reconstruction_scores(output(patches, patches, logits), normal) == 0).all()
    usual = torch.tensor([[1.0, 0, 0, 0], [0, 2.0, 0, 0]])
    expected = normal._replace(residual_mean=usual)
    assert (reconstruction_scores(output(patches, patches + usual[:, None], logits), expected) < 1e-6).all()
    wide = normal._replace(residual_variance=torch.tensor([[1.0, 1, 1, 1], [9.0, 1, 1, 1]]))
    changed = reconstruction_scores(output(patches, rebuilt, logits), wide) < scores
    assert changed[1].all() and not changed[0].any()  # each image by its own class


def test_residuals_are_whitened_along_the_shared_directions() -> None:
    turn = torch.linalg.qr(torch.randn(6, 6)).Q
    spread = torch.linspace(0.5, 4, 6)
    patches = torch.zeros(1, PLACES, 6)
    rebuilt = (torch.randn(1, PLACES, 6) * spread) @ turn.T
    normal = unchanged(1, 6)._replace(basis=turn, residual_variance=spread.square()[None])
    scores = reconstruction_scores(output(patches, rebuilt, torch.zeros(1, PLACES)), normal)
    torch.testing.assert_close(scores, ((rebuilt @ turn) / spread).square().mean(-1).sqrt())


def test_the_papers_form_is_a_squared_norm_and_a_probability() -> None:
    patches, rebuilt, logits = torch.randn(2, PLACES, 4), torch.randn(2, PLACES, 4), torch.randn(2, PLACES)
    raw = raw_scores(output(patches, rebuilt, logits), unchanged(2, 4), smoothed(0.0, form="paper"), GRID)
    torch.testing.assert_close(raw.residual, (patches - rebuilt).square().mean(-1))
    torch.testing.assert_close(raw.logit, logits.sigmoid())


def test_smoothing_keeps_constants_up_to_the_border() -> None:
    constant = torch.full((2, *GRID), 2.5)
    torch.testing.assert_close(logits_only(constant, 1.0), constant)


def test_smoothing_spreads_a_peak_evenly_and_keeps_its_total() -> None:
    grid = torch.zeros(2, 6, 9)
    grid[0, 2, 4] = 1
    smooth = logits_only(grid, 0.6)
    assert smooth[0].sum().item() == pytest.approx(1, abs=1e-4)
    assert smooth[0].argmax() == 2 * 9 + 4
    torch.testing.assert_close(smooth[0, 1:4, 3:6], smooth[0, 1:4, 3:6].T)
    assert smooth[1].abs().max() == 0  # nothing comes from another image
    assert torch.equal(logits_only(grid, 0.0), grid)


def test_the_parts_stay_apart() -> None:
    patches, logits = torch.randn(2, PLACES, 4), torch.zeros(2, PLACES)
    distances = torch.full((2, 1, PLACES), 3.0)
    raw = raw_scores(output(patches, patches + 1, logits, distances), unchanged(2, 4, 1), smoothed(1.0), GRID)
    torch.testing.assert_close(raw.memory[:, 0], torch.full((2, PLACES), 3.0))
    torch.testing.assert_close(raw.residual, torch.ones(2, PLACES))
    assert (raw.logit == 0).all()


NOTHING = (torch.empty(0), torch.empty(0))


def test_standardised_scores_are_in_standard_deviations() -> None:
    raw = RawScores(torch.empty(1, 0, 2), torch.tensor([[3.0, 5.0]]), torch.tensor([[1.0, 1.0]]))
    mean, std = torch.ones(2, 2), torch.tensor([[2.0, 2.0], [1.0, 1.0]])
    scores = standardise(raw, Usual(NOTHING, (mean, std), NOTHING))
    assert torch.equal(scores.residual, torch.tensor([[1.0, 2.0]])) and torch.equal(scores.logit, torch.zeros(1, 2))


def test_semantics_count_as_much_as_lambda_says() -> None:
    parts = Parts(reconstruction=torch.tensor([[1.0, 2.0]]), semantic=torch.tensor([[4.0, 4.0]]))
    assert torch.equal(fuse(parts, 0.25), torch.tensor([[2.0, 3.0]]))


def test_distances_are_standardised_by_class_and_the_others_by_place() -> None:
    raw = RawScores(torch.tensor([[[5.0, 9.0]]]), torch.tensor([[3.0, 5.0]]), torch.tensor([[1.0, 1.0]]))
    distances, placed = (torch.tensor([1.0]), torch.tensor([4.0])), (torch.zeros(2, 2), torch.ones(2, 2))
    scores = standardise(raw, Usual(distances, placed, NOTHING))
    assert torch.equal(scores.memory, torch.tensor([[[1.0, 2.0]]]))
    assert torch.equal(scores.residual, raw.residual) and torch.equal(scores.logit, raw.logit)


def test_memories_and_transformer_are_weighed_into_one_part() -> None:
    config = replace(
        default(),
        memory=replace(
            default().memory, strides=(16, 32), pools=(1, 1), metrics=("euclidean", "cosine"), weights=(2.0, 1.0)
        ),
        scoring=replace(default().scoring, reconstruction_weight=1.0),
    )
    scores = RawScores(torch.tensor([[[4.0], [8.0]]]), torch.tensor([[0.0]]), torch.tensor([[7.0]]))
    assert combine(scores, config) == (torch.tensor([[4.0]]), torch.tensor([[7.0]]))
    without = scores._replace(memory=scores.memory[:, :0])
    assert combine(without, config) == (scores.residual, scores.logit)  # the transformer is all


def test_the_image_score_is_the_mean_of_the_highest() -> None:
    scores = torch.arange(200.0).flip(0)[None]
    assert image_scores(scores, 0.01).item() == 198.5
    assert image_scores(scores, 1.0).item() == 99.5
    assert image_scores(scores, 1e-6).item() == 199  # one patch at least


@given(st.floats(0, 1), st.floats(-5, 5), st.integers(0, 100))
def test_what_lies_over_the_whole_frame_counts_less(share: float, light: float, seed: int) -> None:
    scores = torch.randn(2, 65, generator=torch.Generator().manual_seed(seed))
    plain, lit = without_background(scores, share), without_background(scores + light, share)
    torch.testing.assert_close(lit - plain, torch.full_like(scores, (1 - share) * light), atol=1e-4, rtol=1e-4)
    assert torch.equal(plain.argsort(), scores.argsort())
    place = scores.clone()
    place[:, 3] += 50
    assert (without_background(place, share)[:, 3] > plain[:, 3] + 40).all()
