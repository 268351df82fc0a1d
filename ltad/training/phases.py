"""Phase 1 and phase 2 (Ho et al. 2024, Figure 3): losses over cached features, and a model that went through both."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ltad.config import LTADConfig, Phase2Config
from ltad.data.longtail import tail_classes
from ltad.foundation.base import FoundationModel
from ltad.foundation.features import Features
from ltad.model.losses import jitter, name_loss, reconstruction_loss, semantic_loss, vae_loss
from ltad.model.ltad import LTAD, build_model
from ltad.model.noise import normal_noise
from ltad.model.prompts import start_tokens
from ltad.model.reconstruction import ReconstructionModule
from ltad.progress import Progress, Stage
from ltad.training.optimisation import Optimisation, StageFolder, optimise


def draw_balanced(class_ids: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Draw image indices (count,) so that every class present comes up equally often, however few its images."""
    weights = 1.0 / class_ids.bincount().clamp(min=1)[class_ids]
    return torch.multinomial(weights, count, replacement=True, generator=generator)


def phase1(
    model: LTAD, features: Features, foundation: FoundationModel, config: LTADConfig, fold: int | None
) -> Optimisation:
    """Learn the pseudo class names and the generator (Ho et al. 2024, Figure 3, upper half).

    The gradient reaches the names through the frozen text tower, from the decoder's condition and from matching.
    """
    settings = config.phase1

    def loss(generator: torch.Generator) -> Tensor:
        batch = features.batch(draw_balanced(features.class_ids, settings.batch_size, generator), model.device)
        real = model.patches.standardise(batch.maps)
        names = model.prompts.name_features(foundation)
        drawn = model.synthesis(batch.maps[-1], names[batch.class_ids], generator)
        total = vae_loss(drawn.maps, real, drawn.mean, drawn.log_variance, config.synthesis.kl_weight)
        match = name_loss(batch.embeddings, names, batch.class_ids, settings.temperature)
        return total + settings.contrastive_weight * match

    groups = [
        {"params": list(model.synthesis.parameters()), "lr": settings.learning_rate},
        {"params": list(model.prompts.parameters()), "lr": settings.name_learning_rate},
    ]
    module = nn.ModuleDict({"prompts": model.prompts, "synthesis": model.synthesis})
    return Optimisation(Stage("phase1", fold), settings.steps, module, groups, loss)


def synthesis_probabilities(train_counts: Mapping[str, int], settings: Phase2Config) -> Tensor:
    """How often a synthesised image replaces a real one of each class: (K,)."""
    head, tail = settings.synthesis_probability, settings.tail_synthesis_probability
    in_tail = tail_classes(train_counts) if tail is not None else ()
    return torch.tensor([tail if name in in_tail else head for name in train_counts])


def phase2(
    model: LTAD, features: Features, train_counts: Mapping[str, int], config: LTADConfig, fold: int | None
) -> Optimisation:
    """Learn reconstruction and semantics on real and synthesised features (Ho et al. 2024, Figure 3, lower half).

    The names are kept as phase 1 left them.
    """
    settings = config.phase2
    probabilities = synthesis_probabilities(train_counts, settings).to(model.device)

    def loss(generator: torch.Generator) -> Tensor:
        batch = features.batch(draw_balanced(features.class_ids, settings.batch_size, generator), model.device)
        chance = torch.rand(settings.batch_size, generator=generator).to(batch.class_ids.device)
        replaced = chance < probabilities[batch.class_ids]
        patches = _real_or_synthesised(model, batch, replaced, settings.synthesis_source, generator)
        return phase2_loss(model, patches, batch.class_ids, settings, generator)

    module = nn.ModuleDict({"reconstruction": model.reconstruction, "semantic": model.semantic})
    stage, (groups, muon_groups) = Stage("phase2", fold), phase2_groups(module, model.reconstruction, settings)
    clip, decay = settings.gradient_clip, settings.weight_decay
    return Optimisation(stage, settings.steps, module, groups, loss, clip, decay, muon_groups)


def phase2_groups(
    module: nn.Module, reconstruction: ReconstructionModule, settings: Phase2Config
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What AdamW learns of a module that holds the transformer, and what Muon does: its hidden matrices, if asked."""
    hidden = reconstruction.hidden_matrices if settings.optimiser == "muon" else []
    apart = set(map(id, hidden))
    rest = [parameter for parameter in module.parameters() if id(parameter) not in apart]
    matrices = [{"params": hidden, "lr": settings.muon_learning_rate}] if hidden else []
    return [{"params": rest, "lr": settings.learning_rate}], matrices


def phase2_loss(
    model: LTAD, patches: Tensor, class_ids: Tensor, settings: Phase2Config, generator: torch.Generator
) -> Tensor:
    """How badly noised patches (B, N, D) are rebuilt, and told from clean ones by their classes' (B,) prompts."""
    text = model.text_features[class_ids]
    noise = normal_noise(patches.shape, generator, patches.device)
    rebuilt = model.reconstruction(jitter(patches, settings.reconstruction_jitter, noise))
    chosen = torch.randperm(patches.shape[1], generator=generator)[: settings.semantic_patches].to(patches.device)
    some = patches[:, chosen]
    if settings.same_noise:
        noise = noise[:, chosen]
    else:
        noise = normal_noise(some.shape, generator, some.device)
    noised = jitter(some, settings.semantic_jitter, noise)
    semantic = semantic_loss(model.semantic(some, text), model.semantic(noised, text))
    return reconstruction_loss(rebuilt, patches) + settings.semantic_weight * semantic


@torch.no_grad()
def _real_or_synthesised(
    model: LTAD, batch: Features, replaced: Tensor, source: str, generator: torch.Generator
) -> Tensor:
    """Patch features (B, N, D) of the batch; where ``replaced`` (B,), of a synthesised image of the same class."""
    maps = model.patches.standardise(batch.maps)
    if replaced.any():
        names = model.name_features[batch.class_ids[replaced]]
        if source == "prior":
            drawn = model.synthesis.draw(names, generator)
        else:
            drawn = model.synthesis(batch.maps[-1][replaced], names, generator).maps
        for real, synthetic in zip(maps, drawn, strict=True):
            real[replaced] = synthetic.to(real.dtype)
    return model.patches(maps)


def fit(
    features: Features,
    foundation: FoundationModel,
    train_counts: Mapping[str, int],
    config: LTADConfig,
    *,
    fold: int | None = None,
    folder: StageFolder | None = None,
    progress: Progress,
) -> LTAD:
    """Train a model on cached features; what it holds at the end is exact in half precision.

    train_counts: images of every class in the whole training set, in the order of the class ids.
    """
    generator = torch.Generator().manual_seed(config.seed)
    p = config.prompts
    tokens = start_tokens(
        foundation, tuple(train_counts), tokens=p.tokens, start=p.start, spread=p.spread, generator=generator
    )
    torch.manual_seed(config.seed)  # for the layers' own initial values
    model = build_model(config, foundation, tokens).to(foundation.device)
    model.see_classes(features.embeddings, features.class_ids)
    model.patches.learn_channels(features.maps, features.class_ids)
    for memory in model.memories:
        memory.remember(features.maps[memory.layer], features.class_ids, generator)
    for fine, memory in model.twins:
        fine.remember_finely(memory, features.fine, features.class_ids, generator)
    optimise(phase1(model, features, foundation, config, fold), config.seed, folder, progress)
    model.read_names(foundation)
    optimise(phase2(model, features, train_counts, config, fold), config.seed + 1, folder, progress)
    return finished(model)


def finished(model: LTAD) -> LTAD:
    """The model as a checkpoint keeps it: exact in half precision, and not to be trained."""
    state = model.state_dict().items()
    model.load_state_dict({name: t.half().float() if t.is_floating_point() else t for name, t in state})
    return model.eval().requires_grad_(False)
