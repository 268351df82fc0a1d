"""OpenCLIP's towers against the library's own answers, and weights that are not what they should be."""

import os
from pathlib import Path

import open_clip
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file
from torch import nn

from ltad.errors import FoundationError
from ltad.foundation import load_foundation
from ltad.foundation.open_clip import MOST_CHANNELS, OpenCLIP, Recipe

KINDS = ["tiny-vit", "tiny-resnet", "tiny-convnext", "tiny-timm-vit", "tiny-looking-ahead"]
SENTENCES = ["a photo of a cat", "Screws!"]


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def model(kind: str, open_clip_folder: Path) -> OpenCLIP:
    return OpenCLIP(f"{kind}/{open_clip_folder}/{kind}.safetensors")


@pytest.fixture(scope="module")
def original(kind: str, open_clip_folder: Path) -> nn.Module:
    return open_clip.create_model(kind, pretrained=f"{open_clip_folder}/{kind}.safetensors").eval()


@torch.no_grad()
def test_spliced_words_are_the_sentence_that_the_library_reads(kind: str, model: OpenCLIP, original: nn.Module) -> None:
    spliced = model.encode_prompts(
        [torch.cat([model.embed_words("a photo"), model.embed_words("of a cat")]), model.embed_words("screws!")]
    )
    expected = original.encode_text(open_clip.get_tokenizer(kind)(SENTENCES), normalize=True)
    torch.testing.assert_close(spliced, expected, atol=1e-5, rtol=0)
    assert (spliced[0] - spliced[1]).norm() > 0.01


@torch.no_grad()
def test_images_are_seen_as_the_library_sees_them(model: OpenCLIP, original: nn.Module) -> None:
    size = model.fingerprint.image_size
    images = torch.rand(2, 3, size, size)
    visual = original.visual
    mean, std = (torch.tensor(part)[:, None, None] for part in (visual.image_mean, visual.image_std))
    expected = original.encode_image((images - mean) / std, normalize=True)
    torch.testing.assert_close(model.encode_image(images).embedding, expected, atol=1e-5, rtol=0)
    assert (model.encode_image(images.flip(1)).embedding - expected).norm() > 1e-4  # RGB is not BGR


def test_wide_maps_are_thinned_evenly(open_clip_folder: Path) -> None:
    model = OpenCLIP(f"tiny-resnet/{open_clip_folder}/tiny-resnet.safetensors")
    images = torch.rand(1, 3, 64, 64)
    whole = model.network.visual.forward_intermediates((images - model.image_tower.mean) / model.image_tower.std)[
        "image_intermediates"
    ]
    assert whole[-1].shape[1] == 2 * MOST_CHANNELS
    torch.testing.assert_close(model.encode_image(images).maps[-1], whole[-1][:, ::2])
    torch.testing.assert_close(model.encode_image(images).maps[0], whole[1])  # of the stem and layer 1, the later


def test_every_supported_architecture_has_a_text_tower_of_the_known_form() -> None:
    supported = 0
    for arch in open_clip.list_models():
        text = open_clip.get_model_config(arch)["text_cfg"]
        try:
            load_foundation(f"open_clip:{arch}/no-such-weights")
        except FoundationError as error:
            if "no file here" not in str(error):
                assert "text tower" in str(error)
                continue
        supported += 1
        assert text.get("vocab_size", 49408) == 49408 and text.get("proj_type", "linear") == "linear"
    assert supported > 80


@pytest.fixture
def tags(monkeypatch: pytest.MonkeyPatch, open_clip_folder: Path) -> list[tuple]:
    """Two tags of tiny-vit, on a hub that is a folder; gives what was asked of it."""
    plain = {"hf_hub": "someone/plain/weights.safetensors", "mean": (0.5,) * 3, "std": (0.5,) * 3}
    quick = {"hf_hub": "someone/quick/", "mean": (0.4,) * 3, "std": (0.2,) * 3, "quick_gelu": True}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "tiny-vit", {"plain": plain, "quick": quick})
    asked: list[tuple] = []

    def snapshot(repository: str, allow_patterns: list[str]) -> str:
        asked.append((repository, *allow_patterns))
        return str(hub)

    hub = open_clip_folder / "hub"
    hub.mkdir(exist_ok=True)
    for name in ("weights.safetensors", "open_clip_pytorch_model.bin"):
        (hub / name).unlink(missing_ok=True)
    os.link(open_clip_folder / "tiny-vit.safetensors", hub / "weights.safetensors")
    torch.save(load_file(open_clip_folder / "tiny-vit.safetensors"), hub / "open_clip_pytorch_model.bin")
    monkeypatch.setattr("ltad.foundation.hub.snapshot_download", snapshot)
    return asked


def test_a_tag_brings_its_normalisation_and_activation(tags: list[tuple], open_clip_folder: Path) -> None:
    plain, quick = load_foundation("open_clip:tiny-vit/plain"), load_foundation("open_clip:tiny-vit/quick")
    assert tags == [
        ("someone/plain", "weights.safetensors"),
        ("someone/quick", "open_clip_model.safetensors"),  # which is not there
        ("someone/quick", "open_clip_pytorch_model.bin"),
    ]
    assert (plain.image_tower.mean.flatten().tolist(), plain.image_tower.std.flatten().tolist()) == (
        [0.5] * 3,
        [0.5] * 3,
    )
    activations = [m.network.visual.transformer.resblocks[0].mlp.gelu for m in (plain, quick)]
    assert [type(a).__name__ for a in activations] == ["GELU", "QuickGELU"]
    # The same weights, but other features: a checkpoint must not take one for the other.
    assert plain.fingerprint.sha256 != quick.fingerprint.sha256


def test_a_tag_from_the_hub_and_from_a_file_are_the_same(tags: list[tuple], open_clip_folder: Path) -> None:
    file = open_clip_folder / "tiny-vit.safetensors"
    for tag in ("plain", "quick"):
        hub = load_foundation(f"open_clip:tiny-vit/{tag}").fingerprint
        asked = len(tags)
        local = load_foundation(f"open_clip:tiny-vit/{tag}@{file}").fingerprint
        assert (local, local.name) == (hub, f"open_clip:tiny-vit/{tag}")
        assert len(tags) == asked
    with pytest.raises(FoundationError, match=r"as open_clip:tiny-vit/TAG@.* with TAG one of plain, quick\.$"):
        load_foundation(f"open_clip:tiny-vit/{file}")


def test_a_file_is_normalised_like_the_tags_where_they_agree(
    open_clip_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = f"{open_clip_folder}/tiny-vit.safetensors"
    usual = OpenCLIP(f"tiny-vit/{file}")
    torch.testing.assert_close(usual.image_tower.mean.flatten(), torch.tensor(Recipe().mean))
    tag = {"hf_hub": "someone/plain/", "mean": (0.0,) * 3, "std": (1.0,) * 3}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "tiny-vit", {"one": tag, "other": tag})
    other = OpenCLIP(f"tiny-vit/{file}")
    assert other.image_tower.mean.flatten().tolist() == [0.0] * 3
    assert other.fingerprint != usual.fingerprint


def test_files_saved_by_torch_are_read_without_unpickling(open_clip_folder: Path, tmp_path: Path) -> None:
    safe = open_clip_folder / "tiny-vit.safetensors"
    torch.save({"state_dict": load_file(safe)}, tmp_path / "weights.pt")
    assert OpenCLIP(f"tiny-vit/{tmp_path}/weights.pt").fingerprint == OpenCLIP(f"tiny-vit/{safe}").fingerprint

    class Evil:
        def __reduce__(self) -> tuple:
            return Path.touch, (tmp_path / "executed",)

    class Confused:  # what it provokes must not be taken for an old torch and tried again less carefully
        def __reduce__(self) -> tuple:
            return getattr, (Evil(), 1)

    for weights in ({"logit_scale": Evil()}, Evil(), {"logit_scale": Confused()}):
        torch.save(weights, tmp_path / "evil.pt")
        with pytest.raises(FoundationError, match=r"evil\.pt” cannot be used as weights of tiny-vit"):
            OpenCLIP(f"tiny-vit/{tmp_path}/evil.pt")
    assert not (tmp_path / "executed").exists()


def test_unusable_weights_are_one_sentence(open_clip_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "noise.safetensors").write_bytes(b"noise")
    for file in (tmp_path / "noise.safetensors", open_clip_folder / "tiny-resnet.safetensors"):
        with pytest.raises(FoundationError, match=rf"^“{file}” cannot be used as weights of tiny-vit .*\.$"):
            OpenCLIP(f"tiny-vit/{file}")
    with pytest.raises(FoundationError, match=r"^“absent\.pt” is no file here, and .* for ViT-B-32 \(openai, "):
        OpenCLIP("ViT-B-32/absent.pt")
    with pytest.raises(FoundationError, match=r"^open_clip:tiny-vit says no weights: name a file, .*one of none\.$"):
        OpenCLIP("tiny-vit")


def test_unknown_and_foreign_architectures_are_refused(open_clip_folder: Path) -> None:
    with pytest.raises(FoundationError, match=r"no architecture “ViT-B-23”, the nearest are ViT-B-32, .*ARCH/TAG@FILE"):
        OpenCLIP("ViT-B-23/openai")
    with pytest.raises(FoundationError, match="no architecture “hf-hub:someone”"):
        OpenCLIP("hf-hub:someone/model")
    for arch in ("tiny-foreign", "ViT-B-16-SigLIP", "coca_ViT-B-32"):
        with pytest.raises(FoundationError, match=f"The text tower of {arch} is not supported"):
            OpenCLIP(f"{arch}/webli")


def test_what_cannot_be_had_is_said_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    sentence = r"^timm/vit_base_patch32_clip_224\.openai was looked .*: open_clip:ViT-B-32/openai@DIR/open_clip_model"
    with pytest.raises(FoundationError, match=sentence):
        OpenCLIP("ViT-B-32/openai")
