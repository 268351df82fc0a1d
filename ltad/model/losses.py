"""The training losses: tensors in, a scalar out."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, mse_loss


def vae_loss(
    synthesised: Sequence[Tensor], real: Sequence[Tensor], mean: Tensor, log_variance: Tensor, kl_weight: float
) -> Tensor:
    """Mean squared error of the synthesised maps plus the weighted KL divergence of the latent from N(0, I).

    Source: Ho et al. 2024, Figure 3 (phase 1). The KL term is the mean over the latent's entries.
    """
    error = torch.stack([mse_loss(s, r) for s, r in zip(synthesised, real, strict=True)]).mean()
    divergence = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).mean()
    return error + kl_weight * divergence


def name_loss(embedding: Tensor, name_features: Tensor, class_ids: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of finding an image's own name among all: ties a name to the images of its class.

    embedding (B, J) and name_features (K, J) have unit length. Our addition to the paper's phase 1: without it a
    name becomes a distinct code that has nothing to do with what the image tower sees.
    """
    return cross_entropy(embedding @ name_features.T / temperature, class_ids)


def reconstruction_loss(reconstructed_features: Tensor, patch_features: Tensor) -> Tensor:
    """Mean squared error to the clean patches (UniAD; Ho et al. 2024, Figure 3, phase 2)."""
    return mse_loss(reconstructed_features, patch_features)


def semantic_loss(clean_logits: Tensor, noised_logits: Tensor) -> Tensor:
    """Binary cross-entropy with clean patches as normal and noised ones as abnormal (Ho et al. 2024, Figure 3)."""
    clean = binary_cross_entropy_with_logits(clean_logits, torch.zeros_like(clean_logits))
    noised = binary_cross_entropy_with_logits(noised_logits, torch.ones_like(noised_logits))
    return (clean + noised) / 2


def jitter(patch_features: Tensor, scale: float, noise: Tensor) -> Tensor:
    """Add UniAD's feature noise: N(0, 1) noise of the patches' shape, times scale · ‖p‖ / D of each patch."""
    spread = scale * patch_features.norm(dim=-1, keepdim=True) / patch_features.shape[-1]
    return patch_features + spread * noise
