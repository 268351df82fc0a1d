"""A copy of a checkpoint's model that learns one class more: name, exemplars, generator, and phase 2."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss, normalize

from ltad.checkpoint.folder import Checkpoint
from ltad.config import AdaptConfig
from ltad.foundation.base import FoundationModel
from ltad.foundation.features import Features
from ltad.model.losses import name_loss, vae_loss
from ltad.model.ltad import LTAD, build_model
from ltad.model.noise import normal_noise
from ltad.model.prompts import ClassPrompts, start_tokens
from ltad.progress import Progress, Stage
from ltad.training.optimisation import Optimisation, StageFolder, optimise
from ltad.training.phases import finished, phase2_loss

FOLD_SHARE = 0.5  # of the steps that models which only judge are trained for
LOOK_EVERY = 10  # steps of phase 2

Watch = Callable[[str, Tensor], None]  # shown an image's name and a map (h, w): how far off its reconstruction is


def steps_of(settings: AdaptConfig, kind: str, fold: int | None) -> int:
    """How many steps a stage takes: "name", "generator" or "phase2", of the model of a fold or of the final one."""
    steps = {"name": settings.name_steps, "generator": settings.generator_steps, "phase2": settings.steps}[kind]
    return max(1, round((FOLD_SHARE if fold else 1.0) * steps)) if steps else 0


class Student:
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
            learning = self._name_stage(name)
            optimise(learning, seed, folder, progress)
            self._take_name(name)
        generator = torch.Generator().manual_seed(seed)
        for memory in model.memories:
            own = self.images.maps[memory.layer]
            memory.remember_class(own.unbind(), self.class_id, generator, keep=not self.is_new)
        for memory in model.fine_memories:
            memory.remember_class(self.images.fine, self.class_id, generator, keep=not self.is_new)
        if self.settings.generator_steps:
            drawing = self._generator_stage()
            optimise(drawing, seed + 1, folder, progress)
        rebuilding = self._phase2_stage()
        optimise(rebuilding, seed + 2, folder, progress)
        return finished(model)

    def _stage(self, kind: str) -> tuple[Stage, int]:
        return Stage(kind, self.fold), steps_of(self.settings, kind, self.fold)

    def _see(self) -> None:
        """Note where the class's images lie; a class that is not new moves halfway to where these do."""
        mean = normalize(self._embeddings.mean(0), dim=0)
        place = self.model.class_embeddings[self.class_id]
        place.copy_(normalize(place + mean, dim=0))

    def _starting_name(self, start: str | None) -> ClassPrompts:
        """The new name before it is learned: the tokens of the nearest name, or of a word."""
        own = self.teacher.prompts
        if start is None:
            nearest = int(self.teacher.match(self._embeddings.mean(0)[None]).argmax())
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
        stage, steps = self._stage("name")
        teacher, own = self.teacher, self._embeddings
        mean = own.mean(0)
        centres, scatter = self.model.class_embeddings * mean.norm(), own - mean
        class_ids = torch.arange(len(centres), device=centres.device)

        def loss(generator: torch.Generator) -> Tensor:
            names = torch.cat([teacher.name_features, name.name_features(self.foundation)])
            drawn = torch.randint(len(own), class_ids.shape, generator=generator).to(own.device)
            embeddings = normalize(centres + scatter[drawn], dim=-1)
            return name_loss(embeddings, names, class_ids, self.config.phase1.temperature)

        groups = [{"params": list(name.parameters()), "lr": self.settings.name_learning_rate}]
        return Optimisation(stage, steps, name, groups, loss)

    @torch.no_grad()
    def _take_name(self, name: ClassPrompts) -> None:
        self.model.prompts.class_tokens[self.class_id] = name.class_tokens[0]
        self.model.name_features[self.class_id] = name.name_features(self.foundation)[0]
        self.model.text_features[self.class_id] = name.text_features(self.foundation)[0]

    def _generator_stage(self) -> Optimisation:
        """Let the generator draw the class, and the others as the teacher draws them from the same latent."""
        stage, steps = self._stage("generator")
        model, vae, teacher = self.model, self.model.synthesis, self.teacher.synthesis

        def loss(generator: torch.Generator) -> Tensor:
            batch = self._some(self._own, generator)
            drawn = vae(batch.maps[-1], model.name_features[batch.class_ids], generator)
            real = model.patches.standardise(batch.maps)
            total = vae_loss(drawn.maps, real, drawn.mean, drawn.log_variance, self.config.synthesis.kl_weight)
            if self.settings.replayed:
                names = self.teacher.name_features[self._replayed(generator)]
                shape = (len(names), vae.latent, vae.layout, vae.layout)
                latent = normal_noise(shape, generator, names.device)
                pairs = zip(vae.decode(latent, names), teacher.decode(latent, names), strict=True)
                total = total + torch.stack([mse_loss(mine, theirs) for mine, theirs in pairs]).mean()
            return total

        groups = [{"params": list(vae.parameters()), "lr": self.settings.learning_rate}]
        return Optimisation(stage, steps, vae, groups, loss)

    def _phase2_stage(self) -> Optimisation:
        """Phase 2 on the class's images and on replayed ones of the teacher's classes."""
        stage, steps = self._stage("phase2")
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
        return Optimisation(stage, steps, module, groups, loss, settings.gradient_clip, settings.weight_decay)

    @property
    def _embeddings(self) -> Tensor:
        """Where the images lie in the joint space (n, J), on the model's device."""
        return self.images.embeddings.to(self.model.device)

    @property
    def _own(self) -> int:
        """How many of a batch are the class's own images."""
        return self.settings.batch_size - self.settings.replayed

    def _some(self, count: int, generator: torch.Generator) -> Features:
        drawn = torch.randint(len(self.images.class_ids), (count,), generator=generator)
        return self.images.batch(drawn, self.model.device)

    def _replayed(self, generator: torch.Generator) -> Tensor:
        """Classes of the teacher's, drawn at random, for the rest of a batch."""
        drawn = torch.randint(self.taught, (self.settings.replayed,), generator=generator)
        return drawn.to(self.model.device)


def watched(model: LTAD, image: Features, name: str, watch: Watch, progress: Progress) -> Progress:
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
    model = build_model(parent.card.config, foundation, tokens).to(own.device)
    state = model.state_dict()
    for key, tensor in parent.model.state_dict().items():
        common = tuple(slice(min(sides)) for sides in zip(state[key].shape, tensor.shape, strict=True))
        state[key][common] = tensor[common]
    model.load_state_dict(state)
    return model
