"""What is computed with knows where it lies: no tensor is made on the CPU and then meets one that may lie elsewhere.

There need be no other device for that: whoever makes a tensor must say where, or draw it with a generator, which stays
on the CPU so that every device draws the same, and bring it over.
"""

from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode

from ltad.config import LTADConfig
from ltad.data import Dataset
from ltad.foundation import FoundationModel
from ltad.foundation.features import Encoder
from ltad.inspection.predictor import Predictor
from ltad.model.ltad import LTAD
from ltad.progress import quiet
from ltad.training.folds import Fold, deal_folds, fit_folds
from ltad.training.images import TrainingImages, encode_samples
from ltad.training.normals import fit_class_statistics, fit_statistics
from ltad.training.phases import fit, phase1, phase2

MAKERS = {
    getattr(torch, name)
    for name in "arange empty eye full linspace ones rand randint randn randperm tensor zeros".split()
}


class SaysWhere(TorchFunctionMode):
    """Refuses to make a tensor that is nowhere in particular."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function in MAKERS and not {"device", "generator"} & kwargs.keys():
            raise RuntimeError(f"torch.{function.__name__} was not told where")
        return function(*args, **kwargs)


def test_the_watch_sees_what_it_must() -> None:
    with SaysWhere():
        torch.ones(2, device="cpu").new_zeros(3)
        torch.rand(2, generator=torch.Generator())
        with pytest.raises(RuntimeError, match=r"torch\.zeros was not told where"):
            torch.zeros(3)


def test_predicting(predictor: Predictor, toy_data: Dataset) -> None:
    images = predictor.encoder.tensors([sample.read() for sample in toy_data.test[:3]])
    with SaysWhere():
        predictor.predict_tensors(images)
        predictor.predict_tensors(images, torch.tensor([0, 2, 0], device="cpu"))


@pytest.mark.parametrize("assignment", ["phase2.same_noise=true", "phase2.synthesis_source=prior"])
def test_both_phases(
    foundation: FoundationModel, toy_encoder: Encoder, few: Dataset, tiny_config: LTADConfig, assignment: str
) -> None:
    features = encode_samples(few.train, few.class_names, toy_encoder, quiet)
    config = tiny_config.override(assignment, "phase2.synthesis_probability=0.5")
    short = config.override("phase1.steps=1", "phase2.steps=1")
    model = fit(features, foundation, few.train_counts, short, progress=quiet)
    generator = torch.Generator().manual_seed(0)
    tasks = phase1(model, features, foundation, config, None), phase2(model, features, few.train_counts, config, None)
    with SaysWhere():
        for task in tasks:
            task.loss(generator)
        model.see_classes(features.embeddings, features.class_ids)
        model.patches.learn_channels(features.maps, features.class_ids)
        for memory in model.memories:
            memory.remember(features.maps, features.class_ids, generator)
            memory.remember_class(features.maps, 0, generator, keep=True)


def test_what_is_normal(predictor: Predictor, toy_encoder: Encoder, few: Dataset, tiny_config: LTADConfig) -> None:
    features = encode_samples(few.train, few.class_names, toy_encoder, quiet)
    model = predictor.checkpoint.model

    def fitted(seen: object, fold: int | None) -> LTAD:
        return model

    with SaysWhere():
        folds, final = fit_folds(TrainingImages(features, None), 2, 0, fitted)
        statistics, held_out = fit_statistics(folds, final, features, tiny_config)
        dots = features.take((features.class_ids == 1).nonzero()[:, 0])
        dealt = deal_folds(dots.class_ids, 2, 0)
        halves = [Fold(model, (dealt == fold).nonzero()[:, 0]) for fold in range(2)]
        own, scores = fit_class_statistics(halves, dots, statistics, tiny_config)
    assert [len(each) for each in held_out.scores] == [2, 3, 0] and [len(each) for each in scores.scores] == [3]
    assert own.mean.shape[0] == 1 and all(part.isfinite().all() for part in (*statistics, *own))
