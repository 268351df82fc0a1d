"""ALIGN against the library's own answers, from a folder and from the Hub."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file
from transformers import AlignModel, AutoTokenizer

from ltad.errors import FoundationError
from ltad.foundation import load_foundation
from ltad.foundation.align import IMAGE_SIZE, Align

SENTENCES = ("a photo of a cat", "screws")


@pytest.fixture(scope="module")
def model(align_folder: Path) -> Align:
    return Align(str(align_folder))


@pytest.fixture(scope="module")
def original(align_folder: Path) -> AlignModel:
    return AlignModel.from_pretrained(align_folder).eval()


@torch.no_grad()
def test_spliced_words_are_the_sentence_that_the_library_reads(
    model: Align, original: AlignModel, align_folder: Path
) -> None:
    spliced = model.encode_prompts(
        [torch.cat([model.embed_words("a photo"), model.embed_words("of a cat")]), model.embed_words("screws")]
    )
    read = AutoTokenizer.from_pretrained(align_folder)(SENTENCES, return_tensors="pt", padding=True)
    expected = original.get_text_features(**read).pooler_output
    torch.testing.assert_close(spliced, torch.nn.functional.normalize(expected, dim=-1), atol=1e-5, rtol=0)
    assert (spliced[0] - spliced[1]).norm() > 0.01


@torch.no_grad()
def test_images_are_seen_as_the_library_sees_them(model: Align, original: AlignModel) -> None:
    images = torch.rand(2, 3, IMAGE_SIZE, IMAGE_SIZE)
    features = model.encode_image(images)
    expected = original.get_image_features(images * 2 - 1).pooler_output
    torch.testing.assert_close(features.embedding, torch.nn.functional.normalize(expected, dim=-1), atol=1e-5, rtol=0)
    deepest = torch.nn.functional.normalize(features.maps[-1].mean((2, 3)), dim=-1)  # what the embedding is made of
    torch.testing.assert_close(deepest, features.embedding, atol=1e-5, rtol=0)
    assert (model.encode_image(images.flip(1)).embedding - features.embedding).norm() > 1e-4  # RGB is not BGR


def test_the_hub_and_a_folder_of_the_same_weights_are_the_same(
    model: Align, align_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple] = []

    def snapshot(repository: str, allow_patterns: list[str]) -> str:
        asked.append((repository, *allow_patterns))
        return str(align_folder)

    monkeypatch.setattr("ltad.foundation.hub.snapshot_download", snapshot)
    found = load_foundation("align").fingerprint
    assert found == model.fingerprint and found.name == "align"
    assert asked == [("kakaobrain/align-base", "*.json", "*.txt", "model.safetensors")]


def test_older_files_of_weights_are_read_without_unpickling(
    model: Align, align_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(align_folder, tmp_path / "old")
    (folder / "model.safetensors").unlink()
    torch.save(load_file(align_folder / "model.safetensors"), folder / "pytorch_model.bin")
    asked: list[list[str]] = []
    monkeypatch.setattr(
        "ltad.foundation.hub.snapshot_download", lambda _, allow_patterns: asked.append(allow_patterns) or str(folder)
    )
    assert load_foundation("align").fingerprint == model.fingerprint
    assert asked[1:] == [["pytorch_model.bin"]]  # asked for only where there is no safe form

    class Evil:
        def __reduce__(self) -> tuple:
            return Path.touch, (tmp_path / "executed",)

    torch.save({"text_projection.weight": Evil()}, folder / "pytorch_model.bin")
    with pytest.raises(FoundationError, match="holds no ALIGN model"):
        Align(str(folder))
    assert not (tmp_path / "executed").exists()


def test_a_folder_that_holds_something_else_is_refused(align_folder: Path, tmp_path: Path) -> None:
    def refused(sentence: str) -> None:
        with pytest.raises(FoundationError, match=f"holds no ALIGN model .*{sentence}.*hf download kakao.*align:DIR"):
            Align(str(folder))

    folder = tmp_path / "absent"
    refused("config.json is missing")
    folder = shutil.copytree(align_folder, tmp_path / "lacking")
    tensors = load_file(folder / "model.safetensors")
    del tensors["text_projection.bias"]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    refused("weights are missing: text_projection.bias")
    save_file(tensors | {"text_projection.bias": torch.zeros(3)}, folder / "model.safetensors", {"format": "pt"})
    refused("")
    (folder / "model.safetensors").write_bytes(b"nothing")
    refused("")
    (folder / "model.safetensors").unlink()
    refused("no file named model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "clip"}))
    refused("a model of type clip")


@pytest.mark.parametrize("offline", [False, True])
def test_what_cannot_be_had_is_said_at_once(offline: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("the network is off")

    monkeypatch.setattr("socket.getaddrinfo", refuse)
    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    start = time.monotonic()
    with pytest.raises(FoundationError, match=r"^kakaobrain/align-base was looked for .*network.*align:DIR\.$"):
        load_foundation("align")
    assert time.monotonic() - start < 5


CODE = """
import socket, sys

attempts = []

def refuse(*arguments, **options):
    attempts.append(arguments)
    raise OSError("the network is off")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = socket.create_connection = refuse

from ltad.foundation import load_foundation

for name in sys.argv[1:]:
    load_foundation(name).vocabulary()
print(attempts)
"""


def test_a_folder_is_read_without_trying_the_network(align_folder: Path) -> None:
    done = subprocess.run([sys.executable, "-c", CODE, f"align:{align_folder}"], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
