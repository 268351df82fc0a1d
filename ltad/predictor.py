"""``Predictor``: a photograph in, a ``Prediction`` out. Stateless, so that many visitors can share one.

Two levels: ``predict`` works in the land of photographs and ``predict_tensors`` on batches, which is what the
evaluation measures; both score in the same place.
"""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, BinaryIO, NamedTuple, Self

import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from torch import Tensor
from torch.nn.functional import normalize

from ltad import images
from ltad.calibration import Judgement
from ltad.checkpoint import Checkpoint, CheckpointCard, find_checkpoint, load_checkpoint, read_card
from ltad.errors import ImageError
from ltad.foundation import FoundationModel, load_foundation
from ltad.scoring import PARTS, combine, fuse, image_scores, raw_scores, standardised_parts

Source = str | os.PathLike[str] | bytes | BinaryIO | Image.Image  # of a photograph
AUTO = "auto"
ALL = "all"  # parts together
NEAREST_WORDS = 5
BATCH = 8  # photographs that are scored together; more would make the first ones wait
MOST_JUDGED = 12  # classes as which one photograph is judged
REGION_GRID = 256  # pixels; regions are found on a map of this side and then measured in the image's pixels


class ScoredBatch(NamedTuple):
    """What a batch of B images scores.

    class_ids: (B,), given or predicted. similarities: (B, K), cosine to every pseudo class name.
    anomaly_maps: (B, h, w) and image_scores: (B,), in standard deviations above normal, higher = more anomalous.
    part_maps: (B, 2, h, w) and part_scores: (B, 2), the same of reconstruction and of semantics alone.
    """

    class_ids: Tensor
    similarities: Tensor
    anomaly_maps: Tensor
    image_scores: Tensor
    part_maps: Tensor
    part_scores: Tensor


@dataclass(frozen=True)
class ClassMatch:
    """How well an image fits a learned name: cosine similarity in [-1, 1]."""

    name: str
    similarity: float


class NearWord(NamedTuple):
    """A word of the text tower's vocabulary and its cosine similarity, in [-1, 1], to a token vector."""

    word: str
    similarity: float


class ClassVerdict(NamedTuple):
    """What a photograph would be as one of the classes."""

    match: ClassMatch
    image_score: float
    judgement: Judgement


@dataclass(frozen=True)
class Region:
    """A connected place above the threshold: box (x, y, width, height) and area in pixels, peak in the map's unit."""

    box: tuple[int, int, int, int]
    area: int
    peak: float


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What is known of one photograph.

    anomaly_map: (H, W) float32 in the photograph's pixels, in standard deviations above normal.
    matches: every class, the most similar first. known: False where the name of the class it was judged as does not
    fit the image.
    patch_maps: (h, w) each, the scores of the patches, of which anomaly_map is made, under "all", and those of
    reconstruction and of semantics alone under their names. part_scores: the image scores of these two.
    seconds: per step.
    """

    photo: images.Photo
    checkpoint: str
    foundation: str
    class_name: str
    matches: tuple[ClassMatch, ...]
    known: bool
    anomaly_map: np.ndarray
    patch_maps: dict[str, np.ndarray]
    image_score: float
    part_scores: dict[str, float]
    judgement: Judgement
    regions: tuple[Region, ...]
    notes: tuple[str, ...]
    seconds: dict[str, float]

    @property
    def similarity(self) -> float:
        """Cosine similarity of the image to the name of the class it was judged as."""
        return next(m.similarity for m in self.matches if m.name == self.class_name)

    @property
    def margin(self) -> float:
        """How much better that name fits than the best other one; negative where another fits better."""
        others = [m.similarity for m in self.matches if m.name != self.class_name]
        return self.similarity - max(others) if others else 0.0

    def report(self) -> dict[str, Any]:
        """The prediction as plain JSON values, as the web interface and the commands give it."""
        return {
            "verdict": self.judgement.verdict,
            "image_score": round(self.image_score, 5),
            "threshold": round(self.judgement.threshold, 5),
            "p_value": round(self.judgement.p_value, 5),
            "normals": self.judgement.normals,
            "class": {
                "name": self.class_name,
                "similarity": round(self.similarity, 5),
                "margin": round(self.margin, 5),
                "known": self.known,
            },
            "top_classes": [{"name": m.name, "similarity": round(m.similarity, 5)} for m in self.matches[:5]],
            "scores": {part: round(score, 5) for part, score in self.part_scores.items()},
            "regions": [
                {"box": list(region.box), "area": region.area, "peak": round(region.peak, 5)} for region in self.regions
            ],
            "checkpoint": self.checkpoint,
            "foundation": self.foundation,
            "image_size": list(self.photo.image.size),
            "notes": list(self.notes),
            "seconds": {step: round(seconds, 4) for step, seconds in self.seconds.items()},
        }


class Predictor:
    """A checkpoint on its foundation model."""

    def __init__(self, foundation: FoundationModel, checkpoint: Checkpoint) -> None:
        self.foundation = foundation
        self.checkpoint = checkpoint
        self.card = checkpoint.card
        self._model = checkpoint.model
        self._statistics = checkpoint.statistics

    @classmethod
    def from_checkpoint(cls, name_or_folder: str | os.PathLike[str], foundation: FoundationModel | None = None) -> Self:
        """Load a checkpoint by name or folder, and its foundation model unless one is given."""
        folder = find_checkpoint(name_or_folder)
        foundation = foundation or load_foundation(read_card(folder).foundation.name)
        return cls(foundation, load_checkpoint(folder, foundation))

    def predict(
        self,
        source: Source,
        class_name: str = AUTO,
        false_alarm_rate: float | None = None,
    ) -> Prediction:
        """Judge one photograph.

        class_name: a class of the checkpoint, or "auto" to take the one whose learned name is nearest.
        false_alarm_rate: of normal images, in (0, 1); None takes the checkpoint's own.
        Raises ImageError for what is no photograph, ValueError for an unknown class.
        """
        (prediction,) = self.predict_many([source], class_name, false_alarm_rate)
        if isinstance(prediction, ImageError):
            raise prediction
        return prediction

    def predict_many(
        self, sources: Iterable[Source], class_name: str = AUTO, false_alarm_rate: float | None = None
    ) -> Iterator[Prediction | ImageError]:
        """Judge photographs as ``predict`` does, ``BATCH`` at a time; in place of what is no photograph, what is wrong.

        Each prediction's seconds are its share of its batch's.
        """
        given = None if class_name == AUTO else self.card.class_id(class_name)
        rate = self.card.config.calibration.false_alarm_rate if false_alarm_rate is None else false_alarm_rate
        remaining = iter(sources)
        while chunk := list(islice(remaining, BATCH)):
            clock = _Clock()
            opened = [_open(source) for source in chunk]
            photos = [photo for photo in opened if isinstance(photo, images.Photo)]
            predictions = self._judge(photos, given, rate, clock) if photos else iter(())
            yield from [each if isinstance(each, ImageError) else next(predictions) for each in opened]

    def _judge(
        self, photos: list[images.Photo], given: int | None, rate: float, clock: "_Clock"
    ) -> Iterator[Prediction]:
        """Score one batch and give its predictions."""
        size = self.foundation.fingerprint.image_size
        batch = torch.stack([images.to_tensor(photo.image, size) for photo in photos])
        clock.lap("decode")
        features = self.foundation.encode_image(batch)
        clock.lap("encode")
        class_ids = None if given is None else torch.full((len(photos),), given)
        scored = self._score(features.maps, features.embedding, class_ids)
        clock.lap("score")
        shared = {step: seconds / len(photos) for step, seconds in clock.seconds.items()}
        for i, photo in enumerate(photos):
            yield self._prediction(photo, scored, i, rate, shared)

    def _prediction(
        self, photo: images.Photo, scored: ScoredBatch, i: int, rate: float, seconds: dict[str, float]
    ) -> Prediction:
        """What is known of the i-th photograph of a batch; seconds are those that it took so far."""
        clock = _Clock()
        name = self.card.class_names[int(scored.class_ids[i])]
        judgement = self.card.calibration.judge(float(scored.image_scores[i]), name, rate)
        patch_map = scored.anomaly_maps[i].numpy()
        anomaly_map = images.map_to_image(patch_map, *photo.image.size)
        regions = find_regions(patch_map, judgement.threshold, photo.image.size)
        matches = self._matches(scored.similarities[i])
        known = self.card.calibration.is_known(name, next(m.similarity for m in matches if m.name == name))
        clock.lap("render")
        return Prediction(
            photo=photo,
            checkpoint=self.card.name,
            foundation=self.foundation.fingerprint.name,
            class_name=name,
            matches=matches,
            known=known,
            anomaly_map=anomaly_map,
            patch_maps={ALL: patch_map} | dict(zip(PARTS, scored.part_maps[i].numpy(), strict=True)),
            image_score=float(scored.image_scores[i]),
            part_scores=dict(zip(PARTS, scored.part_scores[i].tolist(), strict=True)),
            judgement=judgement,
            regions=regions,
            notes=photo.notes + _judgement_notes(judgement, name, known, matches[0].name, self.card),
            seconds=seconds | clock.seconds,
        )

    @torch.no_grad()
    def judge_as_each(self, source: Source) -> list[ClassVerdict]:
        """Judge a photograph as each class that it is similar to, ``MOST_JUDGED`` at most, the most similar first."""
        photo = images.open_photo(source)
        tensor = images.to_tensor(photo.image, self.foundation.fingerprint.image_size)[None]
        features = self.foundation.encode_image(tensor)
        matches = self._matches(self._model.match(features.embedding)[0])[:MOST_JUDGED]
        class_ids = torch.tensor([self.card.class_id(match.name) for match in matches])
        maps = [m.expand(len(class_ids), -1, -1, -1) for m in features.maps]
        scores = self._score(maps, features.embedding.expand(len(class_ids), -1), class_ids).image_scores.tolist()
        calibration, rate = self.card.calibration, self.card.config.calibration.false_alarm_rate
        judged = [calibration.judge(score, match.name, rate) for match, score in zip(matches, scores, strict=True)]
        return [ClassVerdict(*each) for each in zip(matches, scores, judged, strict=True)]

    @torch.no_grad()
    def predict_tensors(self, batch: Tensor, class_ids: Tensor | None = None) -> ScoredBatch:
        """Score (B, 3, S, S) images in [0, 1] as the given classes (B,), or as the nearest ones."""
        features = self.foundation.encode_image(batch)
        return self._score(features.maps, features.embedding, class_ids)

    @torch.no_grad()
    def _score(self, maps: Sequence[Tensor], embedding: Tensor, class_ids: Tensor | None) -> ScoredBatch:
        scoring, patches = self.card.config.scoring, self._model.patches
        similarities = self._model.match(embedding)
        class_ids = similarities.argmax(1) if class_ids is None else class_ids
        output = self._model(maps, class_ids)
        normal = self._statistics.of(class_ids)
        raw = raw_scores(output, normal, self.card.config, patches.grid_size)
        placed = normal.memory_mean, normal.memory_std, normal.mean, normal.std
        parts = combine(standardised_parts(raw, *placed), self.card.config)
        scores = fuse(parts, scoring.semantic_weight)
        return ScoredBatch(
            class_ids=class_ids,
            similarities=similarities,
            anomaly_maps=scores.unflatten(1, patches.grid_size),
            image_scores=image_scores(scores, scoring.top_fraction),
            part_maps=parts.unflatten(2, patches.grid_size),
            part_scores=image_scores(parts, scoring.top_fraction),
        )

    def match_classes(self, source: Source) -> list[dict[str, Any]]:
        """Compare a photograph with every learned name, the most similar first.

        nearest_words are the vocabulary's words nearest to the name's tokens: what the model would call the class,
        as far as words go.
        """
        similarities = self._model.match(self.embed(source)[None])[0]
        words = self.nearest_words()
        cards = {card.name: card for card in self.card.classes}
        return [
            {
                "name": match.name,
                "similarity": round(match.similarity, 5),
                "nearest_words": words[match.name],
                "n_train": cards[match.name].n_train,
                "group": cards[match.name].group,
            }
            for match in self._matches(similarities)
        ]

    def embed(self, source: Source) -> Tensor:
        """Place a photograph in the joint space of images and names: (J,), unit length."""
        photo = images.open_photo(source)
        tensor = images.to_tensor(photo.image, self.foundation.fingerprint.image_size)[None]
        return self.foundation.encode_image(tensor).embedding[0]

    def nearest_words(self) -> dict[str, list[str]]:
        """The vocabulary's words nearest to each learned name's tokens, by cosine in the space of word embeddings."""
        tokens = self._model.prompts.class_tokens  # (K, L, token size)
        nearest = nearest_words(self.foundation, tokens.mean(1), NEAREST_WORDS)
        return {name: [w.word for w in near] for name, near in zip(self.card.class_names, nearest, strict=True)}

    def _matches(self, similarities: Tensor) -> tuple[ClassMatch, ...]:
        order = similarities.argsort(descending=True).tolist()
        return tuple(ClassMatch(self.card.class_names[i], float(similarities[i])) for i in order)


def _open(source: Source) -> images.Photo | ImageError:
    try:
        return images.open_photo(source)
    except ImageError as error:
        return error


class _Clock:
    """Seconds of the named steps of one prediction."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, step: str) -> None:
        """Book the time since the last lap under ``step``."""
        now = time.perf_counter()
        self.seconds[step] = now - self._last
        self._last = now


def nearest_words(foundation: FoundationModel, vectors: Tensor, count: int) -> list[tuple[NearWord, ...]]:
    """Find the vocabulary's words nearest to each token vector (n, token size), the nearest first."""
    words, embeddings = foundation.vocabulary()
    cosines = normalize(vectors, dim=-1) @ normalize(embeddings, dim=-1).T
    near = cosines.topk(min(count, len(words)), dim=1)
    rows = zip(near.indices.tolist(), near.values.tolist(), strict=True)
    return [tuple(NearWord(words[i], value) for i, value in zip(*row, strict=True)) for row in rows]


def find_regions(anomaly_map: np.ndarray, threshold: float, size: tuple[int, int]) -> tuple[Region, ...]:
    """Connected places of a patch map (h, w) above the threshold, the highest peak first.

    size: (width, height) of the image in whose pixels boxes and areas are given. Touching corners connect.
    """
    width, height = size
    fine = images.map_to_image(anomaly_map, REGION_GRID, REGION_GRID)
    labels, _ = ndimage.label(fine > threshold, structure=np.ones((3, 3)))
    sx, sy = width / REGION_GRID, height / REGION_GRID
    regions = []
    for index, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        inside = labels[rows, columns] == index
        x, y = min(round(columns.start * sx), width - 1), min(round(rows.start * sy), height - 1)
        box = (x, y, max(1, round(columns.stop * sx) - x), max(1, round(rows.stop * sy) - y))
        area = max(1, round(int(inside.sum()) * sx * sy))
        regions.append(Region(box, area, float(fine[rows, columns][inside].max())))
    return tuple(sorted(regions, key=lambda region: -region.peak))


def _judgement_notes(
    judgement: Judgement, name: str, known: bool, nearest: str, card: CheckpointCard
) -> tuple[str, ...]:
    """What a person should know before trusting the verdict."""
    notes = []
    if not known and nearest != name:
        notes.append(
            f"the image does not look like “{name}”, which was given; the nearest learned class is “{nearest}”"
        )
    elif not known:
        notes.append(
            "unknown product: the image fits none of the learned classes well, so the verdict, made as "
            f"“{name}”, means little"
        )
    if judgement.borrowed:
        own = len(card.calibration.scores[name])
        notes.append(
            f"“{name}” has only {own} held-out normal images; the threshold was borrowed from the "
            f"{judgement.normals} normal images of all classes"
        )
    return tuple(notes)
