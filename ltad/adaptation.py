"""One class more for a trained checkpoint, from a few good images of it and none of the others.

Ours, beyond the paper. A new class gets a pseudo name, learned against the names and the mean images that are known;
then phase 2 goes on with its images and with features of the known classes that the phase 1 generator draws from their
names (generative replay). The exemplars of all classes share the same budget as before. A class that is known is
refined in the same way under its own name.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss, normalize

from ltad.calibration import Calibration
from ltad.checkpoint import Checkpoint, CheckpointCard, ClassCard, Parent, save_checkpoint
from ltad.config import AdaptConfig
from ltad.crossfit import DIGITS, Fold, deal_folds, fit_class_statistics
from ltad.data import Sample
from ltad.data.longtail import tail_classes
from ltad.errors import DatasetError
from ltad.features import Features, Progress, cache_features
from ltad.foundation.base import FoundationModel
from ltad.losses import name_loss, vae_loss
from ltad.model.ltad import LTAD, build_model
from ltad.model.prompts import ClassPrompts, start_tokens
from ltad.scoring import ScoreStatistics
from ltad.stages import Stage, StageFolder, run_stage
from ltad.training import finished, phase2_loss, with_views
from ltad.views import make_views

FEWEST = 4  # images: with fewer, half of them could not judge the other half
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


def steps_to_do(settings: AdaptConfig) -> dict[str, int]:
    """How many steps each optimisation of an adaptation takes, in their order; a class that is known learns no name."""
    kinds = {"name": settings.name_steps, "generator": settings.generator_steps, "phase2": settings.steps}
    passes = {"fold1-": FOLD_SHARE, "fold2-": FOLD_SHARE, "": 1.0}
    return {
        prefix + kind: max(1, round(share * steps))
        for prefix, share in passes.items()
        for kind, steps in kinds.items()
        if steps
    }


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
    progress: Progress,
    watch: Watch | None = None,
) -> Checkpoint:
    """Teach a checkpoint a class from good images of it, and write the new checkpoint's folder.

    start: a word for a new class, from which its name starts; None = the known name that its images are most like.
    Stage states lie in ``output/.training`` until the checkpoint is whole; with ``resume`` those of the same
    adaptation are gone on with. watch: shown the first image, every few steps of phase 2. Raises DatasetError for
    fewer than ``FEWEST`` images.
    """
    if len(samples) < FEWEST:
        raise DatasetError(
            f"{len(samples)} images are too few to learn “{class_name}”: at least {FEWEST} good ones are needed, and "
            "20 or more promise fewer false alarms."
        )
    card, seed = parent.card, settings.seed
    names = (*card.class_names, class_name) if class_name not in card.class_names else card.class_names
    class_id = names.index(class_name)
    samples = [replace(sample, class_name=class_name) for sample in samples]
    stages = output / ".training"
    if not resume:
        shutil.rmtree(stages, ignore_errors=True)
    read = hashlib.sha256("\n".join(sample.name for sample in samples).encode()).hexdigest()[:16]
    identity = json.dumps([vars(settings), card.sha256(), foundation.fingerprint.to_dict(), class_name, start, read])
    folder = StageFolder(stages, identity)

    features = cache_features(samples, names, foundation, progress)
    views = make_views(samples, features, foundation, card.config.views, seed, progress)
    dealt = deal_folds(features.class_ids, 2, seed)

    def teach(seen: Tensor, prefix: str, share: float) -> LTAD:
        lesson = _Lesson(parent, class_id, with_views(features, views, seen), foundation, settings, share)
        told = progress
        if watch:
            told = _watched(lesson.model, features.batch(torch.tensor([0])), samples[0].name, watch, progress)
        return lesson.run(prefix, start, folder, told)

    folds = [
        Fold(teach(dealt != fold, f"fold{fold + 1}-", FOLD_SHARE), (dealt == fold).nonzero()[:, 0]) for fold in range(2)
    ]
    final = teach(torch.ones_like(dealt, dtype=torch.bool), "", 1.0)
    normal, scores, similarities = fit_class_statistics(folds, features, parent.statistics, card.config)
    known = card.classes[class_id].n_train if class_id < len(card.classes) else 0
    statistics = _with_class(parent.statistics, normal, class_id, len(samples) / (len(samples) + known))
    adapted = CheckpointCard(
        path=output,
        config=card.config,
        foundation=card.foundation,
        classes=_class_cards(card, class_name, len(samples)),
        data=replace(
            card.data,
            name=f"{card.data.name} and {class_name}" if not known else card.data.name,
            split_hash=hashlib.sha256(f"{card.data.split_hash}/{read}".encode()).hexdigest()[:16],
            licence=card.data.licence and f"{card.data.licence}; of the added images: their owner's",
            command=command,
        ),
        calibration=_calibration(card.calibration, class_name, scores, similarities),
        metrics=None,
        parent=Parent(name=card.name, sha256=card.sha256()),
    )
    checkpoint = Checkpoint(card=adapted, model=final, statistics=statistics)
    (output / "metrics.json").unlink(missing_ok=True)
    save_checkpoint(checkpoint)
    shutil.rmtree(stages, ignore_errors=True)
    return checkpoint


class _Lesson:
    """What a copy of a checkpoint's model is taught of one class, from its images, by stages.

    share: of the settings' steps. The model as it was, the teacher, says what the known classes are like.
    """

    def __init__(
        self,
        parent: Checkpoint,
        class_id: int,
        images: Features,
        foundation: FoundationModel,
        settings: AdaptConfig,
        share: float,
    ) -> None:
        self.config, self.teacher = parent.card.config, parent.model
        self.class_id, self.images, self.foundation = class_id, images, foundation
        self.settings, self.share = settings, share
        self.known = torch.arange(len(parent.card.classes))
        self.is_new = class_id == len(self.known)
        self.model = _grown(parent, foundation, max(len(self.known), class_id + 1))

    def run(self, prefix: str, start: str | None, folder: StageFolder, progress: Progress) -> LTAD:
        """Name, exemplars, generator, reconstruction and semantics, one after the other."""
        seed, model = self.settings.seed, self.model
        self._see()
        if self.is_new:
            name = self._starting_name(start)
            run_stage(self._name_stage(name, prefix), seed, folder, progress)
            self._take_name(name)
        generator = torch.Generator().manual_seed(seed)
        for memory in model.memories:
            memory.remember_class(self.images.maps, self.class_id, generator, keep=not self.is_new)
        if self.settings.generator_steps:
            run_stage(self._generator_stage(prefix), seed + 1, folder, progress)
        run_stage(self._phase2_stage(prefix), seed + 2, folder, progress)
        return finished(model)

    def _steps(self, steps: int) -> int:
        return max(1, round(self.share * steps))

    def _see(self) -> None:
        """Note where the class's images lie; a known class moves halfway to where these do."""
        mean = normalize(self.images.embeddings.mean(0), dim=0)
        place = self.model.class_embeddings[self.class_id]
        place.copy_(normalize(place + mean, dim=0))

    def _starting_name(self, start: str | None) -> ClassPrompts:
        """The new name before it is learned: the tokens of the nearest known name, or of a word."""
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

    def _name_stage(self, name: ClassPrompts, prefix: str) -> Stage:
        """Learn the new name: of every class one image a step, the new or a known one, is to find its own name.

        Where the known classes' mean images lie is known; their images are taken to scatter as the new ones do. Our
        choice, decided on training images of two kinds of solar cells: more of the new ones a step, and the mean
        images alone, gave the new name up to an eighth of the other kind's images.
        """
        teacher, own = self.teacher, self.images.embeddings
        mean = own.mean(0)
        centres, scatter = self.model.class_embeddings * mean.norm(), own - mean
        class_ids = torch.arange(len(centres))

        def loss(generator: torch.Generator) -> Tensor:
            names = torch.cat([teacher.name_features, name.name_features(self.foundation)])
            drawn = torch.randint(len(own), class_ids.shape, generator=generator)
            embeddings = normalize(centres + scatter[drawn], dim=-1)
            return name_loss(embeddings, names, class_ids, self.config.phase1.temperature)

        groups = [{"params": list(name.parameters()), "lr": self.settings.name_learning_rate}]
        return Stage(prefix + "name", self._steps(self.settings.name_steps), name, groups, loss)

    @torch.no_grad()
    def _take_name(self, name: ClassPrompts) -> None:
        self.model.prompts.class_tokens[self.class_id] = name.class_tokens[0]
        self.model.name_features[self.class_id] = name.name_features(self.foundation)[0]
        self.model.text_features[self.class_id] = name.text_features(self.foundation)[0]

    def _generator_stage(self, prefix: str) -> Stage:
        """Let the generator draw the class, and the known ones as the teacher draws them from the same latent."""
        model, vae, teacher = self.model, self.model.synthesis, self.teacher.synthesis

        def loss(generator: torch.Generator) -> Tensor:
            batch = self._some(self._own, generator)
            drawn = vae(batch.maps[-1], model.name_features[batch.class_ids], generator)
            real = model.patches.standardise(batch.maps)
            total = vae_loss(drawn.maps, real, drawn.mean, drawn.log_variance, self.config.synthesis.kl_weight)
            if self.settings.replayed:
                names = self.teacher.name_features[self._some_known(generator)]
                latent = torch.randn(len(names), vae.latent, vae.layout, vae.layout, generator=generator)
                pairs = zip(vae.decode(latent, names), teacher.decode(latent, names), strict=True)
                total = total + torch.stack([mse_loss(mine, theirs) for mine, theirs in pairs]).mean()
            return total

        groups = [{"params": list(vae.parameters()), "lr": self.settings.learning_rate}]
        return Stage(prefix + "generator", self._steps(self.settings.generator_steps), vae, groups, loss)

    def _phase2_stage(self, prefix: str) -> Stage:
        """Phase 2 on the class's images and on replayed ones of the known classes."""
        model, settings = self.model, self.config.phase2

        def loss(generator: torch.Generator) -> Tensor:
            batch = self._some(self._own, generator)
            maps, class_ids = model.patches.standardise(batch.maps), batch.class_ids
            if self.settings.replayed:
                known = self._some_known(generator)
                drawn = self.teacher.synthesis.draw(self.teacher.name_features[known], generator)
                maps = [torch.cat(layers) for layers in zip(maps, drawn, strict=True)]
                class_ids = torch.cat([class_ids, known])
            return phase2_loss(model, model.patches(maps), class_ids, settings, generator)

        module = nn.ModuleDict({"reconstruction": model.reconstruction, "semantic": model.semantic})
        groups = [{"params": list(module.parameters()), "lr": self.settings.learning_rate}]
        steps = self._steps(self.settings.steps)
        return Stage(prefix + "phase2", steps, module, groups, loss, settings.gradient_clip, settings.weight_decay)

    @property
    def _own(self) -> int:
        """How many of a batch are the class's own images."""
        return self.settings.batch_size - self.settings.replayed

    def _some(self, count: int, generator: torch.Generator) -> Features:
        return self.images.batch(torch.randint(len(self.images.class_ids), (count,), generator=generator))

    def _some_known(self, generator: torch.Generator) -> Tensor:
        return self.known[torch.randint(len(self.known), (self.settings.replayed,), generator=generator)]


def _watched(model: LTAD, image: Features, name: str, watch: Watch, progress: Progress) -> Progress:
    """Progress that also shows how a model rebuilds an image as it learns."""

    @torch.no_grad()
    def look() -> Tensor:
        patches = model.patches(model.patches.standardise(image.maps))
        return (model.reconstruction(patches) - patches).square().mean(-1)[0].unflatten(0, model.patches.grid_size)

    def told(stage: str, step: int, steps: int, loss: float | None = None) -> None:
        progress(stage, step, steps, loss)
        if stage.endswith("phase2") and (step % LOOK_EVERY == 0 or step == steps):
            watch(name, look())

    return told


def _grown(parent: Checkpoint, foundation: FoundationModel, classes: int) -> LTAD:
    """A copy of the checkpoint's model with room for so many classes; what is new is zero.

    Exemplars are stored the farthest first, so that the first ones of a class are what a smaller budget would choose.
    """
    tokens = torch.zeros(classes, *parent.model.prompts.class_tokens.shape[1:])
    model = build_model(parent.card.config, foundation, tokens)
    state = model.state_dict()
    for key, tensor in parent.model.state_dict().items():
        common = tuple(slice(min(sides)) for sides in zip(state[key].shape, tensor.shape, strict=True))
        state[key][common] = tensor[common]
    model.load_state_dict(state)
    return model


def _with_class(known: ScoreStatistics, own: ScoreStatistics, class_id: int, share: float) -> ScoreStatistics:
    """The statistics with a class's own as a further row; those of a known class move by ``share`` towards them."""
    rows = []
    for table, row in zip(known[1:], own[1:], strict=True):
        if class_id == len(table):
            rows.append(torch.cat([table, row]))
        else:
            moved = table.clone()
            moved[class_id] = ((1 - share) * table[class_id] + share * row[0]).half().float()
            rows.append(moved)
    return ScoreStatistics(known.basis, *rows)


def _class_cards(card: CheckpointCard, class_name: str, images: int) -> tuple[ClassCard, ...]:
    """The cards with the class's images counted; a new class is of the tail by the rule of the splits."""
    if class_name in card.class_names:
        return tuple(replace(c, n_train=c.n_train + images) if c.name == class_name else c for c in card.classes)
    counts = {c.name: c.n_train for c in card.classes} | {class_name: images}
    group = "tail" if class_name in tail_classes(counts) else "head"
    return (*card.classes, ClassCard(name=class_name, n_train=images, group=group))


def _calibration(known: Calibration, class_name: str, scores: Tensor, similarities: Tensor) -> Calibration:
    """The calibration with a class's held-out figures, beside those that it has."""
    tables = []
    for table, values in ((known.scores, scores), (known.similarities, similarities)):
        added = (round(value, DIGITS) for value in values.tolist())
        tables.append({**table, class_name: tuple(sorted((*table.get(class_name, ()), *added)))})
    return Calibration(*tables)
