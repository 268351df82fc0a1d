"""The student learns one class more and keeps what its teacher knows of the others."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ltad.checkpoint.folder import Checkpoint
from ltad.config import AdaptConfig
from ltad.foundation.features import Encoder, Features
from ltad.model.ltad import LTAD
from ltad.progress import Stage, quiet
from ltad.training.images import encode_samples
from ltad.training.optimisation import StageFolder
from ltad.training.student import LOOK_EVERY, Student, steps_of, watched
from tests.toys import Recorder, TinyFoundation, ring_samples

SETTINGS = AdaptConfig(name_steps=20, generator_steps=30, steps=5)
Learn = Callable[..., LTAD]


@pytest.fixture(scope="module")
def images(tiny_foundation: TinyFoundation) -> Features:
    """Five rings."""
    samples = [replace(sample, class_name="rings") for sample in ring_samples(5)]
    return encode_samples(samples, ("rings",), Encoder(tiny_foundation), quiet)


@pytest.fixture
def learn(tiny_checkpoint: Checkpoint, images: Features, tiny_foundation: TinyFoundation, tmp_path: Path) -> Learn:
    """Let a student of the tiny checkpoint learn rings; class_id: 3 is a new class."""

    def run(class_id: int = 3, start: str | None = None, **settings: float) -> LTAD:
        own = images._replace(class_ids=torch.full_like(images.class_ids, class_id))
        asked = replace(SETTINGS, **settings)
        student = Student(tiny_checkpoint, class_id, own, tiny_foundation, asked, None)
        with StageFolder(tmp_path / "student", [], resume=False) as stages:
            return student.learn(start, stages, quiet)

    return run


def test_what_is_known_of_the_others_is_kept(learn: Learn, tiny_checkpoint: Checkpoint) -> None:
    teacher = tiny_checkpoint.model
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    student = learn()
    assert all(torch.equal(before[name], tensor) for name, tensor in teacher.state_dict().items())
    for name in ("name_features", "text_features", "class_embeddings", "prompts.class_tokens"):
        mine, theirs = student.state_dict()[name], before[name]
        assert len(mine) == 4 and torch.equal(mine[:3], theirs) and mine[3].any(), name
    for memory, old in zip(student.memories, teacher.memories, strict=True):
        shared = memory.exemplars.shape[1]
        assert torch.equal(memory.exemplars[:3], old.exemplars[:, :shared]) and memory.exemplars[3].any()


def test_replay_keeps_the_generator_drawing_the_others(learn: Learn, tiny_checkpoint: Checkpoint) -> None:
    teacher, vae = tiny_checkpoint.model, tiny_checkpoint.model.synthesis
    latent = torch.randn(3, vae.latent, vae.layout, vae.layout, generator=torch.Generator().manual_seed(0))

    def drift(replayed: int) -> float:
        student = learn(replayed=replayed, batch_size=4 + replayed, generator_steps=150)
        with torch.no_grad():
            pairs = zip(*(m.synthesis.decode(latent, teacher.name_features) for m in (student, teacher)), strict=True)
            return sum((mine - theirs).square().mean().item() for mine, theirs in pairs)

    assert drift(replayed=4) < 0.5 * drift(replayed=0)


def test_a_new_name_starts_from_the_nearest_one_or_from_a_word(
    learn: Learn, tiny_checkpoint: Checkpoint, images: Features, tiny_foundation: TinyFoundation
) -> None:
    teacher, rate = tiny_checkpoint.model, 1e-3
    nearest = int(teacher.match(images.embeddings.mean(0)[None]).argmax())
    word = tiny_foundation.embed_words("screw")[0]
    for start, expected in ((None, teacher.prompts.class_tokens[nearest]), ("screw", torch.stack([word, word]))):
        one_step = {"name_steps": 1, "name_learning_rate": rate, "generator_steps": 0, "steps": 1}
        tokens = learn(start=start, **one_step).prompts.class_tokens[3]
        assert 0 < (tokens - expected).abs().max() < 3 * rate  # one step, and half precision


def test_the_new_name_becomes_the_one_that_its_images_are_most_like(learn: Learn, images: Features) -> None:
    student = learn()
    assert (student.match(images.embeddings).argmax(1) == 3).all()


def test_a_class_that_is_known_keeps_its_name_and_moves_halfway_to_its_new_images(
    learn: Learn, tiny_checkpoint: Checkpoint, images: Features
) -> None:
    teacher, student = tiny_checkpoint.model, learn(class_id=1)
    assert torch.equal(student.name_features, teacher.name_features)
    assert torch.equal(student.prompts.class_tokens, teacher.prompts.class_tokens)
    new = torch.nn.functional.normalize(images.embeddings.mean(0), dim=0)
    to_old, to_new = ((student.class_embeddings[1] * each).sum() for each in (teacher.class_embeddings[1], new))
    assert to_old.item() == pytest.approx(to_new.item(), abs=2e-3)


def test_models_that_only_judge_learn_half_as_long_and_what_is_left_out_takes_no_step() -> None:
    settings = AdaptConfig(name_steps=7, generator_steps=0, steps=1)
    assert [steps_of(settings, "name", fold) for fold in (None, 1)] == [7, 4]
    assert [steps_of(settings, "phase2", fold) for fold in (None, 2)] == [1, 1]
    assert [steps_of(settings, "generator", fold) for fold in (None, 1)] == [0, 0]


def test_a_watch_is_shown_the_error_now_and_then_and_at_the_end(tiny_checkpoint: Checkpoint, images: Features) -> None:
    looks: list[tuple[str, torch.Tensor]] = []
    recorder, first = Recorder(), images.batch(torch.tensor([0]))
    model, steps = tiny_checkpoint.model, 2 * LOOK_EVERY + 3
    told = watched(model, first, "a.png", lambda name, error: looks.append((name, error)), recorder)
    for stage in (Stage("name"), Stage("phase2", 1)):
        for step in range(1, steps + 1):
            told(stage, step, steps, 0.5)
    assert len(recorder.told) == 2 * steps
    assert [name for name, _ in looks] == ["a.png"] * 3
    patches = model.patches(model.patches.standardise(first.maps))
    expected = (model.reconstruction(patches) - patches).square().mean(-1)[0]
    assert all(torch.allclose(error.flatten(), expected) for _, error in looks)
