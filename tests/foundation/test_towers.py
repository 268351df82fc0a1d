"""Which maps of a tower are taken, and prompts between their marks."""

import pytest
import torch

from ltad.errors import FoundationError
from ltad.foundation.towers import choose_maps, frame_prompts, hash_tensors


def maps(*sides: int) -> list[torch.Tensor]:
    return [torch.zeros(1, 2, side, side) for side in sides]


@pytest.mark.parametrize(
    ("sides", "chosen", "strides"),
    [
        ((32, 16, 16, 8, 8, 4, 2, 2), [2, 4, 5, 7], (4, 8, 16, 32)),  # convolutional; stride 2 is left out
        ((4,) * 12, [2, 5, 8, 11], (16,) * 4),  # a ViT
        ((4,) * 2, [0, 1], (16,) * 2),
        ((4,), [0], (16,)),
    ],
)
def test_maps_are_chosen_by_stride_or_by_depth(sides: tuple, chosen: list, strides: tuple) -> None:
    assert choose_maps(maps(*sides), 64) == (chosen, strides)


def test_grids_that_do_not_fit_the_image_are_refused() -> None:
    with pytest.raises(FoundationError, match=r"\[30\] cells a side do not divide 100 pixels"):
        choose_maps(maps(30), 100)


def test_prompts_stand_between_the_marks() -> None:
    start, end, word = torch.full((3,), 1.0), torch.full((3,), 2.0), torch.full((1, 3), 5.0)
    framed, present = frame_prompts([word, torch.cat([word, word])], start, end, 4)
    assert framed[..., 0].tolist() == [[1, 5, 2, 0], [1, 5, 5, 2]]
    assert present.tolist() == [[True, True, True, False], [True] * 4]
    with pytest.raises(ValueError, match="a prompt has 3 tokens, but the text tower reads at most 2"):
        frame_prompts([word.expand(3, 3)], start, end, 4)


def test_the_hash_knows_values_names_and_shapes_but_neither_order_nor_precision() -> None:
    tensors = {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor(3)}
    known = hash_tensors(tensors)
    assert known == hash_tensors({"b": torch.tensor(3.0), "a": torch.tensor([1.0, 2.0]).half()})
    others = [{"a": tensors["a"] + 1e-6}, {"a": tensors["a"][None]}, {"c": torch.zeros(1)}]
    assert len({known, *(hash_tensors(tensors | other) for other in others)}) == 4
