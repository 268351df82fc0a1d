"""Pseudo class names: a few learned token vectors per class, spliced into fixed sentences.

Source: Ho et al. 2024, Figure 3: normal prompt [v_n ; s_c], abnormal prompt [v_a ; s_c], v static, s_c learned.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, pad

from ltad.foundation.base import FoundationModel
from ltad.words import spoken

NEUTRAL_NAME = "object"  # our choice: what a class is called where its own name may not be used


class ClassPrompts(nn.Module):
    """The names s_c of K classes, (K, L, token size), and what the frozen text tower makes of them.

    A vector of zeros stands for no token, and stays so: a short name has fewer than L. With pair "shared" (the start
    word) or "random" (unit vectors) the prompts know no class; both are controls for what the names are worth.
    """

    def __init__(
        self,
        class_tokens: Tensor,
        *,
        learned: bool,
        pair: str,
        start: str,
        normal: Sequence[str],
        abnormal: Sequence[str],
        seed: int,
    ) -> None:
        super().__init__()
        self.class_tokens = nn.Parameter(class_tokens, requires_grad=learned)
        self.pair = pair
        self.start = start
        self.states = (tuple(normal), tuple(abnormal))
        self.seed = seed

    def name_features(self, foundation: FoundationModel) -> Tensor:
        """Encode each name alone, t_c = T(s_c): (K, J), unit length."""
        return foundation.encode_prompts(self._names())

    def text_features(self, foundation: FoundationModel) -> Tensor:
        """Give each class its pair [normal, abnormal]: (K, 2, J), the mean over wordings, unit length."""
        if self.pair == "random":
            generator = torch.Generator().manual_seed(self.seed)
            pairs = normalize(torch.randn(1, 2, foundation.joint_dim, generator=generator), dim=-1)
            pairs = pairs.to(self.class_tokens.device)
        else:
            shared = self.pair == "shared"
            names = [foundation.embed_words(spell(self.start, NEUTRAL_NAME))] if shared else self._names()
            pairs = torch.stack([_encode(foundation, templates, names) for templates in self.states], dim=1)
        return pairs.expand(len(self.class_tokens), -1, -1)

    def _names(self) -> list[Tensor]:
        return [tokens[tokens.any(-1)] for tokens in self.class_tokens]


def _encode(foundation: FoundationModel, templates: Sequence[str], names: Sequence[Tensor]) -> Tensor:
    wordings = []
    for template in templates:
        before, after = (foundation.embed_words(part) for part in template.split("{}"))
        prompts = [torch.cat([before, tokens, after]) for tokens in names]
        wordings.append(foundation.encode_prompts(prompts))  # (K, J)
    return normalize(torch.stack(wordings).mean(0), dim=-1)


def spell(start: str, class_name: str) -> str:
    """Put a data set's name of a class, such as metal_nut, where the start says {}."""
    return start.replace("{}", spoken(class_name))


def start_tokens(
    foundation: FoundationModel,
    class_names: Sequence[str],
    *,
    tokens: int,
    start: str,
    spread: float,
    generator: torch.Generator,
) -> Tensor:
    """Start every name, (K, L, token size): from one neutral word plus a little noise, or from the given name, exactly.

    Raises:
        ValueError: a given name has no text token or more than L.
    """
    if "{}" in start:
        return torch.stack([_given_tokens(foundation, spell(start, name), tokens) for name in class_names])
    embedding = foundation.embed_words(start).mean(0)
    noise = torch.randn(len(class_names), tokens, len(embedding), generator=generator).to(embedding.device)
    return embedding + spread * noise


def _given_tokens(foundation: FoundationModel, name: str, tokens: int) -> Tensor:
    embeddings = foundation.embed_words(name)
    if not 1 <= len(embeddings) <= tokens:
        raise ValueError(f"“{name}” has {len(embeddings)} text tokens, but prompts.tokens allows 1 to {tokens}")
    return pad(embeddings, (0, 0, 0, tokens - len(embeddings)))
