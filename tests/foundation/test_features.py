"""One way from pictures to features, which remembers."""

from pathlib import Path

import pytest
import torch

from ltad.data import Dataset
from ltad.files import write_text
from ltad.foundation import FoundationModel, ImageFeatures
from ltad.foundation.features import ENCODE_BATCH, Encoder, Features, Views
from ltad.foundation.store import FeatureFolder
from ltad.progress import Stage, quiet
from tests.toys import WIDTH, Recorder, TinyFoundation


@pytest.fixture
def tower() -> TinyFoundation:
    """One that has seen nothing yet."""
    return TinyFoundation()


@pytest.fixture(params=["memory", "disk"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> dict | FeatureFolder:
    return {} if request.param == "memory" else FeatureFolder(tmp_path / "features")


def images(count: int, seed: int = 0) -> Views:
    return Views(torch.rand(count, 3, WIDTH, WIDTH, generator=torch.Generator().manual_seed(seed)))


def singly(views: Views) -> list[Views]:
    return [Views(image) for image in views.whole.split(1)]


def same(one: ImageFeatures, other: ImageFeatures) -> bool:
    return all(
        torch.equal(a, b) for a, b in zip((*one.maps, one.embedding), (*other.maps, other.embedding), strict=True)
    )


def test_what_was_seen_is_recalled_in_any_batch(tower: TinyFoundation, store: dict | FeatureFolder) -> None:
    encoder, batch = Encoder(tower, store), images(4)
    first = encoder.encode(batch)
    again = encoder.encode(Views(batch.whole.flip(0)))
    assert tower.seen == len(store) == 4
    assert same(again, ImageFeatures(tuple(m.flip(0) for m in first.maps), first.embedding.flip(0)))
    assert all(m.dtype == torch.float32 for m in (*first.maps, first.embedding))


def test_a_new_one_is_encoded_beside_known_ones_and_twice_the_same_once(
    tower: TinyFoundation, store: dict | FeatureFolder
) -> None:
    encoder, batch = Encoder(tower, store), images(3)
    encoder.encode(Views(batch.whole[:1]))
    encoder.encode(Views(torch.cat([batch.whole, batch.whole[2:]])))
    assert tower.seen == 3


def test_what_is_kept_is_half_as_precise_and_what_is_not_is_whole(
    tower: TinyFoundation, store: dict | FeatureFolder
) -> None:
    batch = images(2)
    kept, whole = Encoder(tower, store).encode(batch), Encoder(tower).encode(batch)
    assert same(kept, ImageFeatures(tuple(m.half().float() for m in whole.maps), whole.embedding))
    assert not same(kept, whole)


def test_another_tower_does_not_believe_the_first(tower: TinyFoundation, store: dict | FeatureFolder) -> None:
    other = TinyFoundation(seed=1)
    for each in (tower, other):
        Encoder(each, store).encode(images(2))
    assert (tower.seen, other.seen, len(store)) == (2, 2, 4)


def test_copies_need_not_be_kept(tower: TinyFoundation, store: dict | FeatureFolder) -> None:
    class_ids = torch.zeros(3, dtype=torch.long)
    Encoder(tower, store).features(singly(images(3)), class_ids, Stage("views"), quiet, keep=False)
    assert tower.seen == 3 and not store


def test_features_come_in_batches_and_say_how_far_they_are(tower: TinyFoundation) -> None:
    count, recorder = ENCODE_BATCH + 3, Recorder()
    class_ids = torch.arange(count)
    features = Encoder(tower).features(singly(images(count)), class_ids, Stage("encode"), recorder)
    assert recorder.told == [("encode", ENCODE_BATCH), ("encode", count)]
    assert all(m.dtype == torch.float16 and len(m) == count for m in features.maps)
    some = features.take(torch.tensor([3, 1]))
    assert some.class_ids.tolist() == [3, 1] and torch.equal(some.maps[1], features.maps[1][[3, 1]])
    joined: Features = some.join(features)
    assert len(joined.class_ids) == count + 2
    assert all(m.dtype == torch.float32 for m in joined.batch(torch.tensor([0])).maps)


def test_another_process_finds_what_was_kept_and_damage_is_encoded_again(tower: TinyFoundation, tmp_path: Path) -> None:
    first = Encoder(tower, FeatureFolder(tmp_path)).encode(images(2))
    later = FeatureFolder(tmp_path)
    assert same(Encoder(tower, later).encode(images(2)), first) and tower.seen == 2
    damaged, lost = later
    write_text(tmp_path / f"{damaged}.safetensors", "nothing")
    del later[lost]
    with pytest.raises(KeyError):
        del later[lost]
    assert same(Encoder(tower, later).encode(images(2)), first) and tower.seen == 4


def test_the_real_tower_sees_the_whole_frame_once(foundation: FoundationModel, toy_data: Dataset) -> None:
    encoder = Encoder(foundation, {})
    pictures = [sample.read() for sample in toy_data.test[:2]]
    views = encoder.views(pictures)
    assert views.whole.shape == (2, 3, 256, 256)
    kept, whole = encoder.encode(views), foundation.encode_image(views.whole)
    for mine, theirs in zip((*kept.maps, kept.embedding), (*whole.maps, whole.embedding), strict=True):
        assert torch.allclose(mine, theirs, atol=2e-3 * float(theirs.abs().max()))
