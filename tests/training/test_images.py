"""What a model may see: images, and the copies of these images only."""

import torch

from ltad.config import ViewsConfig
from ltad.data import Dataset
from ltad.foundation.features import Encoder, Features
from ltad.progress import quiet
from ltad.training.images import TrainingImages, encode_samples, see
from ltad.training.views import Views
from tests.toys import Recorder, TinyFoundation


def marked(*marks: float) -> Features:
    """Features of so many images that can be told by their numbers."""
    values = torch.tensor(marks)
    return Features((values[:, None, None, None].half(),), values[:, None], torch.zeros(len(marks), dtype=torch.long))


def test_a_copy_is_seen_where_its_image_is() -> None:
    copies = Views(marked(0.1, 2.1, 2.2, 1.1), torch.tensor([0, 2, 2, 1]))
    images = TrainingImages(marked(0, 1, 2), copies)
    for seen, expected in (
        ([True, False, True], [0, 2, 0.1, 2.1, 2.2]),
        ([False, True, False], [1, 1.1]),
        ([True] * 3, [0, 1, 2, 0.1, 2.1, 2.2, 1.1]),
    ):
        found = images.where(torch.tensor(seen))
        torch.testing.assert_close(found.embeddings[:, 0], torch.tensor(expected, dtype=torch.float))
        assert len(found.class_ids) == len(found.maps[0]) == len(expected)
    alone = TrainingImages(marked(0, 1, 2), None).where(torch.tensor([False, True, True]))
    assert alone.embeddings[:, 0].tolist() == [1, 2]


def test_images_are_encoded_in_order_as_members_of_their_classes(
    toy_data: Dataset, tiny_foundation: TinyFoundation
) -> None:
    samples, encoder, told = toy_data.train[::-1], Encoder(tiny_foundation), Recorder()
    features = encode_samples(samples, toy_data.class_names, encoder, told)
    assert [toy_data.class_names[i] for i in features.class_ids.tolist()] == [s.class_name for s in samples]
    alone = encoder.encode(encoder.tensors([samples[3].read()]))
    torch.testing.assert_close(features.embeddings[3], alone.embedding[0])
    assert told.told == [("encode", 13)]


def test_what_is_seen_is_every_image_and_copies_where_they_are_wanted(
    toy_data: Dataset, tiny_foundation: TinyFoundation
) -> None:
    samples, names, encoder = toy_data.train, toy_data.class_names, Encoder(tiny_foundation)
    plain = see(samples, names, encoder, ViewsConfig(wanted=0), 0, quiet)
    copied = see(samples, names, encoder, ViewsConfig(wanted=10, tolerance=100.0), 0, quiet)
    assert plain.views is None and copied.views is not None
    assert torch.equal(plain.features.embeddings, copied.features.embeddings)
    assert copied.views.features.class_ids.bincount(minlength=3).tolist() == [2, 6, 0]  # a lone image has none
