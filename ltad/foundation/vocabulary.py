"""The words that a text tower knows, and which of them are near to a vector."""

from typing import NamedTuple

from torch import Tensor
from torch.nn.functional import normalize

from ltad.foundation import FoundationModel


class NearWord(NamedTuple):
    """A word of the text tower's vocabulary and its cosine similarity, in [-1, 1], to a token vector."""

    word: str
    similarity: float


def nearest_words(foundation: FoundationModel, vectors: Tensor, count: int) -> list[tuple[NearWord, ...]]:
    """Find the vocabulary's words nearest to each token vector (n, token size), the nearest first."""
    words, embeddings = foundation.vocabulary()
    cosines = normalize(vectors, dim=-1) @ normalize(embeddings, dim=-1).T
    near = cosines.topk(min(count, len(words)), dim=1)
    rows = zip(near.indices.tolist(), near.values.tolist(), strict=True)
    return [tuple(NearWord(words[i], value) for i, value in zip(*row, strict=True)) for row in rows]
