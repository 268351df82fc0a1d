"""What every foundation model promises, kept by tiny copies of the other ones; and LTAD learns on each."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from ltad.__main__ import main
from ltad.checkpoint.folder import load_checkpoint
from ltad.config import LTADConfig
from ltad.data import Dataset
from ltad.errors import CheckpointError
from ltad.foundation import FoundationModel, load_foundation
from ltad.inspection.predictor import Predictor

# the strides and channels of the maps, and the name that a checkpoint records
KINDS = {
    "align": ((4, 8, 16, 32), (8, 16, 32, 80), "align"),
    "tiny-vit": ((16,) * 4, (80,) * 4, "open_clip:tiny-vit"),
    "tiny-resnet": ((4, 8, 16, 32), (32, 64, 128, 128), "open_clip:tiny-resnet"),
    "tiny-convnext": ((4, 8, 16, 32), (24, 32, 48, 64), "open_clip:tiny-convnext"),
    "tiny-timm-vit": ((16,) * 4, (64,) * 4, "open_clip:tiny-timm-vit"),
}


def name_of(kind: str, align_folder: Path, open_clip_folder: Path) -> str:
    return f"align:{align_folder}" if kind == "align" else f"open_clip:{kind}/{open_clip_folder}/{kind}.safetensors"


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def name(kind: str, align_folder: Path, open_clip_folder: Path) -> str:
    return name_of(kind, align_folder, open_clip_folder)


@pytest.fixture(scope="module")
def model(name: str) -> FoundationModel:
    return load_foundation(name)


def some_images(model: FoundationModel, count: int) -> torch.Tensor:
    size = model.fingerprint.image_size
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def test_maps_and_embedding_are_as_announced(kind: str, model: FoundationModel) -> None:
    strides, channels, name = KINDS[kind]
    assert (model.strides, model.channels, model.fingerprint.name) == (strides, channels, name)
    features = model.encode_image(some_images(model, 2))
    sides = [model.fingerprint.image_size // stride for stride in strides]
    assert [tuple(m.shape) for m in features.maps] == [(2, c, s, s) for c, s in zip(channels, sides, strict=True)]
    assert features.embedding.shape == (2, model.joint_dim)
    torch.testing.assert_close(features.embedding.norm(dim=1), torch.ones(2))
    assert not features.embedding.requires_grad and not any(m.requires_grad for m in features.maps)
    assert all(m.is_contiguous() for m in features.maps)
    assert len({m.sum().item() for m in features.maps}) == len(features.maps)  # each a layer of its own


def test_an_image_does_not_depend_on_its_batch(model: FoundationModel) -> None:
    images = some_images(model, 3)
    together, alone = model.encode_image(images), model.encode_image(images[1:2])
    for all_three, one in zip((*together.maps, together.embedding), (*alone.maps, alone.embedding), strict=True):
        torch.testing.assert_close(all_three[1:2], one, atol=1e-4, rtol=1e-4)


def test_a_prompt_depends_on_order_but_not_on_those_beside_it(model: FoundationModel) -> None:
    prompts = [model.embed_words(text) for text in ("screw", "a photo of a cat of a cat", "cat a of photo a")]
    together = model.encode_prompts(prompts)
    torch.testing.assert_close(together.norm(dim=1), torch.ones(3))
    for one, prompt in zip(together, prompts, strict=True):
        torch.testing.assert_close(model.encode_prompts([prompt])[0], one, atol=1e-5, rtol=0)
    assert (model.encode_prompts([model.embed_words("a photo of a cat")])[0] - together[2]).norm() > 1e-4
    assert model.embed_words("").shape == (0, model.token_size)
    with pytest.raises(ValueError, match="a prompt has 100 tokens, but the text tower reads at most"):
        model.encode_prompts([torch.zeros(100, model.token_size)])


def test_gradient_reaches_spliced_tokens_and_no_weight(model: FoundationModel) -> None:
    learned = torch.randn(2, model.token_size, requires_grad=True)
    model.encode_prompts([torch.cat([model.embed_words("a photo of a"), learned])])[0, 0].backward()
    assert (learned.grad.norm(dim=1) > 0).all()
    assert not any(p.requires_grad for p in model.network.parameters())
    assert not any(module.training for module in model.network.modules())


def test_the_vocabulary_is_words(model: FoundationModel) -> None:
    words, embeddings = model.vocabulary()
    assert embeddings.shape == (len(words), model.token_size)
    assert {"screw", "photo", "cat"} <= set(words) and len(set(words)) == len(words)
    assert all(word.isalpha() for word in words)
    torch.testing.assert_close(embeddings[words.index("screw")], model.embed_words("screw")[0])


@pytest.fixture(scope="module")
def config(tiny_config: LTADConfig, model: FoundationModel) -> LTADConfig:
    """A few steps on the maps of one stride."""
    steps = ("phase1.steps=2", "phase2.steps=2", "calibration.phase2_steps=2")
    strides = ("patches.strides=[16]", "memory.strides=[16,16,16]")
    for assignment in (*steps, *strides, "reconstruction.pack=1", "reconstruction.neighbourhood=1"):
        tiny_config = tiny_config.override(assignment)
    return tiny_config


@pytest.fixture(scope="module")
def checkpoint(
    model: FoundationModel, config: LTADConfig, train_toy: Callable, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    output = tmp_path_factory.mktemp("trained") / "toy"
    train_toy(output, foundation=model, config=config)
    return output


def test_a_checkpoint_is_used_with_the_foundation_model_named_anew(
    checkpoint: Path, name: str, model: FoundationModel, toy_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert load_checkpoint(checkpoint, model).model.patches.layers == tuple(
        layer for layer, stride in enumerate(model.strides) if stride == 16
    )
    image = toy_folder / "dots" / "test" / "good" / "000.png"
    expected = Predictor.from_checkpoint(checkpoint, model).predict(image)
    assert main(["inspect", str(image), "--checkpoint", str(checkpoint), "--foundation", name]) == 0
    told = capsys.readouterr().out
    assert f'"image_score": {round(expected.image_score, 5)},' in told
    assert f'"foundation": "{model.fingerprint.name}"' in told
    assert "/" not in model.fingerprint.name and "/" not in (checkpoint / "config.json").read_text().split('"data"')[0]


def test_other_weights_of_the_same_shapes_are_refused(
    kind: str, checkpoint: Path, model: FoundationModel, name: str, tmp_path: Path
) -> None:
    source = Path(name.partition(":")[2] if kind == "align" else name.partition("/")[2])
    for file in source.iterdir() if kind == "align" else [source]:
        if file.suffix == ".safetensors":
            tensors = load_file(file)
            first = next(name for name in sorted(tensors) if tensors[name].is_floating_point())
            save_file(tensors | {first: tensors[first] + 1e-3}, tmp_path / file.name, {"format": "pt"})
        else:
            (tmp_path / file.name).write_bytes(file.read_bytes())
    other = load_foundation(name.replace(str(source if kind == "align" else source.parent), str(tmp_path)))
    assert other.fingerprint.name == model.fingerprint.name
    with pytest.raises(CheckpointError, match=rf"^toy was trained on {model.fingerprint.name} \(\w+, \d+ px\), but "):
        load_checkpoint(checkpoint, other)


def test_strides_that_a_model_lacks_are_refused_before_anything_is_encoded(
    model: FoundationModel, tiny_config: LTADConfig, train_toy: Callable, toy_data: Dataset, tmp_path: Path
) -> None:
    known = sorted(set(model.strides))
    config = tiny_config.override("patches.strides=[5]")
    sentence = rf"patches\.strides must be different ones of \[{known[0]}.*, got \[5\]: .*--set patches\.strides="
    calls: list[str] = []
    with pytest.raises(ValueError, match=sentence):
        train_toy(tmp_path / "t", foundation=model, config=config, progress=lambda *a, **k: calls.append(a[0]))
    assert not calls
