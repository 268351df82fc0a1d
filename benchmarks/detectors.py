"""Published recipes that score patches of the same frozen features, each as plain as it goes."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, normalize

from ltad.checkpoint.card import CheckpointCard
from ltad.config import ABNORMAL_STATES, NORMAL_STATES
from ltad.foundation import FoundationModel
from ltad.foundation.features import ENCODE_BATCH, Features
from ltad.model.losses import jitter, reconstruction_loss
from ltad.model.memory import nearest_distance, spread_out
from ltad.model.noise import normal_noise
from ltad.model.patches import PatchFeatures
from ltad.model.reconstruction import ReconstructionModule
from ltad.progress import Progress, Stage
from ltad.training.optimisation import Optimisation, optimise
from ltad.training.phases import phase2_groups
from ltad.words import spoken

BANK = 8_000  # patches that a nearest-neighbour search keeps of a class
CANDIDATES = 60_000  # patches of a class among which they are chosen
PROJECTED = 64  # dimensions in which they are chosen
NEIGHBOURHOOD = 3  # patches, averaged around each one
RIDGE = 0.01  # of the mean variance, added to a covariance
JITTER = 20.0  # UniAD's feature noise
LONGER = 8  # times LTAD's steps of phase 2


class Detector(ABC):
    """Scores patches; made of the features of training images and nothing else.

    whole: False where half of the images are held out; what is learned step by step then takes LTAD's shorter training.
    device: the foundation model's, where it learns and scores, as LTAD does.
    """

    device: torch.device

    name: ClassVar[str]
    readings: ClassVar[tuple[str, ...]] = ("class", "place")
    localises: ClassVar[bool] = True  # False where it has one number per image
    grid_size: tuple[int, int]

    @abstractmethod
    def __init__(
        self, features: Features, card: CheckpointCard, foundation: FoundationModel, progress: Progress, *, whole: bool
    ) -> None:
        """Fit to the features; the card says which classes there are and how LTAD was configured."""

    @cached_property
    def seen(self) -> dict[tuple[str, int], Tensor]:
        """What was said (N,) of an image, by its key, as of a class: for all readings, most of an evaluation's time."""
        return {}

    @abstractmethod
    def score(self, batch: Features) -> Tensor:
        """Score B images as their classes: (B, N), higher = more anomalous."""

    @abstractmethod
    def state(self) -> list[Tensor]:
        """Everything that must be kept to score."""


class PatchKNN(Detector):
    """The distance of a patch to the nearest one of its class's training patches that were kept.

    Source: PatchCore (Roth et al. 2022): maps averaged over neighbourhoods, joined on the finest grid, and a greedy
    coreset. Channels are as they are: standardised ones were no better on the demo factory. The image score is a mean
    over the highest patches instead of PatchCore's reweighted maximum.
    """

    name = "patch k-NN"

    def __init__(
        self, features: Features, card: CheckpointCard, foundation: FoundationModel, progress: Progress, *, whole: bool
    ) -> None:
        self.patches = join_maps(card.config.patches.strides, foundation, finest=True)
        self.grid_size, self.device = self.patches.grid_size, foundation.device
        self.banks = {}
        classes = features.class_ids.unique().tolist()
        for done, class_id in enumerate(classes, start=1):
            generator = torch.Generator().manual_seed(card.config.seed)
            self.banks[class_id] = self._bank(features, class_id, generator)
            progress(Stage(f"{self.name}{'' if whole else ', half'}"), done, len(classes))

    def _bank(self, features: Features, class_id: int, generator: torch.Generator) -> Tensor:
        """The patches that are kept of a class: (BANK, D), or all of them where there are fewer."""
        members = (features.class_ids == class_id).nonzero()[:, 0]
        share = -(-CANDIDATES // len(members))
        drawn = []
        for member in members:
            patches = averaged_patches(self.patches, features.batch(member[None], self.device).maps)[0]
            some = torch.randperm(len(patches), generator=generator)[:share].to(self.device)
            drawn.append(patches[some])
        candidates = torch.cat(drawn)
        projection = torch.randn(candidates.shape[1], PROJECTED, generator=generator).to(self.device)
        return candidates[spread_out(candidates @ projection, BANK)]

    def score(self, batch: Features) -> Tensor:
        """Look each patch up."""
        patches = averaged_patches(self.patches, batch.maps)
        pairs = zip(patches, batch.class_ids.tolist(), strict=True)
        return torch.stack([nearest_distance(p, self.banks[class_id]) for p, class_id in pairs])

    def state(self) -> list[Tensor]:
        """The banks."""
        return list(self.banks.values())


class PatchGaussian(Detector):
    """The Mahalanobis distance of a patch to its class's training patches.

    Source: PaDiM (Defard et al. 2021), whose Gaussian per place needs hundreds of aligned images of a class: there is
    one per class here, of the patches that the nearest-neighbour search sees. Channels are standardised, so that the
    ridge means the same for all of them.
    """

    name = "patch Gaussian"

    def __init__(
        self, features: Features, card: CheckpointCard, foundation: FoundationModel, progress: Progress, *, whole: bool
    ) -> None:
        self.patches = join_maps(card.config.patches.strides, foundation, finest=True)
        self.patches.learn_channels(features.maps, features.class_ids)
        self.grid_size, self.device = self.patches.grid_size, foundation.device
        self.gaussians = {k: self._gaussian(features, k) for k in features.class_ids.unique().tolist()}

    def _gaussian(self, features: Features, class_id: int) -> tuple[Tensor, Tensor]:
        """Mean (D,) and whitening (D, D) of a class's patches."""
        members = (features.class_ids == class_id).nonzero()[:, 0]
        first, second = torch.zeros(()), torch.zeros(())
        for chunk in members.split(ENCODE_BATCH):
            batch = features.batch(chunk, self.device)
            patches = averaged_patches(self.patches, batch.maps).flatten(0, 1).cpu().double()
            first, second = first + patches.sum(0), second + patches.T @ patches
        count = len(members) * self.grid_size[0] * self.grid_size[1]
        mean = first / count
        covariance = second / count - mean[:, None] * mean
        ridge = RIDGE * covariance.diagonal().mean() * torch.eye(len(mean))
        whitening = torch.linalg.cholesky(torch.linalg.inv(covariance + ridge))
        return mean.float().to(self.device), whitening.float().to(self.device)

    def score(self, batch: Features) -> Tensor:
        """Measure each patch."""
        gaussians = [self.gaussians[class_id] for class_id in batch.class_ids.tolist()]
        mean, whitening = (torch.stack(parts) for parts in zip(*gaussians, strict=True))
        return ((averaged_patches(self.patches, batch.maps) - mean[:, None]) @ whitening).norm(dim=-1)

    def state(self) -> list[Tensor]:
        """Means and whitenings, and how channels are standardised."""
        return [part for gaussian in self.gaussians.values() for part in gaussian] + [*self.patches.buffers()]


class AgnosticTransformer(Detector):
    """The length of what a transformer fails to rebuild of a patch; one for all classes, which it knows nothing of.

    Source: UniAD (You et al. 2022): maps joined on the coarsest grid, no class, natural sampling, its noise and its
    neighbour mask. Width and depth are those of LTAD's phase 2, and channels are standardised. It lives by this alone,
    so that it learns ``LONGER`` and by Muon, which gets it farther.
    """

    name = "agnostic transformer"

    def __init__(
        self, features: Features, card: CheckpointCard, foundation: FoundationModel, progress: Progress, *, whole: bool
    ) -> None:
        config, r = card.config, card.config.reconstruction
        self.patches = join_maps(config.patches.strides, foundation, finest=False)
        self.patches.learn_channels(features.maps, torch.zeros_like(features.class_ids))
        self.grid_size, self.device = self.patches.grid_size, foundation.device
        torch.manual_seed(config.seed)  # for the layers' own initial values
        self.module = ReconstructionModule(
            self.patches.feature_dim,
            self.grid_size,
            dim=r.dim,
            depth=r.depth,
            heads=r.heads,
            pack=1,
            neighbourhood=r.neighbourhood,
            layer_queries=True,
        ).to(self.device)
        steps = LONGER * (config.phase2.steps if whole else config.calibration.phase2_steps)
        self._train(features, card, steps, Stage(f"{self.name}{'' if whole else ', half'}"), progress)

    def _train(self, features: Features, card: CheckpointCard, steps: int, stage: Stage, progress: Progress) -> None:
        settings = replace(card.config.phase2, optimiser="muon")
        order = _shuffled(len(features.class_ids), torch.Generator().manual_seed(card.config.seed))

        def loss(generator: torch.Generator) -> Tensor:
            batch = features.batch(torch.tensor([next(order) for _ in range(settings.batch_size)]), self.device)
            patches = self.patches(self.patches.standardise(batch.maps))
            noise = normal_noise(patches.shape, generator, self.device)
            return reconstruction_loss(self.module(jitter(patches, JITTER, noise)), patches)

        groups, muon_groups = phase2_groups(self.module, self.module, settings)
        clip, decay = settings.gradient_clip, settings.weight_decay
        task = Optimisation(stage, steps, self.module, groups, loss, clip, decay, muon_groups)
        optimise(task, card.config.seed, None, progress)
        self.module.eval().requires_grad_(False)

    def score(self, batch: Features) -> Tensor:
        """Rebuild each patch."""
        patches = self.patches(self.patches.standardise(batch.maps))
        return (self.module(patches) - patches).norm(dim=-1)

    def state(self) -> list[Tensor]:
        """The weights, and how channels are standardised."""
        return [*self.module.parameters(), *self.patches.buffers()]


class ZeroShot(Detector):
    """How much more an image is like "a damaged X" than like "a perfect X", X the data set's own name of its class.

    Only the pooled vector of an image reaches the joint space, so there is one number per image and no map.
    """

    name = "zero-shot"
    readings = ("class",)
    localises = False
    grid_size = (1, 1)

    def __init__(
        self, features: Features, card: CheckpointCard, foundation: FoundationModel, progress: Progress, *, whole: bool
    ) -> None:
        self.device = foundation.device
        names = [spoken(name) for name in card.class_names]
        states = (NORMAL_STATES, ABNORMAL_STATES)
        self.text_features = torch.stack([_sentences(foundation, names, templates) for templates in states], dim=1)

    @torch.no_grad()
    def score(self, batch: Features) -> Tensor:
        """Compare each image."""
        normal, abnormal = self.text_features[batch.class_ids].unbind(1)
        return (batch.embeddings * (abnormal - normal)).sum(-1, keepdim=True)

    def state(self) -> list[Tensor]:
        """What the text tower made of the sentences."""
        return [self.text_features]


DETECTORS: tuple[type[Detector], ...] = (PatchKNN, PatchGaussian, AgnosticTransformer, ZeroShot)


def join_maps(strides: Sequence[int], foundation: FoundationModel, *, finest: bool) -> PatchFeatures:
    """Patches of the maps of these strides, as they are."""
    layers = [layer for layer, stride in enumerate(foundation.strides) if stride in strides]
    sides = [foundation.fingerprint.image_size // foundation.strides[layer] for layer in layers]
    side = max(sides) if finest else min(sides)
    channels = [foundation.channels[layer] for layer in layers]
    return PatchFeatures(layers, channels, (side, side), pool=1).to(foundation.device)


def averaged_patches(patches: PatchFeatures, maps: Sequence[Tensor]) -> Tensor:
    """Patch features (B, N, D), each map averaged over neighbourhoods on its own grid before they are joined."""
    averaged = [
        avg_pool2d(m, NEIGHBOURHOOD, stride=1, padding=NEIGHBOURHOOD // 2, count_include_pad=False)
        for m in patches.standardise(maps)
    ]
    return patches(averaged)


def _shuffled(count: int, generator: torch.Generator) -> Iterator[int]:
    """Indices without end: every one once, in random order, then again."""
    while True:
        yield from torch.randperm(count, generator=generator).tolist()


@torch.no_grad()
def _sentences(foundation: FoundationModel, names: Sequence[str], templates: Sequence[str]) -> Tensor:
    """The mean of the sentences about each name: (K, J), unit length."""
    wordings = [foundation.encode_prompts([foundation.embed_words(t.format(n)) for n in names]) for t in templates]
    return normalize(torch.stack(wordings).mean(0), dim=-1)
