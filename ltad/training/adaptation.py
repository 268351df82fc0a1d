"""One class more for a trained checkpoint, from a few good images of it and none of the others.

Ours, beyond the paper. A new class gets a pseudo name, learned against the names and the mean images that there are;
then phase 2 goes on with its images and with features of the parent's classes that the phase 1 generator draws from
their names (generative replay). The exemplars of all classes share the same budget as before. A class that the parent
has is refined in the same way under its own name.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss, normalize

from ltad.checkpoint.card import CheckpointCard, ClassCard, Parent
from ltad.checkpoint.folder import Checkpoint, save_checkpoint
from ltad.config import AdaptConfig
from ltad.data import Sample
from ltad.data.longtail import tail_classes
from ltad.errors import DatasetError
from ltad.foundation.base import FoundationModel
from ltad.foundation.features import Encoder, Features, Store
from ltad.judging.scoring import ScoreStatistics
from ltad.model.losses import name_loss, vae_loss
from ltad.model.ltad import LTAD, build_model
from ltad.model.prompts import ClassPrompts, start_tokens
from ltad.progress import Progress, Stage
from ltad.training.folds import fit_folds
from ltad.training.images import see
from ltad.training.normals import fit_class_statistics
from ltad.training.optimisation import Optimisation, StageFolder, optimise
from ltad.training.phases import finished, phase2_loss

FEWEST = 4  # images: with fewer, half of them could not judge the other half
FOLDS = 2
FOLD_SHARE = 0.5  # of the steps that models which only judge are trained for
LOOK_EVERY = 10  # steps of phase 2
DEFAULT_MINUTES = 3.0  # what the default steps take on two CPU cores

Watch = Callable[[str, Tensor], None]  # shown an image's name and a map (h, w): how far off its reconstruction is


def steps_for(minutes: float) -> AdaptConfig:
    """The settings whose steps take about so many minutes on two CPU cores; no clock is read, so that all get the same.

    Raises ValueError for no time or more than an hour.
    """
    if not 0 < minutes <= 60:
        raise ValueError(f"minutes must be over 0 and at most 60, got {minutes:g}")
    base = AdaptConfig()
    steps = {
        name: max(10, round(getattr(base, name) * minutes / DEFAULT_MINUTES))
        for name in ("name_steps", "generator_steps", "steps")
    }
    return replace(base, **steps)


def steps_of(settings: AdaptConfig, kind: str, fold: int | None) -> int:
    """How many steps a stage takes: "name", "generator" or "phase2", of the model of a fold or of the final one."""
    steps = {"name": settings.name_steps, "generator": settings.generator_steps, "phase2": settings.steps}[kind]
    return max(1, round((FOLD_SHARE if fold else 1.0) * steps)) if steps else 0


def steps_to_do(settings: AdaptConfig) -> dict[Stage, int]:
    """The stages of an adaptation in their order, with their steps; a class that the parent has learns no name."""
    stages = [Stage(kind, fold) for fold in (*range(1, FOLDS + 1), None) for kind in ("name", "generator", "phase2")]
    return {stage: steps for stage in stages if (steps := steps_of(settings, *stage))}


def adapt(
    parent: Checkpoint,
    samples: Sequence[Sample],
    class_name: str,
    foundation: FoundationModel,
    settings: AdaptConfig,
    output: Path,
    *,
    command: str,
    start: str | None = None,
    resume: bool = False,
    store: Store | None = None,
    progress: Progress,
    watch: Watch | None = None,
) -> Checkpoint:
    """Teach a checkpoint a class from good images of it, and write the new checkpoint's folder.

    start: a word for a new class, from which its name starts; None = the name that its images are most like.
    Stage states lie in ``output/.training`` until the checkpoint is whole; with ``resume`` those of the same
    adaptation are gone on with. store: where the images' features are kept, too. watch: shown the first image, every
    few steps of phase 2. Raises DatasetError for fewer than ``FEWEST`` images.
    """
    if len(samples) < FEWEST:
        raise DatasetError(
            f"{len(samples)} images are too few to learn “{class_name}”: at least {FEWEST} good ones are needed, and "
            "20 or more promise fewer false alarms."
        )
    card, seed = parent.card, settings.seed
    is_new = class_name not in card.class_names
    names = (*card.class_names, class_name) if is_new else card.class_names
    class_id = names.index(class_name)
    samples = [replace(sample, class_name=class_name) for sample in samples]
    read = hashlib.sha256("\n".join(sample.name for sample in samples).encode()).hexdigest()[:16]
    identity = [vars(settings), card.sha256(), foundation.fingerprint.to_dict(), class_name, start, read]
    with StageFolder(output, identity, resume=resume) as stages:
        images = see(samples, names, Encoder(foundation, store), card.config.views, seed, progress)
        first = images.features.batch(torch.zeros_like(images.features.class_ids[:1]))

        def learn(seen: Features, fold: int | None) -> LTAD:
            student = _Student(parent, class_id, seen, foundation, settings, fold)
            told = _watched(student.model, first, samples[0].name, watch, progress) if watch else progress
            return student.learn(start, stages, told)

        folds, final = fit_folds(images, FOLDS, seed, learn)
        normal, held_out = fit_class_statistics(folds, images.features, parent.statistics, card.config)
        before = 0 if is_new else card.classes[class_id].n_train
        adapted = CheckpointCard(
            path=output,
            config=card.config,
            foundation=card.foundation,
            classes=_class_cards(card, class_name, len(samples)),
            data=card.data.with_images(class_name, read, is_new=is_new, command=command),
            calibration=held_out.added_to(card.calibration, class_name),
            metrics=None,
            parent=Parent(name=card.name, sha256=card.sha256()),
        )
        share = len(samples) / (len(samples) + before)
        statistics = _with_class(parent.statistics, normal, class_id, share)
        checkpoint = Checkpoint(card=adapted, model=final, statistics=statistics)
        save_checkpoint(checkpoint)
    return checkpoint


class _Student:
    """A copy of a checkpoint's model that learns one class from its images, by stages.

    fold: that it is to judge; None = the final model. The parent's model as it was, the teacher, says what the other
    classes are like.
    """

    def __init__(
        self,
        parent: Checkpoint,
        class_id: int,
        images: Features,
        foundation: FoundationModel,
        settings: AdaptConfig,
        fold: int | None,
    ) -> None:
        self.config, self.teacher = parent.card.config, parent.model
        self.class_id, self.images, self.foundation = class_id, images, foundation
        self.settings, self.fold = settings, fold
        self.taught = len(parent.card.classes)  # classes that the teacher has
        self.is_new = class_id == self.taught
        self.model = _grown(parent, foundation, max(self.taught, class_id + 1))

    def learn(self, start: str | None, folder: StageFolder, progress: Progress) -> LTAD:
        """Name, exemplars, generator, reconstruction and semantics, one after the other."""
        seed, model = self.settings.seed, self.model
        self._see()
        if self.is_new:
            name = self._starting_name(start)
            optimise(self._name_stage(name), seed, folder, progress)
            self._take_name(name)
        generator = torch.Generator().manual_seed(seed)
        for memory in model.memories:
            memory.remember_class(self.images.maps, self.class_id, generator, keep=not self.is_new)
        if self.settings.generator_steps:
            optimise(self._generator_stage(), seed + 1, folder, progress)
        optimise(self._phase2_stage(), seed + 2, folder, progress)
        return finished(model)

    def _stage(self, kind: str) -> tuple[Stage, int]:
        return Stage(kind, self.fold), steps_of(self.settings, kind, self.fold)

    def _see(self) -> None:
        """Note where the class's images lie; a class that is not new moves halfway to where these do."""
        mean = normalize(self.images.embeddings.mean(0), dim=0)
        place = self.model.class_embeddings[self.class_id]
        place.copy_(normalize(place + mean, dim=0))

    def _starting_name(self, start: str | None) -> ClassPrompts:
        """The new name before it is learned: the tokens of the nearest name, or of a word."""
        own = self.teacher.prompts
        if start is None:
            nearest = int(self.teacher.match(self.images.embeddings.mean(0)[None]).argmax())
            tokens = own.class_tokens[nearest].detach().clone()[None]
        elif not start.strip():
            raise ValueError("The word from which the name starts is empty; leave it out or give one.")
        else:
            length, generator = own.class_tokens.shape[1], torch.Generator()
            tokens = start_tokens(
                self.foundation, (start,), tokens=length, start=start, spread=0.0, generator=generator
            )
        normal, abnormal = own.states
        return ClassPrompts(
            tokens, learned=True, pair=own.pair, start=own.start, normal=normal, abnormal=abnormal, seed=own.seed
        )

    def _name_stage(self, name: ClassPrompts) -> Optimisation:
        """Learn the new name: of every class one image a step, the new one among them, is to find its own name.

        Where the others' mean images lie is kept; their images are taken to scatter as the new ones do. Our
        choice, decided on training images of two kinds of solar cells: more of the new ones a step, and the mean
        images alone, gave the new name up to an eighth of the other kind's images.
        """
        teacher, own = self.teacher, self.images.embeddings
        mean = own.mean(0)
        centres, scatter = self.model.class_embeddings * mean.norm(), own - mean
        class_ids = torch.arange(len(centres), device=centres.device)

        def loss(generator: torch.Generator) -> Tensor:
            names = torch.cat([teacher.name_features, name.name_features(self.foundation)])
            drawn = torch.randint(len(own), class_ids.shape, generator=generator).to(own.device)
            embeddings = normalize(centres + scatter[drawn], dim=-1)
            return name_loss(embeddings, names, class_ids, self.config.phase1.temperature)

        groups = [{"params": list(name.parameters()), "lr": self.settings.name_learning_rate}]
        return Optimisation(*self._stage("name"), name, groups, loss)

    @torch.no_grad()
    def _take_name(self, name: ClassPrompts) -> None:
        self.model.prompts.class_tokens[self.class_id] = name.class_tokens[0]
        self.model.name_features[self.class_id] = name.name_features(self.foundation)[0]
        self.model.text_features[self.class_id] = name.text_features(self.foundation)[0]

    def _generator_stage(self) -> Optimisation:
        """Let the generator draw the class, and the others as the teacher draws them from the same latent."""
        model, vae, teacher = self.model, self.model.synthesis, self.teacher.synthesis

        def loss(generator: torch.Generator) -> Tensor:
            batch = self._some(self._own, generator)
            drawn = vae(batch.maps[-1], model.name_features[batch.class_ids], generator)
            real = model.patches.standardise(batch.maps)
            total = vae_loss(drawn.maps, real, drawn.mean, drawn.log_variance, self.config.synthesis.kl_weight)
            if self.settings.replayed:
                names = self.teacher.name_features[self._replayed(generator)]
                shape = (len(names), vae.latent, vae.layout, vae.layout)
                latent = torch.randn(shape, generator=generator).to(names.device)
                pairs = zip(vae.decode(latent, names), teacher.decode(latent, names), strict=True)
                total = total + torch.stack([mse_loss(mine, theirs) for mine, theirs in pairs]).mean()
            return total

        groups = [{"params": list(vae.parameters()), "lr": self.settings.learning_rate}]
        return Optimisation(*self._stage("generator"), vae, groups, loss)

    def _phase2_stage(self) -> Optimisation:
        """Phase 2 on the class's images and on replayed ones of the teacher's classes."""
        model, settings = self.model, self.config.phase2

        def loss(generator: torch.Generator) -> Tensor:
            batch = self._some(self._own, generator)
            maps, class_ids = model.patches.standardise(batch.maps), batch.class_ids
            if self.settings.replayed:
                replayed = self._replayed(generator)
                drawn = self.teacher.synthesis.draw(self.teacher.name_features[replayed], generator)
                maps = [torch.cat(layers) for layers in zip(maps, drawn, strict=True)]
                class_ids = torch.cat([class_ids, replayed])
            return phase2_loss(model, model.patches(maps), class_ids, settings, generator)

        module = nn.ModuleDict({"reconstruction": model.reconstruction, "semantic": model.semantic})
        groups = [{"params": list(module.parameters()), "lr": self.settings.learning_rate}]
        ends = settings.gradient_clip, settings.weight_decay
        return Optimisation(*self._stage("phase2"), module, groups, loss, *ends)

    @property
    def _own(self) -> int:
        """How many of a batch are the class's own images."""
        return self.settings.batch_size - self.settings.replayed

    def _some(self, count: int, generator: torch.Generator) -> Features:
        drawn = torch.randint(len(self.images.class_ids), (count,), generator=generator)
        return self.images.batch(drawn.to(self.images.class_ids.device))

    def _replayed(self, generator: torch.Generator) -> Tensor:
        """Classes of the teacher's, drawn at random, for the rest of a batch."""
        drawn = torch.randint(self.taught, (self.settings.replayed,), generator=generator)
        return drawn.to(self.images.class_ids.device)


def _watched(model: LTAD, image: Features, name: str, watch: Watch, progress: Progress) -> Progress:
    """Progress that also shows how a model rebuilds an image as it learns."""

    @torch.no_grad()
    def look() -> Tensor:
        patches = model.patches(model.patches.standardise(image.maps))
        return (model.reconstruction(patches) - patches).square().mean(-1)[0].unflatten(0, model.patches.grid_size)

    def told(stage: Stage, step: int, steps: int, loss: float | None = None) -> None:
        progress(stage, step, steps, loss)
        if stage.kind == "phase2" and (step % LOOK_EVERY == 0 or step == steps):
            watch(name, look())

    return told


def _grown(parent: Checkpoint, foundation: FoundationModel, classes: int) -> LTAD:
    """A copy of the checkpoint's model with room for so many classes; what is new is zero.

    Exemplars are stored the farthest first, so that the first ones of a class are what a smaller budget would choose.
    """
    own = parent.model.prompts.class_tokens
    tokens = own.new_zeros(classes, *own.shape[1:])
    model = build_model(parent.card.config, foundation, tokens)
    state = model.state_dict()
    for key, tensor in parent.model.state_dict().items():
        common = tuple(slice(min(sides)) for sides in zip(state[key].shape, tensor.shape, strict=True))
        state[key][common] = tensor[common]
    model.load_state_dict(state)
    return model


def _with_class(parent: ScoreStatistics, own: ScoreStatistics, class_id: int, share: float) -> ScoreStatistics:
    """The statistics with a class's own as a further row; those of a class that has one move by ``share`` to them."""
    rows = []
    for table, row in zip(parent[1:], own[1:], strict=True):
        if class_id == len(table):
            rows.append(torch.cat([table, row]))
        else:
            moved = table.clone()
            moved[class_id] = ((1 - share) * table[class_id] + share * row[0]).half().float()
            rows.append(moved)
    return ScoreStatistics(parent.basis, *rows)


def _class_cards(card: CheckpointCard, class_name: str, images: int) -> tuple[ClassCard, ...]:
    """The cards with the class's images counted; a new class is of the tail by the rule of the splits."""
    if class_name in card.class_names:
        return tuple(replace(c, n_train=c.n_train + images) if c.name == class_name else c for c in card.classes)
    counts = {c.name: c.n_train for c in card.classes} | {class_name: images}
    group = "tail" if class_name in tail_classes(counts) else "head"
    return (*card.classes, ClassCard(name=class_name, n_train=images, group=group))
