import pytest
import torch
from torch import Tensor

from ltad.model.ltad import LTADOutput
from ltad.scoring import (
    fuse,
    image_scores,
    place_statistics,
    pooled_spread,
    raw_scores,
    reconstruction_scores,
    standardised_maps,
    whitening_matrices,
)

GRID = (6, 9)
PLACES = GRID[0] * GRID[1]


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def unchanged(images: int, dim: int) -> tuple[Tensor, Tensor]:
    """The mean residual and the whitening that leave residuals as they are."""
    return torch.zeros(images, dim), torch.eye(dim).expand(images, dim, dim)


def logits_only(logits: Tensor, smoothing: float) -> Tensor:
    """The semantic part of the raw scores of (B, h, w) logits, (B, h, w)."""
    flat = logits.flatten(1)
    output = LTADOutput(torch.zeros(*flat.shape, 2), torch.zeros(*flat.shape, 2), flat)
    return raw_scores(output, *unchanged(len(flat), 2), GRID, smoothing)[:, 1].unflatten(1, GRID)


def many(*covariances: Tensor, images: float = 1e6) -> Tensor:
    """Whitening of classes that have so many images that they need not lean on the others."""
    whole = torch.stack(covariances)
    return whitening_matrices(whole, torch.full((len(whole),), images), torch.eye(whole.shape[-1]))


def test_whitened_residuals_of_each_class_have_unit_covariance() -> None:
    mixings = [torch.linalg.qr(torch.randn(6, 6)).Q * torch.linspace(0.8, 1.4, 6) * scale for scale in (1, 9)]
    residuals = [torch.randn(20_000, 6) @ mixing.T for mixing in mixings]
    whitening = many(*(r.T @ r / len(r) for r in residuals))
    torch.testing.assert_close(whitening, whitening.mT)  # symmetric: it turns nothing
    for own, matrix in zip(residuals, whitening, strict=True):
        whitened = own @ matrix
        torch.testing.assert_close(whitened.T @ whitened / len(own), torch.eye(6), atol=0.1, rtol=0)


def test_whitening_survives_a_dead_direction() -> None:
    assert many(torch.diag(torch.tensor([1.0, 1.0, 0.0]))).isfinite().all()


def test_few_images_lean_on_the_covariance_of_all() -> None:
    own, shared = 100 * torch.eye(2).expand(4, 2, 2), torch.eye(2)
    scales = whitening_matrices(own, torch.tensor([0.0, 1.0, 10.0, 1e6]), shared)[:, 0, 0]
    assert scales[0].item() == pytest.approx(1, abs=0.05) and scales[3].item() == pytest.approx(0.1, abs=0.005)
    assert (scales.diff() < 0).all()


def test_the_reconstruction_score_is_the_residuals_length() -> None:
    patches, rebuilt = torch.randn(2, PLACES, 4), torch.randn(2, PLACES, 4)
    mean, identity = unchanged(2, 4)
    scores = reconstruction_scores(patches, rebuilt, mean, identity)
    torch.testing.assert_close(scores, (patches - rebuilt).norm(dim=-1) / 2)
    assert (reconstruction_scores(patches, patches, mean, identity) == 0).all()
    usual = torch.tensor([[1.0, 0, 0, 0], [0, 2.0, 0, 0]])
    assert (reconstruction_scores(patches, patches + usual[:, None], usual, identity) < 1e-6).all()
    stretched = torch.stack([torch.eye(4), torch.diag(torch.tensor([3.0, 1.0, 1.0, 1.0]))])
    changed = reconstruction_scores(patches, rebuilt, mean, stretched) > scores
    assert changed[1].all() and not changed[0].any()  # each image by its own class


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


def test_the_two_parts_stay_apart() -> None:
    patches, logits = torch.randn(2, PLACES, 4), torch.zeros(2, PLACES)
    raw = raw_scores(LTADOutput(patches, patches + 1, logits), *unchanged(2, 4), GRID, 1.0)
    torch.testing.assert_close(raw[:, 0], torch.ones(2, PLACES))
    assert (raw[:, 1] == 0).all()


def test_an_aligned_class_learns_every_place() -> None:
    usual = torch.linspace(0, 10, PLACES).expand(2, PLACES)
    maps = usual + 0.1 * torch.randn(20, 2, PLACES)
    mean, std = place_statistics(maps, (torch.full((2,), 5.0), torch.full((2,), 0.01)))
    torch.testing.assert_close(mean, usual, atol=0.15, rtol=0)
    torch.testing.assert_close(std, torch.full_like(std, 0.1), atol=0.05, rtol=0)


def test_a_class_without_places_gets_one_number() -> None:
    maps = 3 + torch.randn(20, 2, PLACES)
    mean, _ = place_statistics(maps, (torch.full((2,), 3.0), torch.ones(2)))
    by_chance = maps.mean(0).std(-1)
    assert (mean.std(-1) < 0.5 * by_chance).all()
    torch.testing.assert_close(mean, torch.full_like(mean, 3), atol=0.3, rtol=0)


def test_an_unsteady_place_counts_less() -> None:
    maps = torch.randn(30, 2, PLACES)
    maps[:, :, 7] *= 5
    _, std = place_statistics(maps, (torch.zeros(2), torch.ones(2)))
    assert (std[:, 7] > 2 * std[:, :7].amax(-1)).all()


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_images_borrow_their_spread(n: int) -> None:
    pooled = torch.tensor([1.0, 2.0]), torch.tensor([0.04, 9.0])
    mean, std = place_statistics(torch.full((n, 2, PLACES), 1.5), pooled)
    assert mean.isfinite().all() and std.isfinite().all() and (std > 0).all()
    assert (std[1] > 5 * std[0]).all()
    if n == 1:
        # One image says nothing of how much images differ.
        torch.testing.assert_close(std, pooled[1].sqrt()[:, None].expand(2, PLACES), atol=0, rtol=0.3)


def test_the_pool_counts_classes_not_images() -> None:
    large, small = torch.randn(50, 2, PLACES), 10 + 3 * torch.randn(4, 2, PLACES)
    mean, variance = pooled_spread([large, small, torch.full((1, 2, PLACES), 5.0)])
    torch.testing.assert_close(mean, torch.full((2,), 5.0), atol=0.3, rtol=0)
    torch.testing.assert_close(variance, torch.full((2,), (1 + 9) / 2), atol=1.0, rtol=0)


def test_standardised_scores_are_in_standard_deviations() -> None:
    raw = torch.tensor([[[3.0, 5.0], [1.0, 1.0]]])
    mean, std = torch.ones(2, 2), torch.tensor([[2.0, 2.0], [1.0, 1.0]])
    parts = standardised_maps(raw, mean, std)
    assert torch.equal(parts, torch.tensor([[[1.0, 2.0], [0.0, 0.0]]]))
    assert torch.equal(fuse(parts + torch.tensor([[0.0], [4.0]]), 0.25), torch.tensor([[2.0, 3.0]]))


def test_the_image_score_is_the_mean_of_the_highest() -> None:
    scores = torch.arange(200.0).flip(0)[None]
    assert image_scores(scores, 0.01).item() == 198.5
    assert image_scores(scores, 1.0).item() == 99.5
    assert image_scores(scores, 1e-6).item() == 199  # one patch at least
