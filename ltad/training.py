"""From a data set to a checkpoint: phase 1, phase 2, and the statistics of what is normal.

Plain losses over cached features; the loop that runs them is in ``ltad.stages``, the held-out statistics in
``ltad.crossfit``.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from ltad.checkpoint import Checkpoint, CheckpointCard, ClassCard, DataCard, save_checkpoint
from ltad.config import LTADConfig, Phase2Config
from ltad.crossfit import Fold, deal_folds, fit_statistics, make_calibration
from ltad.data import Dataset
from ltad.data.longtail import tail_classes
from ltad.errors import DatasetError
from ltad.features import Features, Progress, cache_features
from ltad.foundation.base import FoundationModel
from ltad.losses import jitter, name_loss, reconstruction_loss, semantic_loss, vae_loss
from ltad.model.ltad import LTAD, build_model
from ltad.model.prompts import start_tokens
from ltad.stages import Stage, StageFolder, run_stage
from ltad.views import Views, make_views


def draw_balanced(class_ids: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Draw image indices (count,) so that every class present comes up equally often, however few its images."""
    weights = 1.0 / class_ids.bincount().clamp(min=1)[class_ids]
    return torch.multinomial(weights, count, replacement=True, generator=generator)


def phase1(model: LTAD, features: Features, foundation: FoundationModel, config: LTADConfig, prefix: str) -> Stage:
    """Learn the pseudo class names and the generator (Ho et al. 2024, Figure 3, upper half).

    The gradient reaches the names through the frozen text tower, from the decoder's condition and from matching.
    """
    settings = config.phase1

    def loss(generator: torch.Generator) -> Tensor:
        batch = features.batch(draw_balanced(features.class_ids, settings.batch_size, generator))
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
    return Stage(prefix + "phase1", settings.steps, module, groups, loss)


def synthesis_probabilities(train_counts: Mapping[str, int], settings: Phase2Config) -> Tensor:
    """How often a synthesised image replaces a real one of each class: (K,)."""
    head, tail = settings.synthesis_probability, settings.tail_synthesis_probability
    in_tail = tail_classes(train_counts) if tail is not None else ()
    return torch.tensor([tail if name in in_tail else head for name in train_counts])


def phase2(model: LTAD, features: Features, train_counts: Mapping[str, int], config: LTADConfig, prefix: str) -> Stage:
    """Learn reconstruction and semantics on real and synthesised features (Ho et al. 2024, Figure 3, lower half).

    The names are kept as phase 1 left them.
    """
    settings = config.phase2
    probabilities = synthesis_probabilities(train_counts, settings)

    def loss(generator: torch.Generator) -> Tensor:
        batch = features.batch(draw_balanced(features.class_ids, settings.batch_size, generator))
        replaced = torch.rand(settings.batch_size, generator=generator) < probabilities[batch.class_ids]
        patches = _real_or_synthesised(model, batch, replaced, settings.synthesis_source, generator)
        return phase2_loss(model, patches, batch.class_ids, settings, generator)

    module = nn.ModuleDict({"reconstruction": model.reconstruction, "semantic": model.semantic})
    groups = [{"params": list(module.parameters()), "lr": settings.learning_rate}]
    return Stage(prefix + "phase2", settings.steps, module, groups, loss, settings.gradient_clip, settings.weight_decay)


def phase2_loss(
    model: LTAD, patches: Tensor, class_ids: Tensor, settings: Phase2Config, generator: torch.Generator
) -> Tensor:
    """How badly noised patches (B, N, D) are rebuilt, and told from clean ones by their classes' (B,) prompts."""
    text = model.text_features[class_ids]
    noise = torch.randn(patches.shape, generator=generator)
    rebuilt = model.reconstruction(jitter(patches, settings.reconstruction_jitter, noise))
    chosen = torch.randperm(patches.shape[1], generator=generator)[: settings.semantic_patches]
    some = patches[:, chosen]
    noise = noise[:, chosen] if settings.same_noise else torch.randn(some.shape, generator=generator)
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
            real[replaced] = synthetic
    return model.patches(maps)


def fit(
    features: Features,
    foundation: FoundationModel,
    train_counts: Mapping[str, int],
    config: LTADConfig,
    *,
    prefix: str = "",
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
    model = build_model(config, foundation, tokens)
    model.see_classes(features.embeddings, features.class_ids)
    model.patches.learn_channels(features.maps, features.class_ids)
    for memory in model.memories:
        memory.remember(features.maps, features.class_ids, generator)
    run_stage(phase1(model, features, foundation, config, prefix), config.seed, folder, progress)
    model.read_names(foundation)
    run_stage(phase2(model, features, train_counts, config, prefix), config.seed + 1, folder, progress)
    return finished(model)


def finished(model: LTAD) -> LTAD:
    """The model as a checkpoint keeps it: exact in half precision, and not to be trained."""
    state = model.state_dict().items()
    model.load_state_dict({name: t.half().float() if t.is_floating_point() else t for name, t in state})
    return model.eval().requires_grad_(False)


def with_views(features: Features, views: Views | None, seen: Tensor) -> Features:
    """The images that are seen (n,), and the copies that were made of them."""
    images = features.take(seen.nonzero()[:, 0])
    return images.join(views.features.take(seen[views.sources].nonzero()[:, 0])) if views else images


def train(
    dataset: Dataset,
    foundation: FoundationModel,
    config: LTADConfig,
    output: Path,
    *,
    data: DataCard,
    resume: bool = False,
    progress: Progress,
) -> Checkpoint:
    """Train on a data set's normal images and write the checkpoint folder.

    Stage states lie in ``output/.training`` until the checkpoint is whole; with ``resume`` those of the same training
    are gone on with, otherwise they are thrown away first.
    """
    names, counts = dataset.class_names, dataset.train_counts
    if max(counts.values()) < 2:
        raise DatasetError(f"{dataset.name} has one training image per class: at least one class needs two.")
    # What does not fit together is refused before hours of encoding, and before anything is thrown away.
    build_model(config, foundation, torch.zeros(len(names), config.prompts.tokens, foundation.token_size))
    stages = output / ".training"
    if not resume:
        shutil.rmtree(stages, ignore_errors=True)
    identity = json.dumps([config.to_dict(), foundation.fingerprint.to_dict(), data.split_hash, names])
    folder = StageFolder(stages, identity)
    features = cache_features(dataset.train, names, foundation, progress)
    views = make_views(dataset.train, features, foundation, config.views, config.seed, progress)
    dealt = deal_folds(features.class_ids, config.calibration.folds, config.seed)
    folds = []
    shorter = replace(config, phase2=replace(config.phase2, steps=config.calibration.phase2_steps))
    for fold in range(config.calibration.folds):
        seen = with_views(features, views, dealt != fold)
        model = fit(seen, foundation, counts, shorter, prefix=f"fold{fold + 1}-", folder=folder, progress=progress)
        folds.append(Fold(model, (dealt == fold).nonzero()[:, 0]))
    everything = with_views(features, views, torch.ones_like(dealt, dtype=torch.bool))
    final = fit(everything, foundation, counts, config, folder=folder, progress=progress)
    statistics, scores, similarities = fit_statistics(folds, final, features, config)
    tail = tail_classes(counts)
    card = CheckpointCard(
        path=output,
        config=config,
        foundation=foundation.fingerprint,
        classes=tuple(ClassCard(name=n, n_train=counts[n], group="tail" if n in tail else "head") for n in names),
        data=data,
        calibration=make_calibration(names, scores, similarities),
        metrics=None,
    )
    checkpoint = Checkpoint(card=card, model=final, statistics=statistics)
    (output / "metrics.json").unlink(missing_ok=True)  # of whatever was there before
    save_checkpoint(checkpoint)
    shutil.rmtree(stages, ignore_errors=True)
    return checkpoint
