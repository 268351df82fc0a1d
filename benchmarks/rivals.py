"""What a user would pick instead of LTAD, each looking like a predictor to the evaluation.

They see the frozen features of the training images that LTAD sees, and are told the class of a test image. What is
normal for a class is learned from held-out scores, as LTAD does it: two more detectors, each fitted to half of the
images, score the other half. Two readings of these are measured: "class" gives a class one mean and one spread, which
changes no figure of a class and so leaves the recipe as it is; "place" gives every place of a class its own.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, normalize, one_hot

from ltad.checkpoint import CheckpointCard
from ltad.config import ABNORMAL_STATES, NORMAL_STATES
from ltad.crossfit import deal_folds
from ltad.features import ENCODE_BATCH, Features, Progress
from ltad.foundation import FoundationModel
from ltad.losses import jitter, reconstruction_loss
from ltad.model.patches import PatchFeatures
from ltad.model.reconstruction import ReconstructionModule
from ltad.predictor import ScoredBatch
from ltad.scoring import image_scores, place_statistics, pooled_spread, smooth
from ltad.stages import learning_rate_factor

BANK = 8_000  # patches that a nearest-neighbour search keeps of a class
CANDIDATES = 60_000  # patches of a class among which they are chosen
PROJECTED = 64  # dimensions in which they are chosen
NEIGHBOURHOOD = 3  # patches, averaged around each one
RIDGE = 0.01  # of the mean variance, added to a covariance
JITTER = 20.0  # UniAD's feature noise
HELD_OUT = 100  # images of a class and half that are scored at most
BYTES = 2  # of a number, as LTAD keeps its own


class Detector(ABC):
    """Scores patches; made of the features of training images and nothing else.

    whole: False where half of the images are held out; what is learned step by step then takes LTAD's shorter training.
    """

    name: ClassVar[str]
    readings: ClassVar[tuple[str, ...]] = ("class", "place")
    localises: ClassVar[bool] = True  # False where it has one number per image
    grid_size: tuple[int, int]

    @abstractmethod
    def __init__(
        self, features: Features, card: CheckpointCard, foundation: FoundationModel, progress: Progress, *, whole: bool
    ) -> None:
        """Fit to the features; the card says which classes there are and how LTAD was configured."""

    @abstractmethod
    def score(self, batch: Features) -> Tensor:
        """Score B images as their classes: (B, N), higher = more anomalous."""

    @abstractmethod
    def state(self) -> list[Tensor]:
        """Everything that must be kept to score."""


class PatchKNN(Detector):
    """The distance of a patch to the nearest one of its class's training patches that were kept.

    Source: PatchCore (Roth et al. 2022): maps averaged over neighbourhoods, joined on the finest grid, and a greedy
    coreset. Channels are as they are: standardised ones were no better on the demo factory. The image score is LTAD's
    mean over the highest patches instead of PatchCore's reweighted maximum.
    """

    name = "patch k-NN"

    def __init__(
        self, features: Features, card: CheckpointCard, foundation: FoundationModel, progress: Progress, *, whole: bool
    ) -> None:
        self.patches = join_maps(card.config.patches.strides, foundation, finest=True)
        self.grid_size = self.patches.grid_size
        self.banks = {}
        classes = features.class_ids.unique().tolist()
        for done, class_id in enumerate(classes, start=1):
            generator = torch.Generator().manual_seed(card.config.seed)
            self.banks[class_id] = self._bank(features, class_id, generator)
            progress(f"{self.name}{'' if whole else ', half'}", done, len(classes))

    def _bank(self, features: Features, class_id: int, generator: torch.Generator) -> Tensor:
        """The patches that are kept of a class: (BANK, D), or all of them where there are fewer."""
        members = (features.class_ids == class_id).nonzero()[:, 0]
        share = -(-CANDIDATES // len(members))
        drawn = []
        for member in members:
            patches = averaged_patches(self.patches, features.batch(member[None]).maps)[0]
            drawn.append(patches[torch.randperm(len(patches), generator=generator)[:share]])
        candidates = torch.cat(drawn)
        projection = torch.randn(candidates.shape[1], PROJECTED, generator=generator)
        return candidates[k_centres(candidates @ projection, BANK)]

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
        standardise_channels(self.patches, features.maps, features.class_ids)
        self.grid_size = self.patches.grid_size
        self.gaussians = {k: self._gaussian(features, k) for k in features.class_ids.unique().tolist()}

    def _gaussian(self, features: Features, class_id: int) -> tuple[Tensor, Tensor]:
        """Mean (D,) and whitening (D, D) of a class's patches."""
        members = (features.class_ids == class_id).nonzero()[:, 0]
        first, second = torch.zeros(()), torch.zeros(())
        for chunk in members.split(ENCODE_BATCH):
            patches = averaged_patches(self.patches, features.batch(chunk).maps).flatten(0, 1).double()
            first, second = first + patches.sum(0), second + patches.T @ patches
        count = len(members) * self.grid_size[0] * self.grid_size[1]
        mean = first / count
        covariance = second / count - mean[:, None] * mean
        ridge = RIDGE * covariance.diagonal().mean() * torch.eye(len(mean))
        return mean.float(), torch.linalg.cholesky(torch.linalg.inv(covariance + ridge)).float()

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
    neighbour mask. Width, depth, optimiser and steps are those of LTAD's phase 2, and channels are standardised.
    """

    name = "agnostic transformer"

    def __init__(
        self, features: Features, card: CheckpointCard, foundation: FoundationModel, progress: Progress, *, whole: bool
    ) -> None:
        config, r = card.config, card.config.reconstruction
        self.patches = join_maps(config.patches.strides, foundation, finest=False)
        standardise_channels(self.patches, features.maps, torch.zeros_like(features.class_ids))
        self.grid_size = self.patches.grid_size
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
        )
        steps = config.phase2.steps if whole else config.calibration.phase2_steps
        self._train(features, card, steps, f"{self.name}{'' if whole else ', half'}", progress)

    def _train(self, features: Features, card: CheckpointCard, steps: int, stage: str, progress: Progress) -> None:
        settings, generator = card.config.phase2, torch.Generator().manual_seed(card.config.seed)
        parameters = list(self.module.parameters())
        optimiser = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay)
        order = _shuffled(len(features.class_ids), generator)
        for step in range(steps):
            for group in optimiser.param_groups:
                group["lr"] = settings.learning_rate * learning_rate_factor(step, steps)
            batch = features.batch(torch.tensor([next(order) for _ in range(settings.batch_size)]))
            patches = self.patches(self.patches.standardise(batch.maps))
            noise = torch.randn(patches.shape, generator=generator)
            loss = reconstruction_loss(self.module(jitter(patches, JITTER, noise)), patches)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, settings.gradient_clip)
            optimiser.step()
            progress(stage, step + 1, steps, loss.item())
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
        names = [name.replace("_", " ") for name in card.class_names]
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


class Rival:
    """A detector with one reading of what is normal: what the evaluation takes for a predictor.

    seconds: of fitting everything, from cached features. bytes: of what must be kept, in half precision.
    """

    def __init__(
        self,
        detector: Detector,
        held_out: Sequence[Tensor],
        reading: str,
        card: CheckpointCard,
        foundation: FoundationModel,
        seconds: float,
    ) -> None:
        self.card = replace(card, path=Path(f"{detector.name}, by {reading}"))
        self.foundation = foundation
        self.localises = detector.localises
        self.seconds = seconds
        self._detector = detector
        self._mean, self._std = normal_statistics(held_out, reading)
        self.bytes = BYTES * sum(part.numel() for part in (*detector.state(), self._mean, self._std))

    @torch.no_grad()
    def predict_tensors(self, batch: Tensor, class_ids: Tensor) -> ScoredBatch:
        """Score images (B, 3, S, S) of the given classes (B,)."""
        encoded, scoring = self.foundation.encode_image(batch), self.card.config.scoring
        raw = smoothed(self._detector, Features(*encoded, class_ids), scoring.smoothing)
        scores = (raw - self._mean[class_ids]) / self._std[class_ids]
        image = image_scores(scores, scoring.top_fraction)
        given = one_hot(class_ids, len(self.card.classes)).float()
        return ScoredBatch(class_ids, given, scores.unflatten(1, self._detector.grid_size), image, image[:, None])


def build_rivals(
    card: CheckpointCard, foundation: FoundationModel, features: Features, progress: Progress
) -> Iterator[Rival]:
    """Fit every rival to the training images' features, one after the other, and give each of its readings.

    card: LTAD's on the same images, for the classes and for the settings that the rivals share.
    """
    for kind in DETECTORS:
        start = time.perf_counter()
        detector = kind(features, card, foundation, progress, whole=True)
        held_out = held_out_maps(kind, features, card, foundation, progress)
        seconds = time.perf_counter() - start
        for reading in kind.readings:
            yield Rival(detector, held_out, reading, card, foundation, seconds)


def held_out_maps(
    kind: type[Detector], features: Features, card: CheckpointCard, foundation: FoundationModel, progress: Progress
) -> list[Tensor]:
    """Smoothed maps (n, N) of each class's images from detectors that have not seen them; n = 0 for a lone image."""
    config, ids = card.config, features.class_ids
    dealt = deal_folds(ids, 2, config.seed)
    generator = torch.Generator().manual_seed(config.seed)
    maps: list[list[Tensor]] = [[] for _ in card.classes]
    for half in range(2):
        seen = features.take((dealt != half).nonzero()[:, 0])
        detector = kind(seen, card, foundation, progress, whole=False)
        for class_id, parts in enumerate(maps):
            unseen = ((dealt == half) & (ids == class_id)).nonzero()[:, 0]
            drawn = unseen[torch.randperm(len(unseen), generator=generator)[:HELD_OUT]]
            batches = [features.batch(chunk) for chunk in drawn.split(ENCODE_BATCH) if len(chunk)]
            parts += [smoothed(detector, batch, config.scoring.smoothing) for batch in batches]
    return [torch.cat(parts) if parts else torch.empty(0, 1) for parts in maps]


@torch.no_grad()
def smoothed(detector: Detector, batch: Features, sigma: float) -> Tensor:
    """A detector's scores of B images, smoothed as LTAD's are: (B, N)."""
    return smooth(detector.score(batch).unflatten(1, detector.grid_size), sigma).flatten(1)


def normal_statistics(held_out: Sequence[Tensor], reading: str) -> tuple[Tensor, Tensor]:
    """Mean and spread, (K, 1) by class or (K, N) by place, from each class's held-out maps (n, N).

    By place they are LTAD's. A class that has none takes what the others have on the average.
    """
    pooled = pooled_spread([maps[:, None] for maps in held_out if len(maps)])
    rows = []
    for maps in held_out:
        if not len(maps):
            rows.append((pooled[0], pooled[1].sqrt()))
        elif reading == "place":
            rows.append(tuple(part[0] for part in place_statistics(maps[:, None], pooled)))
        else:
            rows.append((maps.mean()[None], maps.std()[None]))
    places = max(len(row_mean) for row_mean, _ in rows)
    mean, std = (torch.stack([part.expand(places) for part in parts]) for parts in zip(*rows, strict=True))
    return mean, std.clamp(min=1e-6)


def join_maps(strides: Sequence[int], foundation: FoundationModel, *, finest: bool) -> PatchFeatures:
    """Patches of the maps of these strides, as they are."""
    layers = [layer for layer, stride in enumerate(foundation.strides) if stride in strides]
    sides = [foundation.fingerprint.image_size // foundation.strides[layer] for layer in layers]
    side = max(sides) if finest else min(sides)
    return PatchFeatures(layers, [foundation.channels[layer] for layer in layers], (side, side), pool=1)


def standardise_channels(patches: PatchFeatures, maps: Sequence[Tensor], groups: Tensor) -> None:
    """Set the patches' mean and spread of every channel over n images' maps: all strides get one unit.

    groups: (n,), of the images; each counts the same.
    """
    weights = 1 / groups.bincount()[groups].double()
    weights /= weights.sum()
    moments = []
    for layer in patches.choose(maps):
        rows = [torch.stack([m.double().mean((1, 2)), m.double().square().mean((1, 2))]) for m in layer]
        moments.append((weights[:, None, None] * torch.stack(rows)).sum(0))
    mean, square = torch.cat(moments, dim=1)
    patches.mean.copy_(mean)
    patches.std.copy_((square - mean.square()).clamp(min=1e-8).sqrt())


def averaged_patches(patches: PatchFeatures, maps: Sequence[Tensor]) -> Tensor:
    """Patch features (B, N, D), each map averaged over neighbourhoods on its own grid before they are joined."""
    averaged = [
        avg_pool2d(m, NEIGHBOURHOOD, stride=1, padding=NEIGHBOURHOOD // 2, count_include_pad=False)
        for m in patches.standardise(maps)
    ]
    return patches(averaged)


def k_centres(points: Tensor, count: int) -> Tensor:
    """Choose points (P, d) that leave none far from a chosen one: their indices (count,), or all where there are fewer.

    Greedy: after the first point, always the one that is farthest from those chosen before.
    """
    if count >= len(points):
        return torch.arange(len(points))
    squares = points.square().sum(1)
    to_last, nearest = torch.empty_like(squares), torch.full_like(squares, torch.inf)
    chosen = torch.zeros(count, dtype=torch.long)
    for i in range(1, count):
        last = int(chosen[i - 1])
        torch.addmv(squares, points, points[last], alpha=-2, out=to_last).add_(squares[last])
        torch.minimum(nearest, to_last, out=nearest)
        chosen[i] = nearest.argmax()
    return chosen


def nearest_distance(queries: Tensor, bank: Tensor) -> Tensor:
    """Distance of each query (N, D) to the nearest of the bank (M, D): (N,)."""
    partial = torch.addmm(bank.square().sum(1), queries, bank.T, alpha=-2).amin(1)  # all but the query's own square
    return (partial + queries.square().sum(1)).clamp(min=0).sqrt()


def _shuffled(count: int, generator: torch.Generator) -> Iterator[int]:
    """Indices without end: every one once, in random order, then again."""
    while True:
        yield from torch.randperm(count, generator=generator).tolist()


@torch.no_grad()
def _sentences(foundation: FoundationModel, names: Sequence[str], templates: Sequence[str]) -> Tensor:
    """The mean of the sentences about each name: (K, J), unit length."""
    wordings = [foundation.encode_prompts([foundation.embed_words(t.format(n)) for n in names]) for t in templates]
    return normalize(torch.stack(wordings).mean(0), dim=-1)
