"""Exemplars that cover what was seen, and distances to them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ltad.config import LTADConfig
from ltad.foundation import FoundationModel
from ltad.model.ltad import build_memories
from ltad.model.memory import PatchMemory, nearest_distance, settled, spread_out
from ltad.presets import default


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def filled(maps: Tensor, class_ids: Tensor, generator: torch.Generator, **options: int) -> PatchMemory:
    """A memory of one map (n, C, h, w)."""
    settings = {"pool": 1, "is_cosine": False, "dim": 8, "exemplars": 256} | options
    settings.setdefault("classes", int(class_ids.max()) + 1)
    memory = PatchMemory(0, maps.shape[1], **settings)
    memory.remember(maps, class_ids, generator)
    return memory


def test_exemplars_cover_what_random_ones_miss() -> None:
    torch.manual_seed(0)
    cloud = torch.cat([torch.randn(5000, 4), torch.randn(5, 4) + 30])  # five rare points far away
    chosen = cloud[spread_out(cloud, 60)]
    assert (chosen.mean(1) > 15).any()
    farthest = torch.cdist(cloud, chosen).amin(1).max()
    for seed in range(3):
        drawn = cloud[torch.randperm(5000, generator=torch.Generator().manual_seed(seed))[:60]]
        assert torch.cdist(cloud, drawn).amin(1).max() > 5 * farthest


@given(st.integers(1, 30), st.integers(1, 40))
def test_no_exemplar_is_chosen_twice_while_others_are_left(points: int, count: int) -> None:
    cloud = torch.randn(points, 3, generator=torch.Generator().manual_seed(points))
    chosen = spread_out(cloud, count)
    assert len(chosen) == len(chosen.unique()) == min(points, count)


def test_settled_exemplars_are_the_means_of_what_is_nearest_to_them(generator: torch.Generator) -> None:
    points = torch.randn(3000, 8, generator=generator)
    chosen = torch.cat([points[:50], points[:1]])  # one of them twice
    nearest = torch.cdist(points, chosen).argmin(1)
    moved = settled(points, chosen)
    for number in nearest.unique().tolist():
        torch.testing.assert_close(moved[number], points[nearest == number].mean(0), atol=1e-5, rtol=1e-5)
    unused = [number for number in range(51) if number not in nearest]
    assert len(unused) == 1 and torch.equal(moved[unused], chosen[unused])


def test_how_far_usual_patches_are_hardly_depends_on_the_draw_of_settled_exemplars(generator: torch.Generator) -> None:
    """As photographs have: a dense ground, and a few patches of everything else."""
    ground, others = torch.randn(4000, 20, generator=generator), 8 * torch.randn(400, 20, generator=generator)
    spreads = []
    for settle in (False, True):
        means = []
        for _ in range(6):
            some = torch.cat([part[torch.randperm(len(part), generator=generator)[::2]] for part in (ground, others)])
            some = some[torch.randperm(len(some), generator=generator)]
            chosen = some[spread_out(some, 60)]
            exemplars = settled(some, chosen) if settle else chosen
            means.append(nearest_distance(ground, exemplars).mean())
        spreads.append(torch.stack(means).std())
    assert spreads[1] < 0.3 * spreads[0]


def test_the_fast_distance_is_the_distance() -> None:
    generator = torch.Generator().manual_seed(0)
    queries, bank = torch.randn(50, 6, generator=generator), torch.randn(70, 6, generator=generator)
    expected = torch.cdist(queries, bank).amin(1)
    assert torch.allclose(nearest_distance(queries, bank), expected, atol=1e-4)


def test_what_was_seen_is_near_and_what_was_not_is_far(generator: torch.Generator) -> None:
    maps = torch.randn(4, 8, 6, 6, generator=generator)
    ids = torch.tensor([0, 0, 0, 0])
    memory = filled(maps, ids, generator)
    spread = memory(maps, ids).max()
    strange = maps.clone()
    strange[:, :, 2, 3] += 10
    distances = memory(strange, ids)
    assert spread < 0.05 * distances[:, 2, 3].min()  # a byte per coordinate is exact enough
    assert (distances.flatten(1).argmax(1) == 2 * 6 + 3).all()  # rows first


def test_each_class_remembers_its_own_patches(generator: torch.Generator) -> None:
    maps = torch.randn(4, 8, 4, 4, generator=generator)
    maps[2:] += 20
    memory = filled(maps, torch.tensor([0, 0, 2, 2]), generator, classes=3)
    own, other = memory(maps, torch.tensor([0, 0, 2, 2])), memory(maps, torch.tensor([2, 2, 0, 0]))
    assert own.max() < 0.1 * other.min()
    mixed = memory(maps, torch.tensor([0, 2, 2, 0]))
    assert torch.equal(mixed[[0, 2]], own[[0, 2]]) and torch.equal(mixed[[1, 3]], other[[1, 3]])


def test_distances_are_those_of_standardised_channels(generator: torch.Generator) -> None:
    maps = torch.randn(3, 8, 5, 5, generator=generator) * torch.logspace(-2, 2, 8)[:, None, None]
    ids = torch.zeros(3, dtype=torch.long)
    memory = filled(maps, ids, generator)
    one_off = maps[:1].clone()
    one_off[0, 7, 0, 0] += 3 * maps[:, 7].std()
    assert memory(one_off, ids[:1])[0, 0, 0].item() == pytest.approx(3, rel=0.35)


def test_a_cosine_memory_compares_directions(generator: torch.Generator) -> None:
    maps, ids = torch.randn(3, 8, 5, 5, generator=generator), torch.zeros(3, dtype=torch.long)
    maps = torch.nn.functional.normalize(maps, dim=1)
    memory = filled(maps, ids, generator, is_cosine=True)
    brighter = maps * torch.linspace(1, 4, 25).view(5, 5)
    assert memory(brighter, ids).max() < 0.05
    opposite = memory(-maps[:1], ids[:1])
    units = maps.permute(0, 2, 3, 1).flatten(0, 2)
    expected = torch.cdist(-units[:25], units).amin(1).view(1, 5, 5)
    torch.testing.assert_close(opposite, expected, atol=0.05, rtol=0)


def test_where_there_is_next_to_nothing_a_direction_is_none(generator: torch.Generator) -> None:
    maps, ids = torch.randn(3, 8, 5, 5, generator=generator), torch.zeros(3, dtype=torch.long)
    maps[:, :, 2:] *= 0.01  # a blank ground
    memory = filled(maps, ids, generator, is_cosine=True)
    assert memory(-maps, ids)[:, 2:].max() < 0.1 < 0.3 < memory(-maps, ids)[:, :2].mean()


def test_each_class_has_its_own_usual_length(generator: torch.Generator) -> None:
    maps = torch.randn(4, 8, 4, 4, generator=generator)
    maps[2:] *= 100
    memory = filled(maps, torch.tensor([0, 0, 1, 1]), generator, is_cosine=True)
    lengths = memory.usual_length
    assert lengths[1] > 50 * lengths[0]
    memory.remember_class(maps[2:].unbind(), 0, generator, keep=True)
    assert lengths[0] < 10  # what a class has keeps its measure
    memory.remember_class(maps[2:].unbind(), 0, generator, keep=False)
    assert lengths[0] == lengths[1]


def test_a_neighbourhood_is_averaged_without_the_outside(generator: torch.Generator) -> None:
    memory = PatchMemory(0, 2, pool=3, is_cosine=False, dim=2, classes=1, exemplars=4)
    memory.basis.copy_(torch.eye(2))
    torch.testing.assert_close(
        memory.coordinates(torch.full((1, 2, 4, 4), 5.0), torch.tensor([0])), torch.full((1, 4, 4, 2), 5.0)
    )


def test_remembering_is_the_same_every_time(generator: torch.Generator) -> None:
    maps, ids = torch.randn(5, 8, 6, 6, generator=generator).half(), torch.tensor([0, 1, 1, 0, 1])
    first, second = (filled(maps, ids, torch.Generator().manual_seed(3), exemplars=20) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.buffers(), second.buffers(), strict=True))


def test_the_budget_is_shared(foundation: FoundationModel) -> None:
    def size(config: LTADConfig, classes: int) -> int:
        return sum(m.exemplars.numel() for m in build_memories(config, foundation, classes))

    config = default().override("memory.total=6000")
    assert size(config, 1) == size(config.override("memory.total=12000"), 1)  # per_class is the limit
    assert size(config, 600) <= size(config, 6) <= size(config, 3) < 6000 * 3 * config.memory.dim + 1
    assert size(config.override("memory.per_class=0"), 6) == 0


@pytest.mark.parametrize(
    ("assignment", "sentence"),
    [
        ("memory.strides=[4,32,32]", r"\[8, 16, 32\].*align-mini.*\[4, 32, 32\]"),
        ("memory.strides=[16]", "one length"),
        ("memory.pools=[1,2,1]", "odd"),
        ("memory.weights=[1,-1,1]", "negative"),
        ('memory.metrics=["euclidean","cosin","cosine"]', "must be of euclidean, cosine, got .*cosin"),
        ("memory.per_class=-1", "per_class must be 0 to"),
    ],
)
def test_settings_that_cannot_be_are_refused(assignment: str, sentence: str, foundation: FoundationModel) -> None:
    with pytest.raises(ValueError, match=sentence):
        build_memories(default().override(assignment), foundation, 3)


def test_a_score_of_nothing_is_refused() -> None:
    config = default().override("memory.per_class=0")
    with pytest.raises(ValueError, match="cannot all be 0"):
        config.override("scoring.reconstruction_weight=0")
