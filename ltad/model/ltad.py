"""LTAD: everything that was learned, and nothing that was not."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, normalize

from ltad.config import LTADConfig
from ltad.foundation.base import Detail, FoundationModel
from ltad.model.memory import PatchMemory
from ltad.model.patches import PatchFeatures
from ltad.model.prompts import ClassPrompts
from ltad.model.reconstruction import ReconstructionModule
from ltad.model.semantic import SemanticModule
from ltad.model.synthesis import FeatureVAE


class LTADOutput(NamedTuple):
    """What the modules say of B images' patches.

    patch_features, reconstructed_features: (B, N, D). memory_distances: (B, S, N), one per memory; semantic_logits:
    (B, N); both higher = more anomalous. fine_distances: of each image (T, h, w), one per fine memory; of none where
    nothing is seen finely.
    """

    patch_features: Tensor
    reconstructed_features: Tensor
    memory_distances: Tensor
    semantic_logits: Tensor
    fine_distances: tuple[Tensor, ...] = ()


class LTAD(nn.Module):
    """The four modules of the paper's figure, and our memories, on the features of a frozen foundation model.

    The foundation model stays outside: features can be cached, and a state dict is exactly what was learned.
    name_features (K, J) and text_features (K, 2, J) are what its text tower made of the learned names; they are kept
    so that an inspection needs no text tower. class_embeddings (K, J) say where a class's training images lie.
    fine_memories hold what is seen finely, each in the coordinates of one of the memories; there may be none.
    """

    memories: Sequence[PatchMemory]
    fine_memories: Sequence[PatchMemory]
    name_features: Tensor
    text_features: Tensor
    class_embeddings: Tensor

    def __init__(
        self,
        patches: PatchFeatures,
        prompts: ClassPrompts,
        synthesis: FeatureVAE,
        reconstruction: ReconstructionModule,
        memories: Sequence[PatchMemory],
        fine_memories: Sequence[PatchMemory],
        semantic: SemanticModule,
        joint_dim: int,
    ) -> None:
        super().__init__()
        self.patches = patches
        self.prompts = prompts
        self.synthesis = synthesis
        self.reconstruction = reconstruction
        self.memories = nn.ModuleList(memories)  # type: ignore[assignment]  # torch's list names no element type
        self.fine_memories = nn.ModuleList(fine_memories)  # type: ignore[assignment]
        self.semantic = semantic
        classes = len(prompts.class_tokens)
        self.register_buffer("name_features", torch.zeros(classes, joint_dim))
        self.register_buffer("text_features", torch.zeros(classes, 2, joint_dim))
        self.register_buffer("class_embeddings", torch.zeros(classes, joint_dim))

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.name_features.device

    @property
    def twins(self) -> list[tuple[PatchMemory, PatchMemory]]:
        """Every memory of what is seen finely, and that of the whole frame whose coordinates it shares."""
        layers = {memory.layer for memory in self.fine_memories}
        return list(zip(self.fine_memories, [m for m in self.memories if m.layer in layers], strict=True))

    @torch.no_grad()
    def read_names(self, foundation: FoundationModel) -> None:
        """Let the text tower read the names as they are now."""
        self.name_features.copy_(self.prompts.name_features(foundation))
        self.text_features.copy_(self.prompts.text_features(foundation))

    @torch.no_grad()
    def see_classes(self, embeddings: Tensor, class_ids: Tensor) -> None:
        """Take the mean direction of each class's image embeddings (n, J); a class without images keeps zeros."""
        sums = embeddings.new_zeros(self.class_embeddings.shape).index_add_(0, class_ids, embeddings)
        self.class_embeddings.copy_(normalize(sums, dim=-1))

    def match(self, embedding: Tensor) -> Tensor:
        """Cosine similarity of image embeddings (B, J) to every pseudo class name: (B, K)."""
        return embedding @ self.name_features.T

    def familiarity(self, embedding: Tensor, class_ids: Tensor, by: str = "images") -> Tensor:
        """Cosine similarity of image embeddings (B, J) to where images of a class (B,) lie, or to its name: (B,)."""
        known = self.class_embeddings if by == "images" else self.name_features
        return (embedding * known[class_ids]).sum(-1)

    def forward(self, maps: Sequence[Tensor], class_ids: Tensor, fine: Sequence[Tensor] = ()) -> LTADOutput:
        """Rebuild, look up and judge every patch of B images, given their feature maps and classes (B,).

        fine: a map (C, h, w) of each image's fine view, which is looked up alone.
        """
        patch_features = self.patches(self.patches.standardise(maps))
        return LTADOutput(
            patch_features=patch_features,
            reconstructed_features=self.reconstruction(patch_features),
            memory_distances=look_up(self.memories, maps, class_ids, self.patches.grid_size),
            semantic_logits=self.semantic(patch_features, self.text_features[class_ids]),
            fine_distances=look_up_finely(self.fine_memories, fine, class_ids),
        )


def look_up(
    memories: Sequence[PatchMemory], maps: Sequence[Tensor], class_ids: Tensor, grid: tuple[int, int]
) -> Tensor:
    """Distances to each memory's nearest exemplars, on the grid of the patches: (B, S, N)."""
    distances = [memory(maps[memory.layer], class_ids)[:, None] for memory in memories]
    fine = [interpolate(d, grid, mode="bilinear", align_corners=False) for d in distances]
    return torch.cat(fine, dim=1).flatten(2) if fine else maps[0].new_empty(len(class_ids), 0, grid[0] * grid[1])


def look_up_finely(memories: Sequence[PatchMemory], fine: Sequence[Tensor], class_ids: Tensor) -> tuple[Tensor, ...]:
    """Distances (T, h, w) of each image's fine map (C, h, w) to each memory's nearest exemplars of its class (B,)."""
    return tuple(
        torch.cat([memory(each[None], class_id) for memory in memories])
        for each, class_id in zip(fine, class_ids.split(1), strict=False)
    )


def build_patches(config: LTADConfig, foundation: FoundationModel) -> tuple[PatchFeatures, list[tuple[int, int]]]:
    """Make the patches of every map of the configured strides, and give the grid (h, w) of each of these maps."""
    strides, there = config.patches.strides, sorted(set(foundation.strides))
    if not set(strides) <= set(there) or len(set(strides)) < len(strides):
        raise ValueError(
            f"patches.strides must be different ones of {there}, which {foundation.fingerprint.name} has, got "
            f"{list(strides)}: choose for instance with --set patches.strides=[{there[0]}]"
        )
    layers = [layer for stride in strides for layer, other in enumerate(foundation.strides) if other == stride]
    sides = [foundation.fingerprint.image_size // foundation.strides[layer] for layer in layers]
    channels = [foundation.channels[layer] for layer in layers]
    side = max(sides) if config.patches.grid == "finest" else min(sides)
    patches = PatchFeatures(layers, channels, (side, side), pool=config.patches.pool)
    return patches, [(side, side) for side in sides]


def detail_of(config: LTADConfig, foundation: FoundationModel) -> Detail | None:
    """How finely pictures are seen, by the finest of the memories' maps; None = only whole."""
    if config.detail.times == 1:
        return None
    stride = min(config.memory.strides)
    return Detail(config.detail.times, max(i for i, other in enumerate(foundation.strides) if other == stride))


def build_memories(config: LTADConfig, foundation: FoundationModel, classes: int) -> list[PatchMemory]:
    """Make the empty memories: of each stride the deepest map, with the exemplars that the shared budget allows."""
    m, strides = config.memory, foundation.strides
    if m.per_class == 0:
        return []
    if not set(m.strides) <= set(strides):
        raise ValueError(
            f"memory.strides must be among {sorted(set(strides))}, which {foundation.fingerprint.name} has, got "
            f"{list(m.strides)}: choose for instance with --set memory.strides={[strides[-1]] * len(m.strides)}"
        )
    exemplars = max(1, min(m.per_class, m.total // classes))
    layers = [max(layer for layer, other in enumerate(strides) if other == stride) for stride in m.strides]
    return [
        PatchMemory(
            layer,
            foundation.channels[layer],
            pool=pool,
            is_cosine=metric == "cosine",
            dim=m.dim,
            classes=classes,
            exemplars=exemplars,
        )
        for layer, pool, metric in zip(layers, m.pools, m.metrics, strict=True)
    ]


def build_model(config: LTADConfig, foundation: FoundationModel, class_tokens: Tensor) -> LTAD:
    """Put an untrained LTAD together for the classes that ``class_tokens`` (K, L, token size) name."""
    patches, grids = build_patches(config, foundation)
    memories, detail = build_memories(config, foundation, len(class_tokens)), detail_of(config, foundation)
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
            layouts=s.layouts,
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
        memories=memories,
        fine_memories=[
            m.like(len(class_tokens), is_settled=True) for m in memories if detail and m.layer == detail.layer
        ],
        semantic=SemanticModule(
            patches.channels,
            foundation.joint_dim,
            by_stride=config.semantic.projection == "stride",
            hidden=config.semantic.hidden,
            temperature=config.semantic.temperature,
        ),
        joint_dim=foundation.joint_dim,
    )
