"""What the foundation models have in common: which maps they give, prompts between marks, the hash of weights."""

import hashlib
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ltad.errors import FoundationError

FINEST = 4  # stride; finer maps would be most of the cached features
LAYERS = 4  # maps of a tower that keeps one grid from its first to its last layer


def choose_maps(maps: Sequence[Tensor], image_size: int) -> tuple[list[int], tuple[int, ...]]:
    """Choose among all the square maps (B, C, h, w) that a tower makes, first to last; give indices and strides.

    A tower that grows coarser gives the last map of each stride; one that keeps a grid, a ViT, those at a quarter, a
    half, three quarters and the end of its depth.
    """
    sides = [m.shape[-1] for m in maps]
    strides = [image_size // side for side in sides]
    if any(image_size // stride != side for side, stride in zip(sides, strides, strict=True)):
        raise FoundationError(f"Its maps of {sides} cells a side do not divide {image_size} pixels into equal patches.")
    if len(set(sides)) == 1:
        chosen = sorted({max(1, len(maps) * part // LAYERS) - 1 for part in range(1, LAYERS + 1)})
    else:
        last = {stride: index for index, stride in enumerate(strides)}
        chosen = sorted(index for stride, index in last.items() if stride >= FINEST)
    return chosen, tuple(strides[index] for index in chosen)


def frame_prompts(prompts: Sequence[Tensor], start: Tensor, end: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Put P token-embedding sequences between the marks: (P, tokens, E), and where there is a token, (P, tokens).

    start, end: (E,), the marks' embeddings. most: tokens that the tower reads, marks included; ValueError for more.
    """
    sequences = [torch.cat([start[None], prompt, end[None]]) for prompt in prompts]
    lengths = torch.tensor([len(sequence) for sequence in sequences], device=start.device)
    if lengths.max() > most:
        raise ValueError(f"a prompt has {lengths.max() - 2} tokens, but the text tower reads at most {most - 2}")
    padded = nn.utils.rnn.pad_sequence(sequences, batch_first=True)
    return padded, torch.arange(padded.shape[1], device=padded.device) < lengths[:, None]


def hash_tensors(tensors: Mapping[str, Tensor]) -> str:
    """The sha256 of named tensors in full precision: the same for every file format and order that they come in."""
    sha256 = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().float().contiguous()
        sha256.update(f"{name} {tuple(tensor.shape)}\n".encode())
        sha256.update(tensor.numpy().data)
    return sha256.hexdigest()
