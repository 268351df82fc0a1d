from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ltad import stages
from ltad.checkpoint import load_checkpoint
from ltad.config import LTADConfig, paper
from ltad.crossfit import deal_folds
from ltad.data import Dataset
from ltad.errors import DatasetError
from ltad.features import cache_features
from ltad.foundation import FoundationModel, load_foundation
from ltad.model.ltad import build_model
from ltad.scoring import raw_scores
from ltad.stages import Stage, StageFolder, learning_rate_factor, run_stage
from ltad.training import draw_balanced, fit, phase2, synthesis_probabilities


def encodes(stage: str) -> bool:
    """Whether a stage is one that is done anew at every start."""
    return stage in ("encode", "views") or stage.startswith("turns of ")


class Stopped(Exception):
    """What the progress callback raises to interrupt a training."""


class Recorder:
    """Progress that remembers the steps told, and stops the training at one of them."""

    def __init__(self, stop: Callable[[str, int], bool] = lambda stage, step: False) -> None:
        self.told: list[tuple[str, int]] = []
        self.stop = stop

    def __call__(self, stage: str, step: int, steps: int, loss: float | None = None) -> None:
        self.told.append((stage, step))
        if self.stop(stage, step):
            raise Stopped


def quiet(stage: str, step: int, steps: int, loss: float | None = None) -> None:
    """Progress for nobody."""


def files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in ("model.safetensors", "config.json")}


@pytest.fixture
def few(toy_data: Dataset) -> Dataset:
    """Two checkers, three dots, one with stripes."""
    return replace(toy_data, train=toy_data.train[6:11] + toy_data.train[12:])


@pytest.fixture
def short(tiny_config: LTADConfig) -> LTADConfig:
    config = tiny_config
    for assignment in ("phase1.steps=5", "phase2.steps=6", "calibration.phase2_steps=6"):
        config = config.override(assignment)
    return config


# The whole training


def test_an_interrupted_training_ends_with_the_same_bits(
    train_toy: Callable, few: Dataset, short: LTADConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_toy(tmp_path / "whole", dataset=few, config=short)
    monkeypatch.setattr(stages, "SAVE_EVERY", 3)
    output = tmp_path / "interrupted"
    with pytest.raises(Stopped):
        stop = Recorder(lambda stage, step: (stage, step) == ("fold2-phase2", 5))
        train_toy(output, dataset=few, config=short, progress=stop)
    assert not (output / "config.json").exists()
    again = Recorder()
    train_toy(output, dataset=few, config=short, resume=True, progress=again)
    steps = [told for told in again.told if not encodes(told[0])]
    assert steps[0] == ("fold2-phase2", 4)  # after the last state that was written
    assert {stage for stage, _ in steps} == {"fold2-phase2", "phase1", "phase2"}
    assert files(output) == files(tmp_path / "whole")
    assert sorted(path.name for path in output.iterdir()) == ["config.json", "model.safetensors"]


def test_initial_weights_depend_on_the_seed_only(foundation: FoundationModel, few: Dataset, short: LTADConfig) -> None:
    features = cache_features(few.train[:3], few.class_names, foundation, quiet)
    config = short.override("phase1.steps=1").override("phase2.steps=1")
    foundation.embed_words("the text tower is there")
    models = [fit(features, each, few.train_counts, config, progress=quiet) for each in (foundation, load_foundation())]
    assert torch.equal(models[0].reconstruction.embed.weight, models[1].reconstruction.embed.weight)


def test_only_the_same_training_is_gone_on_with(
    train_toy: Callable, few: Dataset, tiny_config: LTADConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "SAVE_EVERY", 2)

    def first_step(stop_at: int, **options: object) -> int:
        recorder = Recorder(lambda stage, step: not encodes(stage) and step >= stop_at)
        with pytest.raises(Stopped):
            train_toy(tmp_path / "toy", progress=recorder, **{"dataset": few} | options)
        return next(step for stage, step in recorder.told if not encodes(stage))

    assert first_step(6) == 1
    assert first_step(6, resume=True) == 5
    assert first_step(1, resume=True, config=tiny_config.override("seed=1")) == 1
    assert first_step(1, resume=True, dataset=replace(few, train=few.train[1:])) == 1
    assert first_step(6, resume=True) == 5
    assert first_step(1) == 1  # without resume the old state is thrown away ...
    assert first_step(1, resume=True) == 1  # ... for good


def test_what_is_trained_and_what_is_written_are_the_same_numbers(
    foundation: FoundationModel, few: Dataset, short: LTADConfig
) -> None:
    features = cache_features(few.train, few.class_names, foundation, quiet)
    model = fit(features, foundation, few.train_counts, short, progress=quiet)
    assert all(torch.equal(t, t.half().float()) for t in model.state_dict().values())
    assert not model.training and not any(p.requires_grad for p in model.parameters())


def test_the_preset_of_the_paper_can_be_trained(foundation: FoundationModel, few: Dataset) -> None:
    config = paper()
    for assignment in ("reconstruction.dim=32", "phase1.steps=2", "phase2.steps=2", "phase2.batch_size=2"):
        config = config.override(assignment)
    features = cache_features(few.train, few.class_names, foundation, quiet)
    model = fit(features, foundation, few.train_counts, config, progress=quiet)
    assert model.patches.grid_size == (16, 16)


def test_the_papers_form_is_calibrated_and_loads_again(
    train_toy: Callable, few: Dataset, foundation: FoundationModel, tmp_path: Path
) -> None:
    config = paper()
    for assignment in ("reconstruction.dim=32", "reconstruction.depth=1", "phase1.steps=2", "phase2.steps=2"):
        config = config.override(assignment)
    config = config.override("calibration.phase2_steps=2").override("phase2.batch_size=2")
    trained = train_toy(tmp_path / "toy", dataset=few, config=config)
    assert {name: len(scores) for name, scores in trained.card.calibration.scores.items()} == {
        name: count if count > 1 else 0 for name, count in few.train_counts.items()
    }
    loaded = load_checkpoint(tmp_path / "toy", foundation)
    assert not loaded.model.memories
    features = cache_features(few.train[:2], few.class_names, foundation, quiet)
    output = loaded.model(features.batch(torch.arange(2)).maps, features.class_ids)
    raw = raw_scores(output, loaded.statistics.of(features.class_ids), config, loaded.model.patches.grid_size)
    expected = (output.reconstructed_features - output.patch_features).square().mean(-1)
    torch.testing.assert_close(raw[:, 0], expected)  # nothing is whitened, standardised or smoothed
    assert (raw[:, 1] > 0).all() and (raw[:, 1] < 1).all()


ABLATION = (
    "prompts.start={}",
    "prompts.tokens=4",
    "prompts.learned=false",
    "prompts.pair=random",
    "synthesis.layout=1",
    "reconstruction.depth=2",
    "reconstruction.neighbourhood=0",
    "reconstruction.layer_queries=false",
    "semantic.projection=stride",
    "semantic.hidden=0",
    "patches.grid=coarsest",
    "phase2.same_noise=true",
    "phase2.synthesis_source=prior",
    "phase2.tail_synthesis_probability=1",
)


def test_every_switch_can_be_turned_and_the_checkpoint_loads_again(
    train_toy: Callable, few: Dataset, short: LTADConfig, foundation: FoundationModel, tmp_path: Path
) -> None:
    config = short
    for assignment in ABLATION:
        config = config.override(assignment)
    trained = train_toy(tmp_path / "toy", dataset=few, config=config)
    loaded = load_checkpoint(tmp_path / "toy", foundation)
    assert loaded.card.config == config
    states = trained.model.state_dict(), loaded.model.state_dict()
    assert states[0].keys() == states[1].keys() and all(torch.equal(states[0][k], states[1][k]) for k in states[0])


@pytest.mark.parametrize("learned", [True, False])
def test_names_are_learned_or_stay_as_given(
    learned: bool, foundation: FoundationModel, few: Dataset, short: LTADConfig
) -> None:
    config = (
        short.override("prompts.start={}").override("prompts.tokens=3").override(f"prompts.learned={learned}".lower())
    )
    features = cache_features(few.train[:3], few.class_names, foundation, quiet)
    tokens = fit(features, foundation, few.train_counts, config, progress=quiet).prompts.class_tokens
    for given, row in zip(map(foundation.embed_words, few.class_names), tokens, strict=True):
        assert torch.equal(row[: len(given)], given.half().float()) != learned
        assert not row[len(given) :].any()  # no token stays no token


def test_training_never_opens_a_test_image(
    train_toy: Callable, few: Dataset, short: LTADConfig, tmp_path: Path
) -> None:
    def opened() -> None:
        raise AssertionError("a test image was opened")

    closed = tuple(replace(sample, read=opened, read_mask=opened) for sample in few.test)
    train_toy(tmp_path / "toy", dataset=replace(few, test=closed), config=short)


def test_single_images_only_are_refused_with_a_sentence(
    train_toy: Callable, few: Dataset, short: LTADConfig, tmp_path: Path
) -> None:
    firsts = tuple(next(s for s in few.train if s.class_name == name) for name in few.class_names)
    with pytest.raises(DatasetError, match="two"):
        train_toy(tmp_path / "toy", dataset=replace(few, train=firsts), config=short)


# Phase 2


class Witness(nn.Module):
    """Stands for a module and keeps what it was given; gives that back, or zeros as logits."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, patches: Tensor, text: Tensor | None = None) -> Tensor:
        self.seen.append(patches)
        return patches if text is None else patches[..., 0] * 0


def one_step(
    foundation: FoundationModel, few: Dataset, config: LTADConfig, *assignments: str, shift: float = 0.0
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Take phase 2's loss once, of few images, their maps shifted.

    Returns what reconstruction is given, the clean and the noised patches that semantics is given, and the loss.
    """
    for assignment in (
        "phase2.semantic_patches=5000",
        "phase2.semantic_weight=0",
        "phase2.batch_size=12",
        *assignments,
    ):
        config = config.override(assignment)
    torch.manual_seed(0)
    model = build_model(config, foundation, torch.ones(3, 2, foundation.token_size))
    model.reconstruction, model.semantic = Witness(), Witness()
    features = cache_features(few.train, few.class_names, foundation, quiet)
    features = features._replace(maps=tuple(m + shift for m in features.maps))
    stage = phase2(model, features, few.train_counts, config, "")
    loss = stage.loss(torch.Generator().manual_seed(0))
    return model.reconstruction.seen[0], *model.semantic.seen, loss


def test_without_noise_there_is_nothing_to_rebuild(
    foundation: FoundationModel, few: Dataset, short: LTADConfig
) -> None:
    assert one_step(foundation, few, short, "phase2.reconstruction_jitter=0")[-1] == 0
    assert one_step(foundation, few, short)[-1] > 0


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("scale", [5, 10])
def test_both_branches_may_share_their_noise(
    foundation: FoundationModel, few: Dataset, short: LTADConfig, same: bool, scale: int
) -> None:
    noise = f"phase2.same_noise={same}".lower()
    scales = "phase2.reconstruction_jitter=5", f"phase2.semantic_jitter={scale}"
    rebuilt, clean, noised, _ = one_step(foundation, few, short, noise, *scales)
    patches = one_step(foundation, few, short, "phase2.reconstruction_jitter=0")[0]
    order = torch.cdist(clean[0], patches[0]).argmin(1)
    assert torch.equal(patches[:, order], clean)
    expected = clean + scale / 5 * (rebuilt[:, order] - clean)
    assert torch.allclose(noised, expected, atol=1e-4) == same


@pytest.mark.parametrize("source", ["posterior", "prior"])
def test_synthesised_patches_come_from_an_image_or_from_the_name_alone(
    foundation: FoundationModel, few: Dataset, short: LTADConfig, source: str
) -> None:
    settings = f"phase2.synthesis_source={source}", "phase2.synthesis_probability=1"
    clean, moved = (one_step(foundation, few, short, *settings, shift=shift)[1] for shift in (0, 3))
    assert torch.equal(clean, moved) == (source == "prior")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (["phase2.synthesis_probability=0.5"], [0.5, 0.5, 0.5]),
        (["phase2.synthesis_probability=0", "phase2.tail_synthesis_probability=1"], [0, 0, 1]),
        (["phase2.synthesis_probability=1", "phase2.tail_synthesis_probability=0"], [1, 1, 0]),
        (["phase2.tail_synthesis_probability=0.75"], [0.25, 0.25, 0.75]),
    ],
)
def test_the_tail_may_be_synthesised_more_often(settings: list[str], expected: list[float], short: LTADConfig) -> None:
    for assignment in settings:
        short = short.override(assignment)
    assert synthesis_probabilities({"a": 20, "b": 9, "c": 1}, short.phase2).tolist() == expected
    assert synthesis_probabilities({"a": 4, "b": 4}, short.phase2).tolist() == expected[:2]  # balanced: no tail


def test_only_the_images_of_the_tail_are_replaced(foundation: FoundationModel, few: Dataset, short: LTADConfig) -> None:
    head = "phase2.synthesis_probability=0"
    real = one_step(foundation, few, short, head)[1]
    tail = one_step(foundation, few, short, head, "phase2.tail_synthesis_probability=1")[1]
    everything = one_step(foundation, few, short, "phase2.synthesis_probability=1")[1]
    drawn = torch.Generator().manual_seed(0)
    class_ids = torch.tensor([few.class_names.index(sample.class_name) for sample in few.train])
    in_tail = class_ids[draw_balanced(class_ids, 12, drawn)] == 2

    def total(patches: Tensor) -> Tensor:
        return patches.sum(1)  # whatever the order

    kept = torch.isclose(total(tail), total(real), atol=1e-2).all(1)
    assert torch.equal(kept, ~in_tail) and 0 < in_tail.sum() < 12
    assert not torch.isclose(total(everything), total(real), atol=1e-2).all(1).any()


# One stage


def line(noise: float = 0.1) -> tuple[nn.Linear, Stage]:
    """Fit a line to noisy points drawn anew at every step."""
    torch.manual_seed(0)
    module = nn.Linear(3, 1)

    def loss(generator: torch.Generator) -> Tensor:
        x = torch.randn(8, 3, generator=generator)
        y = x.sum(1, keepdim=True) + noise * torch.randn(8, 1, generator=generator)
        return (module(x) - y).square().mean()

    groups = [{"params": [module.weight], "lr": 0.1}, {"params": [module.bias], "lr": 0.05}]
    return module, Stage("line", 50, module, groups, loss, gradient_clip=1.0, weight_decay=0.01)


@pytest.mark.parametrize("stop", [3, 20, 27, 50])
def test_a_stage_goes_on_to_the_very_bits(stop: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "SAVE_EVERY", 10)
    whole, stage = line()
    run_stage(stage, 5, None, quiet)
    folder = StageFolder(tmp_path / "states", "this one")
    _, stage = line()
    with pytest.raises(Stopped):
        run_stage(stage, 5, folder, Recorder(lambda _, step: step == stop))
    resumed, stage = line()
    nn.init.zeros_(resumed.weight)  # what counts is the state, if there is one
    nn.init.zeros_(resumed.bias) if stop > 10 else resumed.load_state_dict(line()[0].state_dict())
    recorder = Recorder()
    run_stage(stage, 5, folder, recorder)
    assert recorder.told[0][1] == (stop - 1) // 10 * 10 + 1
    assert torch.equal(resumed.weight, whole.weight) and torch.equal(resumed.bias, whole.bias)
    assert [path.name for path in folder.folder.iterdir()] == ["line.safetensors"]


def test_a_finished_stage_is_not_run_again(tmp_path: Path) -> None:
    folder = StageFolder(tmp_path, "this one")
    first, stage = line()
    run_stage(stage, 5, folder, quiet)
    second, stage = line()
    recorder = Recorder()
    run_stage(stage, 5, folder, recorder)
    assert recorder.told == []
    assert torch.equal(first.weight, second.weight)
    assert StageFolder(tmp_path, "another").load("line") is None


def test_a_stage_learns_and_depends_on_its_seed() -> None:
    ends = []
    for seed in (0, 0, 1):
        module, stage = line()
        run_stage(stage, seed, None, quiet)
        ends.append(module.weight.detach().clone())
    assert torch.equal(ends[0], ends[1]) and not torch.equal(ends[0], ends[2])
    torch.testing.assert_close(ends[0], torch.ones(1, 3), atol=0.2, rtol=0)


@pytest.mark.parametrize("steps", [1, 5, 100])
def test_the_learning_rate_rises_and_falls(steps: int) -> None:
    factors = [learning_rate_factor(step, steps) for step in range(steps)]
    top = factors.index(max(factors))
    assert max(factors) == 1 and min(factors) > 0
    assert factors[: top + 1] == sorted(factors[: top + 1]) and factors[top:] == sorted(factors[top:], reverse=True)
    if steps == 100:
        assert factors[0] == 0.1 and factors[-1] < 0.001


# Draws


def test_every_class_is_drawn_equally_often() -> None:
    class_ids = torch.tensor([0] * 300 + [1] * 30 + [2])
    drawn = draw_balanced(class_ids, 9000, torch.Generator().manual_seed(0))
    assert class_ids[drawn].bincount().tolist() == pytest.approx([3000] * 3, rel=0.06)
    assert drawn[drawn < 300].unique().numel() == 300  # every image of the head, too
    ids = torch.tensor([0, 2, 2])  # a class may be missing from a fold
    assert 1 not in ids[draw_balanced(ids, 50, torch.Generator().manual_seed(0))]


@pytest.mark.parametrize("folds", [2, 3])
def test_each_class_is_dealt_evenly(folds: int) -> None:
    class_ids = torch.tensor([1] * 7 + [0] * 2 + [2] + [3] * 12)
    dealt = deal_folds(class_ids, folds, seed=0)
    for class_id in (0, 1, 3):
        counts = dealt[class_ids == class_id].bincount(minlength=folds)
        assert counts.max() - counts.min() <= 1
    assert dealt[class_ids == 2].tolist() == [-1]  # seen by every fold's model
    assert torch.equal(dealt, deal_folds(class_ids, folds, seed=0))
    assert not torch.equal(dealt, deal_folds(class_ids, folds, seed=1))
