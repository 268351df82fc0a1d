"""Whole trainings: what they leave, what interrupts them, and every switch of the configuration."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ltad.checkpoint.folder import load_checkpoint
from ltad.config import LTADConfig
from ltad.data import Dataset, Sample
from ltad.errors import CheckpointError, DatasetError
from ltad.foundation import FoundationModel, load_foundation
from ltad.foundation.features import Encoder
from ltad.judging.scoring import raw_scores
from ltad.presets import paper
from ltad.progress import quiet
from ltad.training import optimisation
from ltad.training.images import encode_samples
from ltad.training.phases import fit
from tests.toys import Recorder, Stopped, TinyFoundation, TrainToy


def encodes(stage: str) -> bool:
    """Whether a stage is one that is done anew at every start."""
    return stage in ("encode", "copies") or stage.startswith("turns of ")


def files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in ("model.safetensors", "config.json")}


def test_an_interrupted_training_ends_with_the_same_bits(
    train_toy: TrainToy,
    few: Dataset,
    short: LTADConfig,
    tiny_foundation: TinyFoundation,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = short.override("views.wanted=10")
    asked = {"dataset": few, "config": config, "foundation": tiny_foundation, "store": None}
    train_toy(tmp_path / "whole", **asked)
    monkeypatch.setattr(optimisation, "SAVE_EVERY", 3)
    output = tmp_path / "interrupted"
    with pytest.raises(Stopped):
        stop = Recorder(lambda stage, step: (stage, step) == ("fold2-phase2", 5))
        train_toy(output, **asked, progress=stop)
    assert not (output / "config.json").exists()
    again = Recorder()
    train_toy(output, **asked, resume=True, progress=again)
    assert {"encode", "turns of dots", "copies"} <= {stage for stage, _ in again.told}
    steps = [told for told in again.told if not encodes(told[0])]
    assert steps[0] == ("fold2-phase2", 4)  # after the last state that was written
    assert {stage for stage, _ in steps} == {"fold2-phase2", "phase1", "phase2"}
    assert files(output) == files(tmp_path / "whole")
    assert sorted(path.name for path in output.iterdir()) == ["README.md", "config.json", "model.safetensors"]


def test_initial_weights_depend_on_the_seed_only(
    foundation: FoundationModel, toy_encoder: Encoder, few: Dataset, short: LTADConfig
) -> None:
    features = encode_samples(few.train[:3], few.class_names, toy_encoder, quiet)
    config = short.override("phase1.steps=1", "phase2.steps=1")
    foundation.embed_words("the text tower is there")
    models = [fit(features, each, few.train_counts, config, progress=quiet) for each in (foundation, load_foundation())]
    assert torch.equal(models[0].reconstruction.embed.weight, models[1].reconstruction.embed.weight)


def test_only_the_same_training_is_gone_on_with(
    train_toy: TrainToy,
    few: Dataset,
    tiny_config: LTADConfig,
    tiny_foundation: TinyFoundation,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(optimisation, "SAVE_EVERY", 2)

    def first_step(stop_at: int, **options: object) -> int:
        recorder = Recorder(lambda stage, step: not encodes(stage) and step >= stop_at)
        with pytest.raises(Stopped):
            given = {"dataset": few, "foundation": tiny_foundation} | options
            train_toy(tmp_path / "toy", progress=recorder, **given)
        return next(step for stage, step in recorder.told if not encodes(stage))

    assert first_step(6) == 1
    assert first_step(6, resume=True) == 5
    assert first_step(1, resume=True, config=tiny_config.override("seed=1")) == 1
    assert first_step(1, resume=True, dataset=replace(few, train=few.train[1:])) == 1
    assert first_step(1, resume=True, foundation=TinyFoundation(seed=1)) == 1
    assert first_step(6, resume=True) == 5
    assert first_step(1) == 1  # without resume the old state is thrown away ...
    assert first_step(1, resume=True) == 1  # ... for good


def darker(samples: tuple[Sample, ...]) -> tuple[Sample, ...]:
    """The same names, with one other picture among them."""
    read = samples[-1].read
    return (*samples[:-1], replace(samples[-1], read=lambda: read().point(lambda value: value // 2)))


def test_pictures_that_were_exchanged_under_their_names_are_another_training(
    train_toy: TrainToy, few: Dataset, short: LTADConfig, tiny_foundation: TinyFoundation, tmp_path: Path
) -> None:
    def train_on(dataset: Dataset, stop_at: str = "", **options: bool) -> list[str]:
        recorder = Recorder(lambda stage, step: stage == stop_at)
        asked = {"dataset": dataset, "config": short, "foundation": tiny_foundation, "progress": recorder}
        with pytest.raises(Stopped) if stop_at else nullcontext():
            train_toy(tmp_path / "toy", **asked, **options)
        return [stage for stage, _ in recorder.told if not encodes(stage)]

    begun = train_on(few, "fold2-phase1")
    assert begun[0] == "fold1-phase1"
    assert train_on(few, "fold2-phase1", resume=True)[0] == "fold2-phase1"
    exchanged = replace(few, train=darker(few.train))
    assert exchanged.train_counts == few.train_counts
    assert train_on(exchanged, "fold2-phase1", resume=True) == begun


def test_a_finished_checkpoint_is_only_made_again_by_the_same_training(
    train_toy: TrainToy, few: Dataset, short: LTADConfig, tiny_foundation: TinyFoundation, tmp_path: Path
) -> None:
    asked = {"dataset": few, "config": short, "foundation": tiny_foundation}
    train_toy(tmp_path / "toy", **asked)
    before, nobody = files(tmp_path / "toy"), Recorder()
    others = [{}, *({"resume": True} | other for other in (
        {"config": short.override("seed=1")},
        {"dataset": replace(few, train=few.train[1:])},
        {"foundation": TinyFoundation(seed=1)},
    ))]  # fmt: skip
    for other in others:
        with pytest.raises(
            CheckpointError, match=r"toy” holds a finished checkpoint.*which stays: give another --output"
        ):
            train_toy(tmp_path / "toy", **asked | other, progress=nobody)
    assert nobody.told == [] and files(tmp_path / "toy") == before
    train_toy(tmp_path / "toy", **asked, resume=True)
    assert files(tmp_path / "toy") == before


@pytest.mark.parametrize("damage", [b"no tensors", None], ids=["another file", "cut"])
def test_a_damaged_state_is_said_and_its_stage_learned_again(
    damage: bytes | None,
    train_toy: TrainToy,
    few: Dataset,
    short: LTADConfig,
    tiny_foundation: TinyFoundation,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked = {"dataset": few, "config": short, "foundation": tiny_foundation}
    with pytest.raises(Stopped):
        train_toy(tmp_path / "toy", **asked, progress=Recorder(lambda stage, step: stage == "fold2-phase1"))
    state = tmp_path / "toy" / ".training" / "fold1-phase2.safetensors"
    state.write_bytes(state.read_bytes()[:-9] if damage is None else damage)
    again = Recorder()
    train_toy(tmp_path / "toy", **asked, resume=True, progress=again)
    (warning,) = caplog.messages
    assert warning.startswith(f"“{state}” is damaged (") and "fold1-phase2 is learned again" in warning
    assert next(stage for stage, _ in again.told if not encodes(stage)) == "fold1-phase2"
    whole = train_toy(tmp_path / "whole", **asked)
    assert files(tmp_path / "toy") == files(whole.card.path)


def test_what_is_trained_and_what_is_written_are_the_same_numbers(
    tiny_foundation: TinyFoundation, few: Dataset, short: LTADConfig
) -> None:
    features = encode_samples(few.train, few.class_names, Encoder(tiny_foundation), quiet)
    model = fit(features, tiny_foundation, few.train_counts, short, progress=quiet)
    assert all(torch.equal(t, t.half().float()) for t in model.state_dict().values())
    assert not model.training and not any(p.requires_grad for p in model.parameters())


def test_the_preset_of_the_paper_can_be_trained(
    foundation: FoundationModel, toy_encoder: Encoder, few: Dataset
) -> None:
    config = paper().override("reconstruction.dim=32", "phase1.steps=2", "phase2.steps=2", "phase2.batch_size=2")
    features = encode_samples(few.train, few.class_names, toy_encoder, quiet)
    model = fit(features, foundation, few.train_counts, config, progress=quiet)
    assert model.patches.grid_size == (16, 16)


def test_the_papers_form_is_calibrated_and_loads_again(
    train_toy: TrainToy, few: Dataset, tiny_foundation: TinyFoundation, tmp_path: Path
) -> None:
    config = paper().override(
        "reconstruction.dim=32",
        "reconstruction.depth=1",
        "phase1.steps=2",
        "phase2.steps=2",
        "phase2.batch_size=2",
        "calibration.phase2_steps=2",
    )
    trained = train_toy(tmp_path / "toy", dataset=few, config=config, foundation=tiny_foundation)
    assert {name: len(each.scores) for name, each in trained.card.calibration.classes.items()} == {
        name: count if count > 1 else 0 for name, count in few.train_counts.items()
    }
    loaded = load_checkpoint(tmp_path / "toy", tiny_foundation)
    assert not loaded.model.memories
    features = encode_samples(few.train[:2], few.class_names, Encoder(tiny_foundation), quiet)
    output = loaded.model(features.batch(torch.arange(2)).maps, features.class_ids)
    raw = raw_scores(output, loaded.statistics.of(features.class_ids), config, loaded.model.patches.grid_size)
    expected = (output.reconstructed_features - output.patch_features).square().mean(-1)
    torch.testing.assert_close(raw.residual, expected)  # nothing is whitened, standardised or smoothed
    assert (raw.logit > 0).all() and (raw.logit < 1).all()


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
    train_toy: TrainToy, few: Dataset, short: LTADConfig, tiny_foundation: TinyFoundation, tmp_path: Path
) -> None:
    config = short.override(*ABLATION)
    trained = train_toy(tmp_path / "toy", dataset=few, config=config, foundation=tiny_foundation)
    loaded = load_checkpoint(tmp_path / "toy", tiny_foundation)
    assert loaded.card.config == config
    states = trained.model.state_dict(), loaded.model.state_dict()
    assert states[0].keys() == states[1].keys() and all(torch.equal(states[0][k], states[1][k]) for k in states[0])


@pytest.mark.parametrize("learned", [True, False])
def test_names_are_learned_or_stay_as_given(
    learned: bool, foundation: FoundationModel, toy_encoder: Encoder, few: Dataset, short: LTADConfig
) -> None:
    config = short.override("prompts.start={}", "prompts.tokens=3", f"prompts.learned={learned}".lower())
    features = encode_samples(few.train[:3], few.class_names, toy_encoder, quiet)
    tokens = fit(features, foundation, few.train_counts, config, progress=quiet).prompts.class_tokens
    for given, row in zip(map(foundation.embed_words, few.class_names), tokens, strict=True):
        assert torch.equal(row[: len(given)], given.half().float()) != learned
        assert not row[len(given) :].any()  # no token stays no token


def test_training_never_opens_a_test_image(
    train_toy: TrainToy, few: Dataset, short: LTADConfig, tiny_foundation: TinyFoundation, tmp_path: Path
) -> None:
    def opened() -> None:
        raise AssertionError("a test image was opened")

    closed = tuple(replace(sample, read=opened, read_mask=opened) for sample in few.test)
    train_toy(tmp_path / "toy", dataset=replace(few, test=closed), config=short, foundation=tiny_foundation)


def test_single_images_only_are_refused_with_a_sentence(
    train_toy: TrainToy, few: Dataset, short: LTADConfig, tmp_path: Path
) -> None:
    firsts = tuple(next(s for s in few.train if s.class_name == name) for name in few.class_names)
    with pytest.raises(DatasetError, match="two"):
        train_toy(tmp_path / "toy", dataset=replace(few, train=firsts), config=short)
