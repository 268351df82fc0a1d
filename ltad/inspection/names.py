"""What can be known of the learned names: nearest words, way gone, likeness, and how a typed word would do instead."""

import copy
from dataclasses import dataclass, replace
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ltad.foundation import FoundationModel
from ltad.foundation.vocabulary import NearWord, nearest_words
from ltad.inspection.prediction import Prediction
from ltad.inspection.predictor import NEAREST_WORDS, Predictor
from ltad.inspection.reading import Source
from ltad.model.prompts import ClassPrompts, start_tokens
from ltad.photos.decode import open_photo

MAX_CHARACTERS = 60  # of a typed name
MAX_TOKENS = 16  # that the text tower may split it into


@dataclass(frozen=True, kw_only=True)
class LearnedName:
    """The learned name of one class; similarities are cosines in [-1, 1].

    tokens, start: for every token vector, as it is now and as it was before training, the nearest words. They are the
    nearest of what there is: a low similarity says that no word is near.
    start_similarity: of what the text tower reads in the name before and after training; 1 = it did not move.
    image_similarity, start_image_similarity: of the class's training images, on the average, to the name as it is and
    as it was.
    """

    name: str
    n_train: int
    group: str
    tokens: tuple[tuple[NearWord, ...], ...]
    start: tuple[tuple[NearWord, ...], ...]
    start_similarity: float
    image_similarity: float
    start_image_similarity: float


class Plane(NamedTuple):
    """Coordinates in one plane of the joint space: names and classes (K, 2), images (n, 2).

    share: how much of the spread of names and classes the plane shows, in [0, 1].
    """

    names: np.ndarray
    classes: np.ndarray
    images: np.ndarray
    share: float


class Comparison(NamedTuple):
    """One photograph judged twice as the same class: by its learned name, and by words in the place of that name.

    The reconstruction is the same in both. What is normal was measured with the learned name: where other words move
    every patch alike, sound or not, the semantic score moves with them.
    """

    words: str
    learned: Prediction
    typed: Prediction


def describe_names(predictor: Predictor, count: int = NEAREST_WORDS) -> tuple[LearnedName, ...]:
    """Describe every learned name, in the order of the class ids, with ``count`` words per token."""
    model, foundation = predictor.checkpoint.model, predictor.foundation
    start = _start(predictor)
    before, after, images = start.name_features(foundation), model.name_features, model.class_embeddings
    moved, fits, fitted = ((a * b).sum(-1).tolist() for a, b in ((before, after), (images, after), (images, before)))
    now, then = (_token_words(foundation, prompts.class_tokens, count) for prompts in (model.prompts, start))
    return tuple(
        LearnedName(
            name=card.name,
            n_train=card.n_train,
            group=card.group,
            tokens=now[i],
            start=then[i],
            start_similarity=moved[i],
            image_similarity=fits[i],
            start_image_similarity=fitted[i],
        )
        for i, card in enumerate(predictor.card.classes)
    )


def name_similarities(predictor: Predictor) -> np.ndarray:
    """Compare every learned name with every other: cosines (K, K), in the order of the class ids."""
    names = predictor.checkpoint.model.name_features
    return (names @ names.T).cpu().numpy()


def lay_out(predictor: Predictor, embeddings: Tensor | None = None) -> Plane:
    """Lay names, classes and images flat; a class lies in the mean direction of its training images.

    Image and text towers fill different corners of the joint space (the modality gap), which would be all that a
    picture shows. So each kind is seen from its own mean, images from that of the classes. The axes are the two
    principal components of names and classes together; embeddings (n, J) of further images do not change them.
    """
    model = predictor.checkpoint.model
    names, classes = (t.cpu().double().numpy() for t in (model.name_features, model.class_embeddings))
    images = np.empty((0, names.shape[1])) if embeddings is None else embeddings.cpu().double().numpy()
    images = images - classes.mean(0)
    names, classes = names - names.mean(0), classes - classes.mean(0)
    _, spread, axes = np.linalg.svd(np.concatenate([names, classes]), full_matrices=False)
    axes = axes[:2]
    # An axis has no direction of its own: its largest entry is made positive.
    axes = axes * np.sign(axes[[0, 1], np.abs(axes).argmax(1)])[:, None]
    variance = spread**2
    share = float(variance[:2].sum() / variance.sum()) if variance.sum() > 0 else 1.0
    return Plane(names @ axes.T, classes @ axes.T, images @ axes.T, share)


def compare_words(predictor: Predictor, source: Source, class_name: str, words: str) -> Comparison:
    """Judge a photograph as a class, by its learned name and by typed words.

    Raises ImageError for what is no photograph, ValueError for an unknown class and for words that are no name.
    """
    other = rename(predictor, class_name, words)
    image = open_photo(source).image
    learned, typed = (p.predict(image, class_name) for p in (predictor, other))
    return Comparison(_tidy(words), learned, typed)


def rename(predictor: Predictor, class_name: str, words: str) -> Predictor:
    """Copy a predictor, with typed words in the place of one class's learned name.

    Raises ValueError for an unknown class, and for words that ``name_tokens`` refuses.
    """
    class_id = predictor.card.class_id(class_name)
    foundation = predictor.foundation
    prompts = _prompts(predictor, name_tokens(foundation, words)[None])
    model = copy.deepcopy(predictor.checkpoint.model)
    model.name_features[class_id] = prompts.name_features(foundation)[0]
    model.text_features[class_id] = prompts.text_features(foundation)[0]
    return Predictor(foundation, replace(predictor.checkpoint, model=model))


def name_tokens(foundation: FoundationModel, words: str) -> Tensor:
    """The token embeddings of typed words, (tokens, token size).

    Raises ValueError for words that the text tower cannot read, that have no token or too many.
    """
    words = _tidy(words)
    if unread := foundation.unread_words(words):
        raise ValueError(
            f"The text tower cannot read “{' '.join(unread)}”: its vocabulary is English. Type an English word, for "
            "instance “screw”."
        )
    tokens = foundation.embed_words(words)
    if len(tokens) == 0:
        raise ValueError(f"“{words}” holds nothing that the text tower reads; type a word, for instance “screw”.")
    if len(tokens) > MAX_TOKENS:
        raise ValueError(f"“{words}” makes {len(tokens)} text tokens, at most {MAX_TOKENS} can be a name; type less.")
    return tokens


def _tidy(words: str) -> str:
    """The words with single spaces; none and too many are refused before any tokenizer sees them."""
    if not words.strip():
        raise ValueError("No word was given; type what you would call the product, for instance “screw”.")
    if len(words) > MAX_CHARACTERS:
        raise ValueError(f"The words have {len(words)} characters, at most {MAX_CHARACTERS} can be a name; type less.")
    return " ".join(words.split())


def _start(predictor: Predictor) -> ClassPrompts:
    """The names as they were before training, made again from the configuration and its seed."""
    config = predictor.card.config
    tokens = start_tokens(
        predictor.foundation,
        predictor.card.class_names,
        tokens=config.prompts.tokens,
        start=config.prompts.start,
        spread=config.prompts.spread,
        generator=torch.Generator().manual_seed(config.seed),
    )
    return _prompts(predictor, tokens)


def _prompts(predictor: Predictor, class_tokens: Tensor) -> ClassPrompts:
    """Other names (n, L, token size) in the sentences of the checkpoint's own."""
    own = predictor.checkpoint.model.prompts
    normal, abnormal = own.states
    return ClassPrompts(
        class_tokens, learned=False, pair=own.pair, start=own.start, normal=normal, abnormal=abnormal, seed=own.seed
    )


def _token_words(
    foundation: FoundationModel, class_tokens: Tensor, count: int
) -> list[tuple[tuple[NearWord, ...], ...]]:
    """The nearest words of every token of every name (K, L, token size); zeros are no token."""
    present = class_tokens.any(-1)  # (K, L)
    found = iter(nearest_words(foundation, class_tokens[present], count))
    return [tuple(islice(found, tokens)) for tokens in present.sum(1).tolist()]
