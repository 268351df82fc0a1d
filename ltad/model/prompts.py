"""Pseudo class names: a few learned token vectors per class, spliced into fixed sentences.

Source: Ho et al. 2024, Figure 3: normal prompt [v_n ; s_c], abnormal prompt [v_a ; s_c], v static, s_c learned.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from ltad.foundation.base import FoundationModel


class ClassPrompts(nn.Module):
    """The names s_c of K classes, (K, L, token size), and what the frozen text tower makes of them."""

    def __init__(self, class_tokens: Tensor, *, normal: Sequence[str], abnormal: Sequence[str]) -> None:
        super().__init__()
        self.class_tokens = nn.Parameter(class_tokens)
        self.states = (tuple(normal), tuple(abnormal))

    def name_features(self, foundation: FoundationModel) -> Tensor:
        """Encode each name alone, t_c = T(s_c): (K, J), unit length."""
        return foundation.encode_prompts(list(self.class_tokens))

    def text_features(self, foundation: FoundationModel) -> Tensor:
        """Encode each name as [normal, abnormal]: (K, 2, J), the mean over wordings, unit length."""
        return torch.stack([self._encode(foundation, templates) for templates in self.states], dim=1)

    def _encode(self, foundation: FoundationModel, templates: Sequence[str]) -> Tensor:
        wordings = []
        for template in templates:
            before, after = (foundation.embed_words(part) for part in template.split("{}"))
            prompts = [torch.cat([before, tokens, after]) for tokens in self.class_tokens]
            wordings.append(foundation.encode_prompts(prompts))  # (K, J)
        return normalize(torch.stack(wordings).mean(0), dim=-1)


def start_tokens(
    foundation: FoundationModel, classes: int, *, tokens: int, word: str, spread: float, generator: torch.Generator
) -> Tensor:
    """Start every name from one neutral word plus a little noise: (K, L, token size)."""
    embedding = foundation.embed_words(word).mean(0)
    noise = torch.randn(classes, tokens, len(embedding), generator=generator)
    return embedding + spread * noise
