"""``Predictor``: a photograph in, a ``Prediction`` out. Stateless, so that many visitors can share one.

Two levels: ``predict`` works in the land of photographs and ``predict_views`` on batches, which is what the
evaluation measures; both score in the same place.
"""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from ltad.checkpoint.folder import Checkpoint, find_checkpoint, load_tensors, read_card
from ltad.config import LTADConfig
from ltad.errors import ImageError
from ltad.foundation import FoundationModel, ImageFeatures, load_foundation
from ltad.foundation.features import Encoder, Store, Views
from ltad.foundation.vocabulary import nearest_words
from ltad.inspection.prediction import ALL, ClassMatch, ClassVerdict, Prediction
from ltad.inspection.reading import Opened, Source, read_ahead
from ltad.judging.calibration import DIGITS
from ltad.judging.detail import joined_map
from ltad.judging.regions import is_everywhere
from ltad.judging.scoring import raw_scores, score_images, standardise
from ltad.machine import AUTO as AUTO_DEVICE
from ltad.machine import CPU
from ltad.model.ltad import detail_of
from ltad.photos.decode import Photo, open_photo

AUTO = "auto"
NEAREST_WORDS = 5
MOST_JUDGED = 12  # classes as which one photograph is judged


class ScoredBatch(NamedTuple):
    """What a batch of B images scores.

    All of it lies in host memory. class_ids: (B,), given or predicted. similarities: (B, K), cosine to every pseudo
    class name. familiarity: (B,), how similar each is to what its class is recognised by.
    anomaly_maps: of each image (h, w), of its own size where it is seen finely, and image_scores: (B,), in standard
    deviations above normal, higher = more anomalous. whole_maps: (B, h, w), of what is seen of the whole frame alone.
    part_maps, part_scores: the same of "reconstruction" and of "semantic" alone; and what is scored "fine" alone.
    """

    class_ids: Tensor
    similarities: Tensor
    familiarity: Tensor
    anomaly_maps: Sequence[Tensor]
    image_scores: Tensor
    whole_maps: Tensor
    part_maps: dict[str, Tensor]
    part_scores: dict[str, Tensor]

    def everywhere(self, config: LTADConfig) -> list[bool]:
        """Which of the images are unusual all over."""
        return [is_everywhere(each, config) for each in self.whole_maps.numpy()]


class Predictor:
    """A checkpoint on its foundation model; store: where the features of what it sees are kept, if anywhere."""

    def __init__(self, foundation: FoundationModel, checkpoint: Checkpoint, store: Store | None = None) -> None:
        self.foundation = foundation
        self.checkpoint = checkpoint
        self.card = checkpoint.card
        self.encoder = Encoder(foundation, store, detail=detail_of(checkpoint.card.config, foundation))
        self._model = checkpoint.model
        self._statistics = checkpoint.statistics

    @classmethod
    def from_checkpoint(
        cls,
        name_or_folder: str | os.PathLike[str],
        foundation: FoundationModel | str | None = None,
        store: Store | None = None,
        device: str | torch.device = AUTO_DEVICE,
    ) -> Self:
        """Load a checkpoint on the foundation model that is given or named, or that it names.

        name_or_folder: or hf://OWNER/NAME[@REVISION], where it is on the Hugging Face Hub.
        device: "auto" = the best there is; a foundation model that is given lies on its own already.
        """
        folder = find_checkpoint(name_or_folder)
        card = read_card(folder)  # a wrong one is answered before a large model is read
        if not isinstance(foundation, FoundationModel):
            foundation = load_foundation(foundation or card.foundation.name, device)
        return cls(foundation, load_tensors(card, foundation), store)

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
        opened = Opened.of([source], self.encoder, self.card.levels.get(class_name))
        if not opened.photos:
            raise opened.read[0]  # type: ignore[misc]  # an error, as it is no photograph
        (prediction,) = self._predictions(opened, class_name, false_alarm_rate)
        return prediction

    def predict_many(
        self, sources: Iterable[Source], class_name: str = AUTO, false_alarm_rate: float | None = None
    ) -> Iterator[Prediction | ImageError]:
        """Judge photographs as ``predict`` does, a few at a time; in place of what is no photograph, what is wrong.

        While some are scored, the next ones are decoded. Each prediction's seconds are its share of its batch's.
        """
        if class_name != AUTO:
            self.card.class_id(class_name)  # an unknown one is refused before anything is read
        for opened in read_ahead(sources, self.encoder, self.card.levels.get(class_name)):
            predictions = self._predictions(opened, class_name, false_alarm_rate) if opened.photos else iter(())
            yield from [each if isinstance(each, ImageError) else next(predictions) for each in opened.read]

    def _predictions(self, opened: Opened, class_name: str, false_alarm_rate: float | None) -> Iterator[Prediction]:
        """Score what was read together, and give its predictions.

        A photograph of more than 8 bits that is recognised as of a class which was learned by other levels than its own
        is read once more, by these.
        """
        given = None if class_name == AUTO else self.card.class_id(class_name)
        rate = self.card.config.calibration.false_alarm_rate if false_alarm_rate is None else false_alarm_rate
        photos, clock = opened.photos, _Clock(decode=opened.seconds)
        features = self.encoder.encode(opened.views)
        clock.lap("encode")
        scored = self.score(features, None if given is None else torch.full((len(photos),), given, device=CPU))
        clock.lap("score")
        shared = {step: seconds / len(photos) for step, seconds in clock.seconds.items()}
        for i, photo in enumerate(photos):
            name = self.card.class_names[int(scored.class_ids[i])]
            levels = self.card.levels.get(name)
            if photo.levels and levels and photo.levels != levels:
                for again in self._predictions(opened.again(i, self.encoder, levels), name, rate):
                    yield replace(again, given=given is not None)
            else:
                yield self._prediction(photo, scored, i, given is not None, rate, shared)

    def _prediction(
        self, photo: Photo, scored: ScoredBatch, i: int, given: bool, rate: float, seconds: dict[str, float]
    ) -> Prediction:
        """What is known of the i-th photograph of a batch; seconds are those that it took so far."""
        clock = _Clock()
        class_id = int(scored.class_ids[i])
        name, score = self.card.class_names[class_id], float(scored.image_scores[i])
        prediction = Prediction(
            card=self.card,
            photo=photo,
            size=photo.image.size,
            class_name=name,
            given=given,
            matches=self._matches(scored.similarities[i]),
            known=self.card.calibration.is_known(name, float(scored.familiarity[i])),
            patch_maps={ALL: scored.anomaly_maps[i].numpy()}
            | {part: maps[i].numpy() for part, maps in scored.part_maps.items()},
            whole_map=scored.whole_maps[i].numpy(),
            image_score=score,
            part_scores={part: float(scores[i]) for part, scores in scored.part_scores.items()},
            judgement=self.card.calibration.judge(score, name, rate),
            seconds=dict(seconds),
        )
        _ = prediction.regions  # found here, so that their time is told
        clock.lap("render")
        prediction.seconds.update(clock.seconds)
        return prediction

    @torch.no_grad()
    def judge_as_each(self, source: Source) -> list[ClassVerdict]:
        """Judge a photograph as each class that it is similar to, ``MOST_JUDGED`` at most, the most similar first."""
        features = self._look_at(source, self.encoder)
        matches = self._matches(self._model.match(features.embedding)[0])[:MOST_JUDGED]
        class_ids = torch.tensor([self.card.class_id(match.name) for match in matches], device=CPU)
        maps = tuple(m.expand(len(class_ids), -1, -1, -1) for m in features.maps)
        many = ImageFeatures(maps, features.embedding.expand(len(class_ids), -1), features.fine * len(class_ids))
        calibration, rate = self.card.calibration, self.card.config.calibration.false_alarm_rate
        scores = self.score(many, class_ids).image_scores.tolist()
        pairs = zip(matches, scores, strict=True)
        return [ClassVerdict(match, calibration.judge(score, match.name, rate)) for match, score in pairs]

    def predict_views(self, views: Views, class_ids: Tensor | None = None) -> ScoredBatch:
        """Score B images as the given classes (B,), or as the nearest ones."""
        return self.score(self.encoder.encode(views), class_ids)

    @torch.no_grad()
    def score(self, features: ImageFeatures, class_ids: Tensor | None = None) -> ScoredBatch:
        """Score B images, given what the image tower says of them, as the given classes (B,), or the nearest ones.

        It is done on the foundation model's device; what comes out lies in host memory.
        """
        grid, device = self._model.patches.grid_size, self.foundation.device
        maps, embedding = tuple(m.to(device) for m in features.maps), features.embedding.to(device)
        similarities = self._model.match(embedding)
        class_ids = similarities.argmax(1) if class_ids is None else class_ids.to(device)
        output = self._model(maps, class_ids, [each.to(device) for each in features.fine])
        normal = self._statistics.of(class_ids)
        raw = raw_scores(output, normal, self.card.config, grid)
        scores = score_images(standardise(raw, normal.usual), self.card.config, normal.fine_gain.prod(1))
        whole = scores.patches.unflatten(1, grid).cpu()
        fine = [joined_map(mine, its.cpu()) for mine, its in zip(whole, scores.fine, strict=False)]
        return ScoredBatch(
            class_ids=class_ids.cpu(),
            similarities=similarities.cpu(),
            familiarity=self._model.familiarity(embedding, class_ids, self.card.calibration.familiar_by).cpu(),
            anomaly_maps=fine or whole.unbind(),
            image_scores=scores.image.cpu(),
            whole_maps=whole,
            part_maps={name: part.unflatten(1, grid).cpu() for name, part in scores.parts._asdict().items()},
            part_scores={name: part.cpu() for name, part in scores.image_by_part.items()},
        )

    def match_classes(self, source: Source) -> list[dict[str, Any]]:
        """Compare a photograph with every learned name, the most similar first.

        nearest_words are the vocabulary's words nearest to the name's tokens: what the model would call the class,
        as far as words go.
        """
        similarities = self._model.match(self._look_at(source, self.encoder.whole).embedding)[0]
        words = self.nearest_words()
        cards = {card.name: card for card in self.card.classes}
        return [
            {
                "name": match.name,
                "similarity": round(match.similarity, DIGITS),
                "nearest_words": words[match.name],
                "n_train": cards[match.name].n_train,
                "group": cards[match.name].group,
            }
            for match in self._matches(similarities)
        ]

    def embed(self, source: Source) -> Tensor:
        """Place a photograph in the joint space of images and names: (J,), unit length, in host memory."""
        return self._look_at(source, self.encoder.whole).embedding[0].cpu()

    def nearest_words(self) -> dict[str, list[str]]:
        """The vocabulary's words nearest to each learned name's tokens, by cosine in the space of word embeddings."""
        tokens = self._model.prompts.class_tokens  # (K, L, token size)
        nearest = nearest_words(self.foundation, tokens.mean(1), NEAREST_WORDS)
        return {name: [w.word for w in near] for name, near in zip(self.card.class_names, nearest, strict=True)}

    def _look_at(self, source: Source, encoder: Encoder) -> ImageFeatures:
        """What the image tower says of one photograph."""
        return encoder.encode(encoder.views([open_photo(source).image]))

    def _matches(self, similarities: Tensor) -> tuple[ClassMatch, ...]:
        order = similarities.argsort(descending=True).tolist()
        return tuple(ClassMatch(self.card.class_names[i], float(similarities[i])) for i in order)


class _Clock:
    """Seconds of the named steps of one prediction."""

    def __init__(self, **known: float) -> None:
        self.seconds = known
        self._last = time.perf_counter()

    def lap(self, step: str) -> None:
        """Book the time since the last lap under ``step``."""
        now = time.perf_counter()
        self.seconds[step] = now - self._last
        self._last = now
