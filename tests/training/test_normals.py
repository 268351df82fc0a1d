"""What is normal, learned from images that the scoring model has not seen."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor

from ltad.checkpoint.folder import Checkpoint
from ltad.config import LTADConfig
from ltad.data import Dataset
from ltad.foundation.features import Encoder, Features
from ltad.judging.scoring import ScoreStatistics, neutral_statistics, raw_scores, score_images, standardise
from ltad.model.ltad import LTAD
from ltad.progress import quiet
from ltad.training.folds import Fold, deal_folds
from ltad.training.images import Judged, encode_samples
from ltad.training.normals import fit_class_statistics, fit_statistics
from tests.toys import TinyFoundation


@pytest.fixture(scope="module")
def features(toy_data: Dataset, tiny_foundation: TinyFoundation) -> Features:
    """Eight checkers, four dots, one with stripes."""
    return encode_samples(toy_data.train, toy_data.class_names, Encoder(tiny_foundation), quiet)


@pytest.fixture
def model(tiny_checkpoint: Checkpoint) -> LTAD:
    return deepcopy(tiny_checkpoint.model)


@pytest.fixture
def config(tiny_checkpoint: Checkpoint) -> LTADConfig:
    return tiny_checkpoint.card.config


def halves(model: LTAD, class_ids: Tensor, other: LTAD | None = None) -> list[Fold]:
    """Two folds of the images, of one model or of two."""
    dealt = deal_folds(class_ids, 2, seed=0)
    return [Fold(each, (dealt == fold).nonzero()[:, 0]) for fold, each in enumerate((model, other or model))]


def scored(model: LTAD, image: Features, statistics: ScoreStatistics, config: LTADConfig) -> float:
    """The score of an image of class 0 where these statistics are its own."""
    normal, grid = statistics.of(image.class_ids), model.patches.grid_size
    with torch.no_grad():
        raw = raw_scores(model(image.maps, image.class_ids), normal, config, grid)
    return score_images(standardise(raw, normal.usual), config).image.item()


def test_an_image_is_judged_by_what_the_others_say_is_normal(
    model: LTAD, features: Features, tiny_checkpoint: Checkpoint, config: LTADConfig
) -> None:
    config = config.override("scoring.reconstruction_weight=0", "scoring.semantic_weight=0")  # the memories alone
    checkers = features.take(torch.arange(8))
    checkers.maps[1][0] *= 4  # the first one is strange
    folds, parent = halves(model, checkers.class_ids), tiny_checkpoint.statistics
    scores = fit_class_statistics(folds, Judged(checkers, None), parent, config).held_out[0].scores
    everyone = torch.arange(8)
    for i in range(8):
        rest = checkers.take(everyone[everyone != i])
        without = fit_class_statistics(halves(model, rest.class_ids), Judged(rest, None), parent, config).statistics
        expected = scored(model, checkers.batch(everyone[i : i + 1]), without, config)
        assert scores[i] == pytest.approx(expected, rel=0.02, abs=0.02), i
    withal = fit_class_statistics(folds, Judged(checkers, None), parent, config).statistics
    assert scored(model, checkers.batch(everyone[:1]), withal, config) < 0.8 * scores[0]  # it would flatter itself


@pytest.mark.parametrize("form", ["standardised", "paper"])
def test_every_image_is_scored_by_the_model_that_has_not_seen_it(
    model: LTAD, features: Features, config: LTADConfig, form: str
) -> None:
    other = deepcopy(model)
    other.class_embeddings.neg_()
    folds = halves(model, features.class_ids, other)
    held_out = fit_statistics(folds, model, Judged(features, None), config.override(f"scoring.form={form}")).held_out
    familiarity = (features.embeddings * model.class_embeddings[features.class_ids]).sum(1)
    familiarity[folds[1].unseen] *= -1
    for class_id in (0, 1):
        expected = familiarity[features.class_ids == class_id].tolist()
        assert held_out[class_id].familiarity == pytest.approx(expected, abs=1e-5)


def test_a_class_of_one_image_is_described_and_has_no_held_out_score(
    model: LTAD, features: Features, config: LTADConfig
) -> None:
    statistics, held_out, _, _ = fit_statistics(
        halves(model, features.class_ids), model, Judged(features, None), config
    )
    assert [len(each.scores) for each in held_out] == [len(each.familiarity) for each in held_out] == [8, 4, 0]
    spreads = statistics.residual_variance, statistics.memory_std, statistics.std
    assert all(len(spread) == 3 and spread.isfinite().all() and (spread > 0).all() for spread in spreads)
    assert (statistics.memory_mean[2] != 0).all()  # of its own image, by the model that has seen it


def test_statistics_are_exact_in_half_precision(
    model: LTAD, features: Features, config: LTADConfig, tiny_checkpoint: Checkpoint
) -> None:
    statistics = fit_statistics(halves(model, features.class_ids), model, Judged(features, None), config).statistics
    dots = features.take((features.class_ids == 1).nonzero()[:, 0])
    parent = tiny_checkpoint.statistics
    own = fit_class_statistics(halves(model, dots.class_ids), Judged(dots, None), parent, config).statistics
    for part in (*statistics, *own):
        assert torch.equal(part, part.half().float())


def test_directions_are_a_basis_along_which_the_residuals_are_uncorrelated(
    model: LTAD, features: Features, config: LTADConfig
) -> None:
    folds = halves(model, features.class_ids)
    basis = fit_statistics(folds, model, Judged(features, None), config).statistics.basis
    torch.testing.assert_close(basis.T @ basis, torch.eye(len(basis)), atol=5e-3, rtol=0)
    with torch.no_grad():
        output = model(features.batch(torch.arange(13)).maps, features.class_ids)
    residuals = (output.reconstructed_features - output.patch_features) @ basis
    by_class = [residuals[features.class_ids == class_id].flatten(0, 1).T.cov() for class_id in range(3)]
    shared = torch.stack(by_class).mean(0)
    apart = shared - shared.diag().diag()
    assert apart.abs().max() < 0.02 * shared.diag().max()


def test_the_papers_form_leaves_everything_neutral(
    model: LTAD, features: Features, config: LTADConfig, tiny_checkpoint: Checkpoint
) -> None:
    config = config.override("scoring.form=paper")
    folds = halves(model, features.class_ids)
    statistics, held_out, _, _ = fit_statistics(folds, model, Judged(features, None), config)
    height, width = model.patches.grid_size
    neutral = neutral_statistics(3, len(model.memories), model.patches.feature_dim, height * width)
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(statistics, neutral, strict=True))
    assert [len(each.scores) for each in held_out] == [8, 4, 0]
    for i in range(8):
        expected = scored(model, features.batch(torch.tensor([i])), neutral, config)
        assert held_out[0].scores[i] == pytest.approx(expected, rel=1e-4)
    checkers = features.take(torch.arange(8))
    folds = halves(model, checkers.class_ids)
    own, again, _, _ = fit_class_statistics(folds, Judged(checkers, None), neutral, config)
    assert all(torch.equal(mine, theirs[:1]) for mine, theirs in zip(own[1:], neutral[1:], strict=True))
    assert again[0].scores == pytest.approx(held_out[0].scores, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("form", ["standardised", "paper"])
def test_versions_of_an_image_are_judged_apart_and_count_as_one(
    model: LTAD, features: Features, config: LTADConfig, form: str
) -> None:
    config = config.override(f"scoring.form={form}")
    folds = halves(model, features.class_ids)
    once = fit_statistics(folds, model, Judged(features, None), config)
    twice = fit_statistics(folds, model, Judged(features, features), config)
    for one, two in zip(once.statistics[1:], twice.statistics[1:], strict=True):  # directions may be turned round
        if one.shape == once.statistics.residual_mean.shape:
            continue
        torch.testing.assert_close(one, two, rtol=5e-3, atol=5e-3)
    for one, two in zip(once.held_out, twice.held_out, strict=True):
        assert two.scores == pytest.approx(one.scores, rel=0.02, abs=0.02)
        assert two.changed == pytest.approx(two.scores, rel=1e-4, abs=1e-4)
        assert len(two.familiarity) == 2 * len(one.familiarity)
    changed = features.take(torch.arange(len(features.class_ids)))
    changed.maps[1][0] *= 4
    strange = fit_statistics(folds, model, Judged(features, changed), config).held_out[0]
    assert strange.changed[0] > strange.scores[0] + 0.1
    named = once.by_class(("nut", "cap", "ring"))
    assert list(named) == ["nut", "cap", "ring"] and named["cap"] == once.held_out[1]
