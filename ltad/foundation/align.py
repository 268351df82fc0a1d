"""``align``: ALIGN base, the paper's foundation model, through transformers.

EfficientNet-B7 sees and BERT base reads; the image tower's pooled output lies in the joint space already.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from transformers import AlignConfig, AlignModel, AutoConfig, AutoTokenizer, PreTrainedTokenizerBase
from typing_extensions import override

from ltad.errors import FoundationError
from ltad.foundation.base import Fingerprint, FoundationModel
from ltad.foundation.hub import fetch
from ltad.foundation.towers import choose_maps, frame_prompts, hash_tensors
from ltad.machine import CPU

REPOSITORY = "kakaobrain/align-base"
# pixels, both sides. ALIGN was trained on crops of 289, but a crop would lose defects at the border, and 289 is no
# multiple of the deepest stride, 32. At 256 the grids are those of align-mini, for which the settings were chosen.
IMAGE_SIZE = 256


def _fetch() -> Path:
    """The folder of the hub's files, the safe form of the weights where the hub has it."""
    otherwise = (
        f"fetch it where there is one with “hf download {REPOSITORY} --local-dir DIR” and name the folder: align:DIR"
    )
    folder = fetch(REPOSITORY, "*.json", "*.txt", "model.safetensors", otherwise=otherwise)
    if not (folder / "model.safetensors").is_file():
        folder = fetch(REPOSITORY, "pytorch_model.bin", otherwise=otherwise)
    return folder


def _load(folder: Path) -> tuple[AlignModel, PreTrainedTokenizerBase]:
    """Read a folder in the layout that ``save_pretrained`` writes; every weight must be there."""
    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        if not (folder / "config.json").is_file():
            raise FileNotFoundError("config.json is missing")
        config = AutoConfig.from_pretrained(folder, **local)
        if not isinstance(config, AlignConfig):
            raise TypeError(f"config.json describes a model of type {config.model_type}")
        loaded: Any = AlignModel.from_pretrained(
            folder, config=config, dtype=torch.float32, output_loading_info=True, ignore_mismatched_sizes=False, **local
        )
        model, told = loaded
        if told["missing_keys"]:
            raise ValueError(f"weights are missing: {', '.join(sorted(told['missing_keys'])[:3])}")
        tokenizer = AutoTokenizer.from_pretrained(folder, **local)
    except Exception as error:  # whatever foreign files provoke
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".:")
        raise FoundationError(
            f"“{folder}” holds no ALIGN model as save_pretrained writes it ({reason}): name the folder of “hf download "
            f"{REPOSITORY} --local-dir DIR” as align:DIR, or take “align” from the hub."
        ) from error
    return model.eval().requires_grad_(False), tokenizer


class ImageTower(nn.Module):
    """ALIGN's EfficientNet: the last map of each stride, and the pooled output."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network
        with torch.no_grad():
            maps, embedding = self._see(torch.zeros(1, 3, IMAGE_SIZE, IMAGE_SIZE))
        self.chosen, self.strides = choose_maps(maps, IMAGE_SIZE)
        self.channels = tuple(maps[index].shape[1] for index in self.chosen)
        self.joint_dim = embedding.shape[1]

    def _see(self, images: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        """What every block makes of images in [0, 1], and the pooled output (B, J)."""
        seen = self.network(pixel_values=images * 2 - 1, output_hidden_states=True)
        return seen.hidden_states, seen.pooler_output

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Give the chosen maps, then the embedding, of images in [0, 1]."""
        maps, embedding = self._see(images)
        return *(maps[index] for index in self.chosen), normalize(embedding, dim=-1)


class Align(FoundationModel):
    """ALIGN from the hub, or from a local folder; both have the same fingerprint if they hold the same weights."""

    image_tower: ImageTower

    def __init__(self, folder: str = "", device: torch.device = CPU) -> None:
        self.network, self.tokenizer = _load(Path(folder) if folder else _fetch())
        self.fingerprint = Fingerprint("align", hash_tensors(self.network.state_dict()), IMAGE_SIZE)
        self.image_tower = ImageTower(self.network.vision_model)
        self.strides, self.channels = self.image_tower.strides, self.image_tower.channels
        self.joint_dim, self.token_size = self.image_tower.joint_dim, self._words.shape[1]
        self.device = device
        nn.Module.to(self.network, device)

    @property
    def _words(self) -> Tensor:
        """The embedding of every token of the vocabulary."""
        return self.network.text_model.embeddings.word_embeddings.weight

    @override
    def embed_words(self, text: str) -> Tensor:
        return self._words[self.tokenizer(text, add_special_tokens=False).input_ids]

    @override
    def unread_words(self, text: str) -> list[str]:
        unknown = self.tokenizer.unk_token_id
        return [word for word in text.split() if unknown in self.tokenizer(word, add_special_tokens=False).input_ids]

    @override
    def encode_prompts(self, prompts: Sequence[Tensor]) -> Tensor:
        start, end = self._words[[self.tokenizer.cls_token_id, self.tokenizer.sep_token_id]]
        most = self.network.text_model.config.max_position_embeddings
        framed, present = frame_prompts(prompts, start, end, most)
        states = self.network.text_model(inputs_embeds=framed, attention_mask=present.to(framed)).last_hidden_state
        return normalize(self.network.text_projection(states[:, 0]), dim=-1)

    @override
    def vocabulary(self) -> tuple[list[str], Tensor]:
        ids = {w: i for w, i in self.tokenizer.get_vocab().items() if w.isalpha() and len(w) > 2}
        words = sorted(ids)
        return words, self._words[[ids[word] for word in words]]
