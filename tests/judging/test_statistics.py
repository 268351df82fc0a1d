"""What is usual for a class, where it is known well, borrowed, or left out of its own."""

import pytest
import torch

from ltad.judging.statistics import (
    MapSums,
    class_spread,
    class_statistics,
    place_statistics,
    pooled_spread,
    residual_variances,
)

PLACES = 54


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def test_variances_survive_a_dead_direction() -> None:
    variances = residual_variances(torch.tensor([[1.0, 1.0, 0.0]]), torch.tensor([1e6]), torch.ones(3))
    assert (variances > 0).all() and variances[0, 2] < 0.1


def test_few_images_lean_on_the_variances_of_all() -> None:
    own, shared = torch.full((4, 2), 100.0), torch.ones(2)
    scales = residual_variances(own, torch.tensor([0.0, 1.0, 10.0, 1e6]), shared)[:, 0]
    assert scales[0].item() == pytest.approx(1, rel=0.05) and scales[3].item() == pytest.approx(100, rel=0.05)
    assert (scales.diff() > 0).all()


def test_an_aligned_class_learns_every_place() -> None:
    usual = torch.linspace(0, 10, PLACES).expand(2, PLACES)
    maps = usual + 0.1 * torch.randn(20, 2, PLACES)
    mean, std = place_statistics(MapSums.of(maps), (torch.full((2,), 5.0), torch.full((2,), 0.01)))
    torch.testing.assert_close(mean, usual, atol=0.15, rtol=0)
    torch.testing.assert_close(std, torch.full_like(std, 0.1), atol=0.05, rtol=0)


def test_a_class_without_places_gets_one_number() -> None:
    maps = 3 + torch.randn(20, 2, PLACES)
    mean, _ = place_statistics(MapSums.of(maps), (torch.full((2,), 3.0), torch.ones(2)))
    by_chance = maps.mean(0).std(-1)
    assert (mean.std(-1) < 0.5 * by_chance).all()
    torch.testing.assert_close(mean, torch.full_like(mean, 3), atol=0.3, rtol=0)


def test_an_unsteady_place_counts_less() -> None:
    maps = torch.randn(30, 2, PLACES)
    maps[:, :, 7] *= 5
    _, std = place_statistics(MapSums.of(maps), (torch.zeros(2), torch.ones(2)))
    assert (std[:, 7] > 2 * std[:, :7].amax(-1)).all()


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_images_borrow_their_spread(n: int) -> None:
    pooled = torch.tensor([1.0, 2.0]), torch.tensor([0.04, 9.0])
    mean, std = place_statistics(MapSums.of(torch.full((n, 2, PLACES), 1.5)), pooled)
    assert mean.isfinite().all() and std.isfinite().all() and (std > 0).all()
    assert (std[1] > 5 * std[0]).all()
    if n == 1:
        # One image says nothing of how much images differ.
        torch.testing.assert_close(std, pooled[1].sqrt()[:, None].expand(2, PLACES), atol=0, rtol=0.3)


def test_the_pool_counts_classes_not_images() -> None:
    large, small = torch.randn(50, 2, PLACES), 10 + 3 * torch.randn(4, 2, PLACES)
    mean, variance = pooled_spread([MapSums.of(m) for m in (large, small, torch.full((1, 2, PLACES), 5.0))])
    torch.testing.assert_close(mean, torch.full((2,), 5.0, dtype=torch.double), atol=0.3, rtol=0)
    torch.testing.assert_close(variance, torch.full((2,), (1 + 9) / 2, dtype=torch.double), atol=1.0, rtol=0)


def test_a_class_of_few_images_leans_on_the_distances_of_all() -> None:
    maps = 10 + 2 * torch.randn(400, 1, PLACES)
    pooled = torch.tensor([0.0]), torch.tensor([100.0])
    mean, std = class_statistics(MapSums.of(maps), pooled)
    assert mean.item() == pytest.approx(10, rel=0.02) and std.item() == pytest.approx(2, rel=0.1)
    assert torch.equal(class_statistics(MapSums.of(maps[:1]), pooled)[1], torch.tensor([10.0]))
    two, _ = class_statistics(MapSums.of(maps[:2]), pooled)
    assert two.item() == pytest.approx(20 / 3, rel=0.2)
    own, variance = class_spread(MapSums.of(maps))
    assert own.item() == pytest.approx(10, rel=0.02) and variance.item() == pytest.approx(4, rel=0.05)
