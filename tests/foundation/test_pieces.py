"""A picture in pieces: every place once, no seams, and what lies across a border is seen as if it did not."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ltad.foundation import FoundationModel, base
from ltad.foundation.pieces import Cutting, joined

cuttings = st.tuples(st.integers(4, 40), st.integers(1, 12), st.booleans()).filter(lambda c: c[1] < c[0] / 2)


@given(cuttings, st.integers(1, 400))
def test_pieces_are_equal_and_cover_everything(cutting: tuple[int, int, bool], length: int) -> None:
    cut = Cutting(*cutting)
    if cut.is_exact and length < cut.most:
        with pytest.raises(ValueError, match=f"{cut.most} cells at least"):
            cut.pieces(length)
        return
    pieces = cut.pieces(length)
    (size,) = {piece.stop - piece.start for piece in pieces}
    assert pieces[0].start == 0 and pieces[-1].stop == length and size <= cut.most
    assert size == cut.most or not cut.is_exact
    overlaps = [one.stop - other.start for one, other in itertools.pairwise(pieces)]
    assert all(overlap >= cut.overlap for overlap in overlaps)
    total = torch.zeros(length)
    for piece in pieces:
        total[piece] += cut.weights(piece, length)
    assert (total > 0).all()


@settings(deadline=None)
@given(cuttings, st.integers(40, 90), st.integers(40, 90))
def test_what_pieces_agree_on_is_joined_as_it_is(cutting: tuple[int, int, bool], height: int, width: int) -> None:
    image = torch.rand(3, 2 * height, 2 * width, generator=torch.Generator().manual_seed(0))

    def see(piece: Tensor) -> Tensor:
        return torch.nn.functional.avg_pool2d(piece, 2)

    torch.testing.assert_close(joined(see, image, 2, Cutting(*cutting)), see(image))


def test_sides_are_whole_cells() -> None:
    with pytest.raises(ValueError, match="multiples of 16, got"):
        joined(lambda piece: piece, torch.zeros(3, 64, 70), 16, Cutting(4, 1, is_exact=False))


@pytest.mark.parametrize("any_size", [True, False])
def test_a_spot_across_a_border_is_seen_as_one_in_the_middle(
    foundation: FoundationModel, any_size: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How far its map is from that of the picture without it, wherever it lies."""
    layer = foundation.layer_near(16)
    monkeypatch.setattr(base, "PIECE", 512)
    monkeypatch.setattr(type(foundation), "any_size", any_size)
    tile = 0.4 + 0.2 * torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0))  # every place is like another
    ground = tile.repeat(1, 8, 28)
    plain = foundation.fine_map(ground, layer)

    def seen(left: int) -> float:
        spotted = ground.clone()
        spotted[:, 120:136, left : left + 16] = 0.95
        return float((foundation.fine_map(spotted, layer) - plain).norm(dim=0).amax())

    strengths = [seen(left) for left in range(232, 664, 32)]  # several pieces meet within
    assert max(strengths) <= 1.05 * min(strengths)
