"""Classes of many images that play classes of few."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ltad.config import HarmlessConfig, LTADConfig
from ltad.data import GOOD, Dataset, Sample
from ltad.foundation.features import Encoder, Features
from ltad.judging.rehearsal import Rehearsal
from ltad.model.ltad import LTAD
from ltad.presets import default
from ltad.progress import quiet
from ltad.training.copies import MOST
from ltad.training.folds import fit_folds
from ltad.training.images import encode_samples, with_copies
from ltad.training.normals import fit_statistics
from ltad.training.phases import fit
from ltad.training.rehearsal import CLASSES, MOST_OTHERS, SIZES, copies_needed, plays, rehearse
from tests.toys import Recorder, TinyFoundation, toy_picture

COUNTS = torch.tensor([230, 12, 1, 40])


def class_ids_of(counts: Tensor) -> Tensor:
    return torch.arange(len(counts)).repeat_interleave(counts)


def test_a_play_has_a_cast_of_its_size_and_judges_others() -> None:
    class_ids = class_ids_of(COUNTS)
    listed = plays(class_ids, seed=0)
    by_class = {k: {len(play.cast) for play in listed if play.class_id == k} for k in range(4)}
    assert by_class == {0: set(SIZES), 1: {1, 2, 3, 4}, 2: set(), 3: {size for size in SIZES if size < 28}}
    for play in listed:
        cast, others = set(play.cast.tolist()), set(play.others.tolist())
        assert not cast & others and 8 <= len(others) <= MOST_OTHERS
        assert {int(class_ids[i]) for i in cast | others} == {play.class_id}
    small = [frozenset(p.cast.tolist()) for p in listed if p.class_id == 0 and len(p.cast) == 4]
    assert len(small) == 3 and len(frozenset.union(*small)) == 12  # other images each time
    judged = [frozenset(p.others.tolist()) for p in listed if p.class_id == 0 and len(p.cast) <= 16]
    assert len(frozenset.union(*judged)) > 2 * MOST_OTHERS  # nor the same others: their luck would be that of all plays
    again, other = plays(class_ids, seed=0), plays(class_ids, seed=1)
    assert all(torch.equal(a.cast, b.cast) for a, b in zip(listed, again, strict=True))
    assert not all(torch.equal(a.cast, b.cast) for a, b in zip(listed, other, strict=True))


def test_those_with_the_most_images_play() -> None:
    counts = torch.tensor([20, 50, 60, 40, 30, 10, 70, 15])
    assert {play.class_id for play in plays(class_ids_of(counts), seed=0)} == {0, 1, 2, 3, 4, 6}
    assert CLASSES == 6


def test_a_cast_needs_as_many_copies_as_a_class_of_its_size_has() -> None:
    listed = plays(class_ids_of(COUNTS), seed=0)
    needed = copies_needed(listed, default())
    smallest = {int(i): min(len(p.cast) for p in listed if int(i) in p.cast) for p in listed for i in p.cast}
    assert set(needed) == set(smallest)
    assert all(needed[image] == MOST for image, size in smallest.items() if size < 20)


def picture(name: str, number: int) -> Image.Image:
    return Image.fromarray(toy_picture(name, np.random.default_rng(number)).clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def many() -> Dataset:
    samples = [
        Sample(name=f"{name}/{i}", class_name=name, defect=GOOD, read=partial(picture, name, i))
        for name, count in (("checker", 26), ("dots", 24))
        for i in range(count)
    ]
    return Dataset(name="many", train=tuple(samples), test=())


@pytest.fixture(scope="module")
def config() -> LTADConfig:
    return default().override(
        "phase1.steps=2", "phase2.steps=2", "memory.total=64", "views.wanted=30", "reconstruction.dim=16"
    )


def rehearsed(many: Dataset, config: LTADConfig, told: Recorder) -> dict[int, Rehearsal]:
    foundation = TinyFoundation()
    encoder, names = Encoder(foundation), many.class_names
    features = encode_samples(many.train, names, encoder, quiet)
    listed = plays(features.class_ids, config.seed, 1)
    images = with_copies(many.train, features, encoder, config, quiet, copies_needed(listed, config))

    def learn(seen: Features, fold: int | None) -> LTAD:
        return fit(seen, foundation, many.train_counts, config, fold=fold, progress=quiet)

    folds, final = fit_folds(images, 2, config.seed, learn)
    judged = images.judged()
    normals = fit_statistics(folds, final, judged, config)
    return rehearse(listed, images, judged, final, normals, names, config, told)


def test_what_is_seen_is_told_by_size_and_class(many: Dataset, config: LTADConfig) -> None:
    told = Recorder()
    seen = rehearsed(many, config, told)
    assert list(seen) == [1, 2, 3, 4, 6, 10, 16]
    for size, rehearsal in seen.items():
        assert set(rehearsal.scores) == set(rehearsal.changed) == {"checker", "dots"}
        for scores in (*rehearsal.scores.values(), *rehearsal.changed.values()):
            assert np.isfinite(scores).all() and list(scores) == sorted(scores)
        assert rehearsal.usual.spread > 0 and (size > 1 or rehearsal.usual == (0.0, 1.0))
    assert told.told[0] == ("rehearsal", 1) and told.told[-1][1] == len(told.told)
    assert rehearsed(many, config, Recorder()) == seen


def test_where_nothing_is_harmless_nothing_is_seen_changed(many: Dataset, config: LTADConfig) -> None:
    still = replace(config, harmless=HarmlessConfig.none())
    assert all(not seen.changed and seen.scores for seen in rehearsed(many, still, Recorder()).values())


def test_the_papers_form_is_not_rehearsed(many: Dataset, config: LTADConfig) -> None:
    paper = replace(config, scoring=replace(config.scoring, form="paper"))
    assert rehearsed(many, paper, Recorder()) == {}
