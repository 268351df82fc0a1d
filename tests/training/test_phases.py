"""The two losses, and what they are given."""

import pytest
import torch
from torch import Tensor, nn

from ltad.config import LTADConfig
from ltad.data import Dataset
from ltad.foundation.features import Encoder
from ltad.model.ltad import build_model
from ltad.progress import quiet
from ltad.training.images import encode_samples
from ltad.training.phases import draw_balanced, phase2, synthesis_probabilities


class Witness(nn.Module):
    """Stands for a module and keeps what it was given; gives that back, or zeros as logits."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, patches: Tensor, text: Tensor | None = None) -> Tensor:
        self.seen.append(patches)
        return patches if text is None else patches[..., 0] * 0


def one_step(
    encoder: Encoder, few: Dataset, config: LTADConfig, *assignments: str, shift: float = 0.0
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Take phase 2's loss once, of few images, their maps shifted.

    Returns what reconstruction is given, the clean and the noised patches that semantics is given, and the loss.
    """
    usual = "phase2.semantic_patches=5000", "phase2.semantic_weight=0", "phase2.batch_size=12"
    config = config.override(*usual, *assignments)
    torch.manual_seed(0)
    model = build_model(config, encoder.foundation, torch.ones(3, 2, encoder.foundation.token_size))
    model.reconstruction, model.semantic = Witness(), Witness()
    features = encode_samples(few.train, few.class_names, encoder, quiet)
    features = features._replace(maps=tuple(m + shift for m in features.maps))
    stage = phase2(model, features, few.train_counts, config, None)
    loss = stage.loss(torch.Generator().manual_seed(0))
    return model.reconstruction.seen[0], *model.semantic.seen, loss


def test_without_noise_there_is_nothing_to_rebuild(toy_encoder: Encoder, few: Dataset, short: LTADConfig) -> None:
    assert one_step(toy_encoder, few, short, "phase2.reconstruction_jitter=0")[-1] == 0
    assert one_step(toy_encoder, few, short)[-1] > 0


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("scale", [5, 10])
def test_both_branches_may_share_their_noise(
    toy_encoder: Encoder, few: Dataset, short: LTADConfig, same: bool, scale: int
) -> None:
    noise = f"phase2.same_noise={same}".lower()
    scales = "phase2.reconstruction_jitter=5", f"phase2.semantic_jitter={scale}"
    rebuilt, clean, noised, _ = one_step(toy_encoder, few, short, noise, *scales)
    patches = one_step(toy_encoder, few, short, "phase2.reconstruction_jitter=0")[0]
    order = torch.cdist(clean[0], patches[0]).argmin(1)
    assert torch.equal(patches[:, order], clean)
    expected = clean + scale / 5 * (rebuilt[:, order] - clean)
    assert torch.allclose(noised, expected, atol=1e-4) == same


@pytest.mark.parametrize("source", ["posterior", "prior"])
def test_synthesised_patches_come_from_an_image_or_from_the_name_alone(
    toy_encoder: Encoder, few: Dataset, short: LTADConfig, source: str
) -> None:
    settings = f"phase2.synthesis_source={source}", "phase2.synthesis_probability=1"
    clean, moved = (one_step(toy_encoder, few, short, *settings, shift=shift)[1] for shift in (0, 3))
    assert torch.equal(clean, moved) == (source == "prior")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (["phase2.synthesis_probability=0.5"], [0.5, 0.5, 0.5]),
        (["phase2.synthesis_probability=0", "phase2.tail_synthesis_probability=1"], [0, 0, 1]),
        (["phase2.synthesis_probability=1", "phase2.tail_synthesis_probability=0"], [1, 1, 0]),
        (["phase2.tail_synthesis_probability=0.75"], [0.25, 0.25, 0.75]),
    ],
)
def test_the_tail_may_be_synthesised_more_often(settings: list[str], expected: list[float], short: LTADConfig) -> None:
    short = short.override(*settings)
    assert synthesis_probabilities({"a": 20, "b": 9, "c": 1}, short.phase2).tolist() == expected
    assert synthesis_probabilities({"a": 4, "b": 4}, short.phase2).tolist() == expected[:2]  # balanced: no tail


def test_only_the_images_of_the_tail_are_replaced(toy_encoder: Encoder, few: Dataset, short: LTADConfig) -> None:
    head = "phase2.synthesis_probability=0"
    real = one_step(toy_encoder, few, short, head)[1]
    tail = one_step(toy_encoder, few, short, head, "phase2.tail_synthesis_probability=1")[1]
    everything = one_step(toy_encoder, few, short, "phase2.synthesis_probability=1")[1]
    drawn = torch.Generator().manual_seed(0)
    class_ids = torch.tensor([few.class_names.index(sample.class_name) for sample in few.train])
    in_tail = class_ids[draw_balanced(class_ids, 12, drawn)] == 2

    def total(patches: Tensor) -> Tensor:
        return patches.sum(1)  # whatever the order

    kept = torch.isclose(total(tail), total(real), atol=1e-2).all(1)
    assert torch.equal(kept, ~in_tail) and 0 < in_tail.sum() < 12
    assert not torch.isclose(total(everything), total(real), atol=1e-2).all(1).any()


def test_every_class_is_drawn_equally_often() -> None:
    class_ids = torch.tensor([0] * 300 + [1] * 30 + [2])
    drawn = draw_balanced(class_ids, 9000, torch.Generator().manual_seed(0))
    assert class_ids[drawn].bincount().tolist() == pytest.approx([3000] * 3, rel=0.06)
    assert drawn[drawn < 300].unique().numel() == 300  # every image of the head, too
    ids = torch.tensor([0, 2, 2])  # a class may be missing from a fold
    assert 1 not in ids[draw_balanced(ids, 50, torch.Generator().manual_seed(0))]
