"""LTAD: everything that was learned, and nothing that was not."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ltad.config import LTADConfig
from ltad.foundation.base import FoundationModel
from ltad.model.patches import PatchFeatures
from ltad.model.prompts import ClassPrompts
from ltad.model.reconstruction import ReconstructionModule
from ltad.model.semantic import SemanticModule
from ltad.model.synthesis import FeatureVAE


class LTADOutput(NamedTuple):
    """patch_features, reconstructed_features: (B, N, D); semantic_logits: (B, N), higher = more anomalous."""

    patch_features: Tensor
    reconstructed_features: Tensor
    semantic_logits: Tensor


class LTAD(nn.Module):
    """The four modules of the paper's figure on the features of a frozen foundation model.

    The foundation model stays outside: features can be cached, and a state dict is exactly what was learned.
    name_features (K, J) and text_features (K, 2, J) are what its text tower made of the learned names; they are kept
    so that an inspection needs no text tower.
    """

    def __init__(
        self,
        patches: PatchFeatures,
        prompts: ClassPrompts,
        synthesis: FeatureVAE,
        reconstruction: ReconstructionModule,
        semantic: SemanticModule,
        joint_dim: int,
    ) -> None:
        super().__init__()
        self.patches = patches
        self.prompts = prompts
        self.synthesis = synthesis
        self.reconstruction = reconstruction
        self.semantic = semantic
        classes = len(prompts.class_tokens)
        self.register_buffer("name_features", torch.zeros(classes, joint_dim))
        self.register_buffer("text_features", torch.zeros(classes, 2, joint_dim))

    @torch.no_grad()
    def read_names(self, foundation: FoundationModel) -> None:
        """Let the text tower read the names as they are now."""
        self.name_features.copy_(self.prompts.name_features(foundation))
        self.text_features.copy_(self.prompts.text_features(foundation))

    def match(self, embedding: Tensor) -> Tensor:
        """Cosine similarity of image embeddings (B, J) to every pseudo class name: (B, K)."""
        return embedding @ self.name_features.T

    def forward(self, maps: Sequence[Tensor], class_ids: Tensor) -> LTADOutput:
        """Rebuild and judge every patch of B images, given their feature maps and classes (B,)."""
        patch_features = self.patches(self.patches.standardise(maps))
        reconstructed_features = self.reconstruction(patch_features)
        semantic_logits = self.semantic(patch_features, self.text_features[class_ids])
        return LTADOutput(patch_features, reconstructed_features, semantic_logits)


def build_patches(config: LTADConfig, foundation: FoundationModel) -> tuple[PatchFeatures, list[tuple[int, int]]]:
    """Make the patches of every map of the configured strides, and give the grid (h, w) of each of these maps."""
    strides, known = config.patches.strides, sorted(set(foundation.strides))
    if not set(strides) <= set(known) or len(set(strides)) < len(strides):
        raise ValueError(
            f"patches.strides must be different ones of {known}, which {foundation.fingerprint.name} has, got "
            f"{list(strides)}: choose for instance with --set patches.strides=[{known[0]}]"
        )
    layers = [layer for stride in strides for layer, other in enumerate(foundation.strides) if other == stride]
    sides = [foundation.fingerprint.image_size // foundation.strides[layer] for layer in layers]
    channels = [foundation.channels[layer] for layer in layers]
    side = max(sides) if config.patches.grid == "finest" else min(sides)
    patches = PatchFeatures(layers, channels, (side, side), pool=config.patches.pool)
    return patches, [(side, side) for side in sides]


def build_model(config: LTADConfig, foundation: FoundationModel, class_tokens: Tensor) -> LTAD:
    """Put an untrained LTAD together for the classes that ``class_tokens`` (K, L, token size) name."""
    patches, grids = build_patches(config, foundation)
    p, r, s = config.prompts, config.reconstruction, config.synthesis
    return LTAD(
        patches=patches,
        prompts=ClassPrompts(
            class_tokens,
            learned=p.learned,
            pair=p.pair,
            start=p.start,
            normal=p.normal,
            abnormal=p.abnormal,
            seed=config.seed,
        ),
        synthesis=FeatureVAE(
            deepest_channels=foundation.channels[-1],
            joint_dim=foundation.joint_dim,
            channels=patches.channels,
            grids=grids,
            latent=s.latent,
            layout=s.layout,
            width=s.width,
        ),
        reconstruction=ReconstructionModule(
            patches.feature_dim,
            patches.grid_size,
            dim=r.dim,
            depth=r.depth,
            heads=r.heads,
            pack=r.pack,
            neighbourhood=r.neighbourhood,
            layer_queries=r.layer_queries,
        ),
        semantic=SemanticModule(
            patches.channels,
            foundation.joint_dim,
            by_stride=config.semantic.projection == "stride",
            hidden=config.semantic.hidden,
            temperature=config.semantic.temperature,
        ),
        joint_dim=foundation.joint_dim,
    )
