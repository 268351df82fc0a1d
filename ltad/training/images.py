"""The images that a training sees: their features, and those of the copies that were made of them."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ltad.config import ViewsConfig
from ltad.data import Sample
from ltad.foundation.features import Encoder, Features
from ltad.progress import Progress, Stage
from ltad.training.views import Views, make_views


class TrainingImages(NamedTuple):
    """Features of the n images as they are, in the order of their samples, and their copies, where there are any."""

    features: Features
    views: Views | None

    def where(self, seen: Tensor) -> Features:
        """The images that are seen (n,), and the copies of them."""
        images = self.features.take(seen.nonzero()[:, 0])
        if self.views is None:
            return images
        return images.join(self.views.features.take(seen[self.views.sources].nonzero()[:, 0]))


def encode_samples(
    samples: Sequence[Sample], class_names: Sequence[str], encoder: Encoder, progress: Progress
) -> Features:
    """Encode every image once, as a member of its class among these. About 200 KB an image at 256 px."""
    images = (encoder.tensors([sample.read()])[0] for sample in samples)
    class_ids = torch.tensor([class_names.index(sample.class_name) for sample in samples])
    return encoder.features(images, class_ids, Stage("encode"), progress)


def see(
    samples: Sequence[Sample],
    class_names: Sequence[str],
    encoder: Encoder,
    config: ViewsConfig,
    seed: int,
    progress: Progress,
) -> TrainingImages:
    """Encode every image, and make the copies that classes of few may have."""
    features = encode_samples(samples, class_names, encoder, progress)
    return TrainingImages(features, make_views(samples, features, encoder, config, seed, progress))
