"""What a user would pick instead of LTAD, each looking like a predictor to the evaluation.

They see the frozen features of the training images that LTAD sees, and are told the class of a test image. What is
normal for a class is learned from held-out scores, as LTAD does it: two more detectors, each fitted to half of the
images, score the other half. Two readings of these are measured: "class" gives a class one mean and one spread, which
changes no order of a class's scores and so leaves the recipe as it is; "place" gives every place of a class its own.

They make verdicts as LTAD does, by where an image's score stands among those of the class's held-out images; a class of
few images borrows from all classes. What LTAD adds to that is not theirs: classes of many that play classes of few, and
copies of images, turned or harmlessly changed, to learn from. They refuse nothing.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from benchmarks.detectors import DETECTORS, Detector
from ltad.checkpoint.card import CheckpointCard
from ltad.foundation import FoundationModel
from ltad.foundation.features import ENCODE_BATCH, Encoder, Features, Views
from ltad.inspection.predictor import ScoredBatch
from ltad.judging.calibration import Calibration, HeldOut
from ltad.judging.scoring import image_scores, smooth
from ltad.judging.statistics import MapSums, place_statistics
from ltad.progress import Progress
from ltad.training.folds import deal_folds

HELD_OUT = 100  # images of a class and half that are scored at most
TOP_FRACTION = 0.005  # of the patches make an image score: near the published recipes' maximum; chosen for the k-NN
BYTES = 2  # of a number, as LTAD keeps its own


class Rival:
    """A detector with one reading of what is normal: what the evaluation takes for a predictor.

    card: LTAD's, but calibrated for the rival's own scores. seconds: of fitting everything, from cached features.
    bytes: of what must be kept to score, in half precision.
    """

    def __init__(
        self,
        detector: Detector,
        held_out: Sequence[Tensor],
        reading: str,
        card: CheckpointCard,
        encoder: Encoder,
        seconds: float,
    ) -> None:
        own = calibrated(card.class_names, held_out, reading)
        self.card = replace(card, path=Path(f"{detector.name}, by {reading}"), calibration=own)
        self.foundation, self.encoder = encoder.foundation, encoder
        self.localises = detector.localises
        self.seconds = seconds
        self.detector = detector
        self._mean, self._std = normal_statistics(held_out, reading)
        self.bytes = BYTES * sum(part.numel() for part in (*detector.state(), self._mean, self._std))

    @torch.no_grad()
    def predict_views(self, views: Views, class_ids: Tensor) -> ScoredBatch:
        """Score images of the given classes (B,), by what is seen of them whole."""
        raw = self._raw(views.whole, class_ids)
        scores = (raw - self._mean[class_ids]) / self._std[class_ids]
        image = image_scores(scores, TOP_FRACTION)
        given = one_hot(class_ids, len(self.card.classes)).float()
        maps = scores.unflatten(1, self.detector.grid_size)
        return ScoredBatch(class_ids, given, torch.ones(len(class_ids)), maps.unbind(), image, maps, {}, {})

    def _raw(self, images: Tensor, class_ids: Tensor) -> Tensor:
        """The detector's smoothed scores (B, N) of images (B, 3, h, w) of classes (B,), each asked for once."""
        seen, keys = self.detector.seen, list(zip(map(self.encoder.key, images), class_ids.tolist(), strict=True))
        new = torch.tensor([i for i, key in enumerate(keys) if key not in seen])
        if len(new):
            encoded = self.encoder.whole.encode(Views(images[new]))
            placed = Features(encoded.maps, encoded.embedding, class_ids[new].to(encoded.embedding.device))
            raw = smoothed(self.detector, placed, self.card.config.scoring.smoothing)
            seen |= zip((keys[i] for i in new.tolist()), raw, strict=True)
        return torch.stack([seen[key] for key in keys])


def build_rivals(card: CheckpointCard, encoder: Encoder, features: Features, progress: Progress) -> Iterator[Rival]:
    """Fit every rival to the training images' features, one after the other, and give each of its readings.

    card: LTAD's on the same images, for the classes and for the settings that the rivals share.
    """
    for kind in DETECTORS:
        start = time.perf_counter()
        detector = kind(features, card, encoder.foundation, progress, whole=True)
        held_out = held_out_maps(kind, features, card, encoder.foundation, progress)
        seconds = time.perf_counter() - start
        for reading in kind.readings:
            yield Rival(detector, held_out, reading, card, encoder, seconds)


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
            chunks = [chunk for chunk in drawn.split(ENCODE_BATCH) if len(chunk)]
            batches = (features.batch(chunk, detector.device) for chunk in chunks)
            parts += [smoothed(detector, batch, config.scoring.smoothing) for batch in batches]
    return [torch.cat(parts) if parts else torch.empty(0, 1) for parts in maps]


@torch.no_grad()
def smoothed(detector: Detector, batch: Features, sigma: float) -> Tensor:
    """A detector's scores of B images, smoothed as LTAD's are: (B, N), in host memory."""
    return smooth(detector.score(batch).cpu().unflatten(1, detector.grid_size), sigma).flatten(1)


def normal_statistics(held_out: Sequence[Tensor], reading: str) -> tuple[Tensor, Tensor]:
    """Mean and spread, (K, 1) by class or (K, N) by place as LTAD has it, from each class's held-out maps (n, N).

    A class that has none takes what the others have on the average.
    """
    pooled = _pooled(held_out)
    rows = [_usual(maps, reading, pooled) for maps in held_out]
    places = max(len(mean) for mean, _ in rows)
    means, spreads = (torch.stack([part.expand(places) for part in parts]) for parts in zip(*rows, strict=True))
    return means, spreads


def calibrated(class_names: Sequence[str], held_out: Sequence[Tensor], reading: str) -> Calibration:
    """What the image scores of normal images are like, from each class's held-out maps (n, N).

    By place each image is standardised by the others of its class: statistics that had seen it would make it look more
    usual than a new one. By class it is not: one mean and one spread change no order, and so no verdict of a class that
    has images enough, while to leave each out would only raise the thresholds. What is pooled over the classes has seen
    all of them. Detectors of half of the images made the maps, as half-trained models do for LTAD: those of all score
    test images a little lower, so that rather fewer are flagged than is promised.
    """
    pooled, classes = _pooled(held_out), {}
    for name, maps in zip(class_names, held_out, strict=True):
        scores = []
        for i in range(len(maps)):
            seen = torch.cat([maps[:i], maps[i + 1 :]]) if reading == "place" else maps
            mean, spread = _usual(seen, reading, pooled)
            scores.append(image_scores((maps[i : i + 1] - mean) / spread, TOP_FRACTION).item())
        classes[name] = HeldOut(scores=tuple(scores))
    return Calibration({}).with_held_out(classes)


def _pooled(held_out: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and variance within places, averaged over the classes that have held-out maps."""
    some = [maps for maps in held_out if len(maps)]
    mean = torch.stack([maps.mean() for maps in some]).mean()
    return mean, torch.stack([maps.var(0).mean() for maps in some]).mean()


def _usual(maps: Tensor, reading: str, pooled: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and spread, (1,) or (N,), of one class's maps (n, N); what is pooled where there are none."""
    mean, variance = pooled
    if not len(maps):
        mean, spread = mean[None], variance.sqrt()[None]
    elif reading == "place":
        sums = MapSums.of(maps[:, None])
        at_place, at_place_spread = place_statistics(sums, (sums.mean().mean(-1), variance[None]))
        mean, spread = at_place[0], at_place_spread[0]
    else:
        mean, spread = maps.mean()[None], maps.std()[None]
    return mean, spread.clamp(min=1e-6)
