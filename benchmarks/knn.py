"""A checkpoint beside a per-class patch k-NN on the same features, same images, same metrics, in one run.

``python -m benchmarks.knn --data DIR --checkpoint NAME [--output FILE]``

The k-NN keeps patches of the training images of each class (random, ``BANK`` of them) and scores a patch by its
distance to the nearest one; it is always told the class. Its map is smoothed and its image score taken as ours.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ltad.__main__ import Bars
from ltad.data import Dataset
from ltad.data.longtail import long_tail
from ltad.data.sources import open_dataset
from ltad.evaluation import evaluate, format_table
from ltad.features import Features, cache_features
from ltad.foundation import FoundationModel, ImageFeatures, load_foundation
from ltad.model.ltad import build_patches
from ltad.predictor import Predictor, ScoredBatch
from ltad.scoring import image_scores, smooth

BANK = 10_000  # patches per class: 7 MB each, against 65 KB of ours


class Remembering:
    """A foundation model that encodes each batch once: all rivals see the very same features."""

    def __init__(self, foundation: FoundationModel) -> None:
        self._foundation = foundation
        self._seen: dict[str, ImageFeatures] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._foundation, name)

    def encode_image(self, batch: Tensor) -> ImageFeatures:
        """Encode a batch, or recall it; about 400 KB an image."""
        key = hashlib.sha256(batch.numpy().tobytes()).hexdigest()
        if key not in self._seen:
            self._seen[key] = self._foundation.encode_image(batch)
        return self._seen[key]


class PatchKNN:
    """Looks like a predictor to the evaluation."""

    def __init__(self, like: Predictor, dataset: Dataset, bars: Bars) -> None:
        self.card, self.foundation = like.card, like.foundation
        self.patches, _ = build_patches(self.card.config, self.foundation)
        features = cache_features(dataset.train, self.card.class_names, load_foundation(), bars)
        self.banks = [self._bank(features, k) for k in range(len(self.card.classes))]

    def _bank(self, features: Features, class_id: int) -> Tensor:
        """Random training patches of a class, (BANK, D), the same number from every image."""
        generator = torch.Generator().manual_seed(class_id)
        members = (features.class_ids == class_id).nonzero()[:, 0]
        each = -(-BANK // len(members))
        kept = []
        for image in members:
            patches = self._patches(features.batch(image[None]).maps)[0]
            kept.append(patches[torch.randperm(len(patches), generator=generator)[:each]])
        return torch.cat(kept)

    def _patches(self, maps: tuple[Tensor, ...]) -> Tensor:
        return self.patches(self.patches.choose(maps))

    @torch.no_grad()
    def predict_tensors(self, batch: Tensor, class_ids: Tensor) -> ScoredBatch:
        """Score images (B, 3, S, S) of the given classes (B,)."""
        scoring = self.card.config.scoring
        patches = self._patches(self.foundation.encode_image(batch).maps)
        nearest = [torch.cdist(p, self.banks[k]).amin(1) for p, k in zip(patches, class_ids.tolist(), strict=True)]
        scores = smooth(torch.stack(nearest).unflatten(1, self.patches.grid_size), scoring.smoothing).flatten(1)
        image = image_scores(scores, scoring.top_fraction)
        one_hot = torch.nn.functional.one_hot(class_ids, len(self.card.classes)).float()
        return ScoredBatch(class_ids, one_hot, scores.unflatten(1, self.patches.grid_size), image, image[:, None])


def main() -> None:
    """Print both tables, and write them as JSON where asked."""
    parser = argparse.ArgumentParser(description="A checkpoint beside a per-class patch k-NN, in one run.")
    parser.add_argument("--data", required=True)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    foundation: Any = Remembering(load_foundation())
    predictor, bars = Predictor.from_checkpoint(options.checkpoint, foundation), Bars()
    data = predictor.card.data
    dataset = long_tail(open_dataset(options.data), data.imbalance, data.order)
    tables: dict[str, Any] = {
        "LTAD, class given": evaluate(dataset, predictor, progress=bars),
        "LTAD, class predicted": evaluate(dataset, predictor, auto=True, progress=bars),
        "patch k-NN, class given": evaluate(dataset, PatchKNN(predictor, dataset, bars), progress=bars),
    }
    bars.close()
    for name, table in tables.items():
        print(f"\n{name}\n{format_table(table)}")
    if options.output:
        options.output.write_text(json.dumps(tables, indent=1))


if __name__ == "__main__":
    sys.exit(main())
