"""``open_clip:ARCH/PRETRAINED``: the image-text models of the package open_clip.

ARCH is an architecture that open_clip knows, and PRETRAINED says which weights: TAG, as open_clip names those on the
hub; TAG@FILE, the same from a local file; or FILE, weights of one's own, where all of the architecture's tags agree
on how an image is normalised and which activation the network has. Files are safetensors, or are read without
unpickling anything but tensors.
"""

import difflib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import open_clip
import torch
from open_clip.constants import HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME, OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from torch import Tensor, nn
from torch.nn.functional import normalize, pad
from typing_extensions import override

from ltad.errors import FoundationError
from ltad.foundation.base import Fingerprint, FoundationModel
from ltad.foundation.hub import fetch
from ltad.foundation.towers import choose_maps, frame_prompts, hash_tensors
from ltad.machine import CPU

# Our choice: whitening keeps D x D numbers per class, and a ViT's four maps alone have D = 3,072. Of a wider map every
# n-th channel is taken; random channels lose little (Defard et al. 2021, PaDiM: 100 of 448 score as well as PCA).
MOST_CHANNELS = 128


class Recipe(NamedTuple):
    """How weights are to be used: normalisation of the image, and OpenAI's faster activation or the exact one."""

    mean: tuple[float, ...] = OPENAI_DATASET_MEAN
    std: tuple[float, ...] = OPENAI_DATASET_STD
    quick_gelu: bool = False


class Weights(NamedTuple):
    """Weights that were found: the foundation model's name, their file, and how to use them."""

    name: str
    file: Path
    recipe: Recipe


def _recipe(arch: str, tag: str) -> Recipe:
    config = open_clip.get_pretrained_cfg(arch, tag)
    return Recipe(tuple(config["mean"]), tuple(config["std"]), bool(config.get("quick_gelu")))


def _find_weights(arch: str, pretrained: str) -> Weights:
    """Find what PRETRAINED names; FoundationError says where it was looked for."""
    tags = open_clip.list_pretrained_tags_by_model(arch)
    if not pretrained:  # as a checkpoint records it that was trained on a file
        raise FoundationError(
            f"open_clip:{arch} says no weights: name a file, open_clip:{arch}/FILE, or weights from the hub, "
            f"open_clip:{arch}/TAG with TAG one of {', '.join(tags) or 'none'}."
        )
    if open_clip.is_pretrained_cfg(arch, pretrained):
        return Weights(f"open_clip:{arch}/{pretrained}", _fetch(arch, pretrained), _recipe(arch, pretrained))
    tag, _, path = pretrained.partition("@")
    if not (path and open_clip.is_pretrained_cfg(arch, tag)):
        tag, path = "", pretrained
    if not Path(path).is_file():
        raise FoundationError(
            f"“{path}” is no file here, and none of the weights that open_clip knows for {arch} "
            f"({', '.join(tags) or 'none'}): name one of those, or a local file of weights."
        )
    if tag:
        return Weights(f"open_clip:{arch}/{tag}", Path(path), _recipe(arch, tag))
    recipes = {_recipe(arch, each) for each in tags} or {Recipe()}
    if len(recipes) > 1:
        raise FoundationError(
            f"{arch} is normalised or activated in different ways for different weights: name those that “{path}” is "
            f"like, as open_clip:{arch}/TAG@{path} with TAG one of {', '.join(tags)}."
        )
    return Weights(f"open_clip:{arch}", Path(path), recipes.pop())


def _fetch(arch: str, tag: str) -> Path:
    """The file of a tag from the hub, in the safe form where the hub has it."""
    repository, wanted = os.path.split(open_clip.get_pretrained_cfg(arch, tag)["hf_hub"])
    wanted = wanted or HF_WEIGHTS_NAME
    safe = HF_SAFE_WEIGHTS_NAME if wanted == HF_WEIGHTS_NAME else str(Path(wanted).with_suffix(".safetensors"))
    otherwise = (
        f"fetch it where there is one with “hf download {repository} --local-dir DIR” and name its file of weights: "
        f"open_clip:{arch}/{tag}@DIR/{safe}"
    )
    file = fetch(repository, safe, otherwise=otherwise) / safe
    return file if file.is_file() else fetch(repository, wanted, otherwise=otherwise) / wanted


def _check_architecture(arch: str) -> None:
    """Refuse an architecture that open_clip does not know, or whose text tower takes no spliced tokens of ours."""
    if arch not in open_clip.list_models():
        nearest = ", ".join(difflib.get_close_matches(arch, open_clip.list_models(), n=5, cutoff=0))
        raise FoundationError(
            f"open_clip knows no architecture “{arch}”, the nearest are {nearest}: the form is open_clip:ARCH/TAG for "
            "weights from the hub, or open_clip:ARCH/TAG@FILE for a local file."
        )
    config = open_clip.get_model_config(arch)
    text = config["text_cfg"]
    foreign = "multimodal_cfg" in config or any(text.get(key) for key in ("hf_model_name", "hf_tokenizer_name"))
    if foreign or text.get("embed_cls") or text.get("pool_type", "argmax") != "argmax":
        raise FoundationError(
            f"The text tower of {arch} is not supported: it must be open_clip's own transformer with its own "
            "tokenizer, read off at the end mark, as in the ViT, RN50, convnext, EVA and MobileCLIP families."
        )


def _load(arch: str, weights: Weights) -> Any:
    recipe = weights.recipe
    try:
        model = open_clip.create_model(
            arch,
            pretrained=str(weights.file),
            weights_only=True,
            force_custom_text=True,  # one layout of the text tower for all
            force_quick_gelu=recipe.quick_gelu,
            force_preprocess_cfg={"mean": recipe.mean, "std": recipe.std},
        )
    except Exception as error:  # whatever a foreign file provokes
        raise FoundationError(
            f"“{weights.file}” cannot be used as weights of {arch} ({type(error).__name__}): it must be a state dict "
            f"of that very architecture, as safetensors or saved by torch, or name a tag to take it from the hub."
        ) from error
    return model.eval().requires_grad_(False)


class ImageTower(nn.Module):
    """An image tower of open_clip behind its normalisation: the chosen maps, thinned, and the embedding."""

    def __init__(self, visual: Any, recipe: Recipe) -> None:
        super().__init__()
        self.visual = visual
        self.mean, self.std = (nn.Buffer(torch.tensor(part)[:, None, None]) for part in recipe[:2])
        size = visual.image_size
        self.image_size = size[0] if isinstance(size, tuple) else size
        with torch.no_grad():
            seen = self._see(torch.zeros(1, 3, self.image_size, self.image_size), None)
        self.chosen, self.strides = choose_maps(seen["image_intermediates"], self.image_size)
        self.channels = tuple(_thin(seen["image_intermediates"][index]).shape[1] for index in self.chosen)
        self.joint_dim = seen["image_features"].shape[1]

    def _see(self, images: Tensor, layers: list[int] | None) -> dict[str, Any]:
        """The maps of some layers (None: all) and the features in the joint space, of images in [0, 1]."""
        return self.visual.forward_intermediates((images - self.mean) / self.std, indices=layers)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Give the chosen maps, then the embedding, of images in [0, 1]."""
        seen = self._see(images, self.chosen)
        return *(_thin(m) for m in seen["image_intermediates"]), normalize(seen["image_features"], dim=-1)


class OpenCLIP(FoundationModel):
    """A model of open_clip, named ARCH/PRETRAINED."""

    image_tower: ImageTower

    def __init__(self, choice: str, device: torch.device = CPU) -> None:
        arch, _, pretrained = choice.partition("/")
        _check_architecture(arch)
        weights = _find_weights(arch, pretrained)
        self.network = _load(arch, weights)
        self.tokenizer = open_clip.get_tokenizer(arch)
        self.image_tower = tower = ImageTower(self.network.visual, weights.recipe)
        self.strides, self.channels, self.joint_dim = tower.strides, tower.channels, tower.joint_dim
        self.token_size = self._words.shape[1]
        # The same weights make other features when they are used otherwise.
        quick_gelu = weights.recipe.quick_gelu or open_clip.get_model_config(arch).get("quick_gelu", False)
        used = {"image_mean": tower.mean, "image_std": tower.std, "quick_gelu": torch.tensor(quick_gelu)}
        self.fingerprint = Fingerprint(weights.name, hash_tensors(self.network.state_dict() | used), tower.image_size)
        self.device = device
        self.network.to(device)

    @property
    def _words(self) -> Tensor:
        """The embedding of every token of the vocabulary."""
        return self.network.text.token_embedding.weight

    @override
    def embed_words(self, text: str) -> Tensor:
        return self._words[self.tokenizer.encode(text)]

    @override
    def encode_prompts(self, prompts: Sequence[Tensor]) -> Tensor:
        text = self.network.text
        start, end = self._words[[self.tokenizer.sot_token_id, self.tokenizer.eot_token_id]]
        framed, present = frame_prompts(prompts, start, end, text.context_length)
        lengths = present.sum(1)
        if text.attn_mask is None:  # it looks ahead, and has learned to see the padding, token 0, up to its full length
            missing = text.context_length - framed.shape[1]
            present = pad(present, (0, missing))[..., None]
            framed = torch.where(present, pad(framed, (0, 0, 0, missing)), self._words[0])
        tokens = framed.shape[1]
        mask = text.attn_mask if text.attn_mask is None else text.attn_mask[:tokens, :tokens]
        states = text.transformer(framed + text.positional_embedding[:tokens], attn_mask=mask)
        sentences = text.ln_final(states)[torch.arange(len(prompts), device=lengths.device), lengths - 1]
        projection = text.text_projection
        return normalize(projection(sentences) if isinstance(projection, nn.Linear) else sentences @ projection, dim=-1)

    @override
    def vocabulary(self) -> tuple[list[str], Tensor]:
        whole = {t.removesuffix("</w>"): i for t, i in self.tokenizer.encoder.items() if t.endswith("</w>")}
        words = sorted(word for word in whole if word.isascii() and word.isalpha() and len(word) > 2)
        return words, self._words[[whole[word] for word in words]]


def _thin(features: Tensor) -> Tensor:
    """Every n-th channel of a map (B, C, h, w), so that there are at most ``MOST_CHANNELS``; contiguous.

    On maps as ConvNeXt lays them out, channels last, torch 2.11 crashes in a backward pass on the CPU.
    """
    return features[:, :: -(-features.shape[1] // MOST_CHANNELS)].contiguous()
