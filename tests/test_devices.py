"""What is computed with knows where it lies: no tensor is made on the CPU and then meets one that may lie elsewhere.

There need be no other device for that: whoever makes a tensor must say where, or draw it with a generator, which stays
on the CPU, and bring it over; and torch's device "meta", which computes shapes only, refuses what lies elsewhere. Where
there is a GPU, it must come to the verdicts of the CPU.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ltad.config import LTADConfig
from ltad.data import Dataset
from ltad.errors import DeviceError
from ltad.foundation import FoundationModel
from ltad.foundation.features import Encoder
from ltad.inspection.predictor import Predictor
from ltad.judging.scoring import raw_scores, score_images, standardise
from ltad.machine import choose_device
from ltad.model.ltad import LTAD, build_model
from ltad.progress import quiet
from ltad.training import phases
from ltad.training.folds import Fold, deal_folds, fit_folds
from ltad.training.images import Judged, TrainingImages, encode_samples
from ltad.training.normals import fit_class_statistics, fit_statistics
from ltad.training.phases import fit, phase1, phase2
from tests.toys import TinyFoundation, TrainToy

META = torch.device("meta")
HAS_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")

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
    images = predictor.encoder.views([sample.read() for sample in toy_data.test[:3]])
    with SaysWhere():
        predictor.predict_views(images)
        predictor.predict_views(images, torch.tensor([0, 2, 0], device="cpu"))


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
            memory.remember(features.maps[memory.layer], features.class_ids, generator)
            memory.remember_class(features.maps[memory.layer].unbind(), 0, generator, keep=True)


def test_what_is_normal(predictor: Predictor, toy_encoder: Encoder, few: Dataset, tiny_config: LTADConfig) -> None:
    features = encode_samples(few.train, few.class_names, toy_encoder, quiet)
    model = predictor.checkpoint.model

    def fitted(seen: object, fold: int | None) -> LTAD:
        return model

    with SaysWhere():
        judged, none = Judged(features, None), torch.zeros_like(features.class_ids)
        folds, final = fit_folds(TrainingImages(features, None, none), 2, 0, fitted)
        statistics, held_out, _, _ = fit_statistics(folds, final, judged, tiny_config)
        dots = features.take((features.class_ids == 1).nonzero()[:, 0])
        dealt = deal_folds(dots.class_ids, 2, 0)
        halves = [Fold(model, (dealt == fold).nonzero()[:, 0]) for fold in range(2)]
        own, scores, _, _ = fit_class_statistics(halves, Judged(dots, dots), statistics, tiny_config)
    assert [len(each.scores) for each in held_out] == [2, 3, 0] and [len(each.changed) for each in scores] == [3]
    assert own.mean.shape[0] == 1 and all(part.isfinite().all() for part in (*statistics, *own))


@pytest.fixture
def elsewhere(predictor: Predictor) -> Predictor:
    """A predictor whose model and statistics lie on another device."""
    parts = predictor.checkpoint
    model = build_model(
        parts.card.config, predictor.foundation, torch.zeros_like(parts.model.prompts.class_tokens)
    ).eval()
    model.requires_grad_(False).to(META)
    there = TinyFoundation()
    there.device = META
    return Predictor(there, replace(parts, model=model, statistics=parts.statistics.to(META)))


def maps_on(predictor: Predictor, device: torch.device, count: int = 2) -> list[Tensor]:
    foundation = predictor.foundation
    sides = [256 // stride for stride in foundation.strides]
    return [torch.zeros(count, c, s, s, device=device) for c, s in zip(foundation.channels, sides, strict=True)]


def test_a_model_elsewhere_scores_there(predictor: Predictor, elsewhere: Predictor) -> None:
    config, model = elsewhere.card.config, elsewhere.checkpoint.model
    maps, class_ids = maps_on(predictor, META), torch.zeros(2, dtype=torch.long, device=META)
    output = model(maps, class_ids)
    normal = elsewhere.checkpoint.statistics.of(class_ids)
    raw = raw_scores(output, normal, config, model.patches.grid_size)
    scores = score_images(standardise(raw, normal.usual), config)
    assert {part.device for part in (*output[:-1], *raw[:-1], scores.image, scores.patches)} == {META}
    assert scores.image.shape == (2,) and scores.patches.shape == (2, 256)
    with pytest.raises(RuntimeError, match="meta"):  # the watch sees what it must
        model(maps_on(predictor, torch.device("cpu")), class_ids)


def test_a_model_elsewhere_learns_there(
    predictor: Predictor, elsewhere: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, generator = elsewhere.checkpoint.model, torch.Generator().manual_seed(0)
    monkeypatch.setattr(phases, "normal_noise", lambda shape, generator, device: torch.zeros(shape, device=device))
    class_ids = torch.zeros(2, dtype=torch.long, device=META)
    patches = model.patches(model.patches.standardise(maps_on(predictor, META)))
    loss = phases.phase2_loss(model, patches, class_ids, elsewhere.card.config.phase2, generator)
    assert loss.device == META and loss.shape == ()


def test_a_device_is_chosen_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    best = choose_device()
    assert best.type == ("cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu")
    assert choose_device("cpu") == torch.device("cpu")
    for name in ("cuda:99", "tpu", ""):
        with pytest.raises(DeviceError, match=rf"There is no device “{name}” here; there is .*cpu\. The forms "):
            choose_device(name)
    monkeypatch.setenv("LTAD_DEVICE", "cpu")
    assert choose_device() == torch.device("cpu")
    monkeypatch.setenv("LTAD_DEVICE", "tpu")
    with pytest.raises(DeviceError, match="“tpu”"):
        choose_device()
    assert choose_device("cpu") == torch.device("cpu")


@pytest.fixture(scope="module")
def on_both(train_toy: TrainToy, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same training on the CPU and on the GPU."""
    folders = {name: tmp_path_factory.mktemp(name) / "tiny" for name in ("cpu", "cuda")}
    for name, folder in folders.items():
        train_toy(folder, foundation=TinyFoundation(device=torch.device(name)), store=None)
    return folders


@HAS_CUDA
@pytest.mark.parametrize("trained", ["cpu", "cuda"])
def test_a_checkpoint_gives_the_same_verdicts_on_another_device(
    on_both: dict[str, Path], trained: str, toy_data: Dataset
) -> None:
    here, there = (
        Predictor.from_checkpoint(on_both[trained], TinyFoundation(device=torch.device(name)))
        for name in ("cpu", "cuda")
    )
    for sample in toy_data.test:
        one, other = here.predict(sample.read()), there.predict(sample.read())
        assert abs(one.image_score - other.image_score) <= 1e-3
        assert abs(one.patch_maps["all"] - other.patch_maps["all"]).max() <= 1e-3
        assert (one.judgement.verdict, one.class_name) == (other.judgement.verdict, other.class_name)


@HAS_CUDA
def test_a_training_on_a_gpu_learns_what_one_on_a_cpu_learns(on_both: dict[str, Path], toy_data: Dataset) -> None:
    here, there = (Predictor.from_checkpoint(folder, TinyFoundation()) for folder in on_both.values())
    scores = [
        [p.predict(sample.read(), sample.class_name).image_score for sample in toy_data.test] for p in (here, there)
    ]
    assert torch.corrcoef(torch.tensor(scores, dtype=torch.double))[0, 1] > 0.9
