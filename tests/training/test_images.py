"""What a model may see: images, and the copies of these images only; and what is judged of them."""

import torch

from ltad.config import HarmlessConfig
from ltad.data import Dataset
from ltad.foundation.features import Encoder, Features
from ltad.presets import default
from ltad.progress import quiet
from ltad.training.copies import Copies
from ltad.training.images import Judged, TrainingImages, encode_samples, with_copies
from tests.toys import Recorder, TinyFoundation


def marked(*marks: float) -> Features:
    """Features of so many images that can be told by their numbers."""
    values = torch.tensor(marks)
    return Features((values[:, None, None, None].half(),), values[:, None], torch.zeros(len(marks), dtype=torch.long))


COPIES = Copies(
    marked(0.1, 2.1, 2.2, 1.1), torch.tensor([0, 2, 2, 1]), torch.tensor([0, 0, 1, 0]), torch.tensor([0, 0, 3, 0])
)
IMAGES = TrainingImages(marked(0, 1, 2), COPIES, torch.tensor([1, 1, 2]))


def marks(features: Features) -> list[float]:
    assert len(features.class_ids) == len(features.maps[0]) == len(features.embeddings)
    return [round(mark, 3) for mark in features.embeddings[:, 0].tolist()]


def test_a_copy_is_seen_where_its_image_is() -> None:
    for seen, expected in (
        ([True, False, True], [0, 2, 0.1, 2.1, 2.2]),
        ([False, True, False], [1, 1.1]),
        ([True] * 3, [0, 1, 2, 0.1, 2.1, 2.2, 1.1]),
    ):
        assert marks(IMAGES.where(torch.tensor(seen))) == expected
    alone = TrainingImages(marked(0, 1, 2), None, torch.zeros(3)).where(torch.tensor([False, True, True]))
    assert marks(alone) == [1, 2]


def test_no_more_copies_of_an_image_are_seen_than_are_usual_or_asked_for() -> None:
    everyone = torch.ones(3, dtype=torch.bool)
    assert marks(IMAGES._replace(ranks=torch.ones(3)).where(everyone)) == [0, 1, 2, 0.1, 2.1, 1.1]
    assert marks(IMAGES.where(everyone, 0)) == [0, 1, 2]
    assert marks(IMAGES.where(everyone, upright=True)) == [0, 1, 2, 0.1, 2.1, 1.1]


def test_what_is_judged_is_every_image_and_its_first_copy_one_after_the_other() -> None:
    judged = IMAGES.judged()
    everything = judged.rows(torch.arange(3))
    assert judged.versions == 2 and len(judged.class_ids) == len(everything) == 6
    assert marks(judged.batch(everything)) == [0, 0.1, 1, 1.1, 2, 2.1]
    assert marks(judged.batch(torch.tensor([5, 0, 3, 2]))) == [2.1, 0, 1.1, 1]
    assert judged.rows(torch.tensor([2, 0])).tolist() == [4, 5, 0, 1]
    for copies in (None, COPIES._replace(ranks=COPIES.ranks + 1)):  # only turned: none stands for its image
        plain = TrainingImages(marked(0, 1, 2), copies, torch.zeros(3)).judged()
        assert plain.versions == 1 and plain.rows(torch.tensor([2, 1])).tolist() == [2, 1]
        assert marks(plain.batch(torch.tensor([2, 1]))) == [2, 1]


def test_images_are_encoded_in_order_as_members_of_their_classes(
    toy_data: Dataset, tiny_foundation: TinyFoundation
) -> None:
    samples, encoder, told = toy_data.train[::-1], Encoder(tiny_foundation), Recorder()
    features = encode_samples(samples, toy_data.class_names, encoder, told)
    assert [toy_data.class_names[i] for i in features.class_ids.tolist()] == [s.class_name for s in samples]
    alone = encoder.encode(encoder.views([samples[3].read()]))
    torch.testing.assert_close(features.embeddings[3], alone.embedding[0])
    assert told.told == [("encode", 13)]


def test_copies_are_added_where_they_are_wanted(toy_data: Dataset, tiny_foundation: TinyFoundation) -> None:
    samples, names, encoder = toy_data.train, toy_data.class_names, Encoder(tiny_foundation)
    features = encode_samples(samples, names, encoder, quiet)
    turned = default().override("views.wanted=10", "views.tolerance=100")
    plain = with_copies(samples, features, encoder, default().override("views.wanted=0"), quiet)
    assert plain.copies is not None and plain.copies.features.class_ids.bincount().tolist() == [8, 4, 1]
    changed = with_copies(samples, features, encoder, turned, quiet)
    assert changed.copies is not None and changed.copies.features.class_ids.bincount().tolist() == [8, 8, 9]
    assert marks_of(changed.judged(), features)
    settings = {**vars(turned), "harmless": HarmlessConfig.none()}
    still = with_copies(samples, features, encoder, type(turned)(**settings), quiet)
    assert still.copies is not None and still.copies.features.class_ids.bincount(minlength=3).tolist() == [8, 8, 0]
    assert still.judged().versions == 1


def marks_of(judged: Judged, features: Features) -> bool:
    """Whether the even rows are the images as they are."""
    rows = judged.rows(torch.arange(len(features.class_ids)))
    return torch.equal(judged.batch(rows[::2]).embeddings, features.embeddings)
