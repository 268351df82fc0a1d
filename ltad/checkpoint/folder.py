"""The checkpoint folder: ``config.json``, ``model.safetensors``, ``metrics.json``, ``README.md``. Strict, no pickle.

``config.json`` says what was trained on what; ``model.safetensors`` holds exactly what was learned. Loading builds the
model from the first and accepts the second only if every tensor is there, has its shape and is finite.
"""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ltad.checkpoint.calibration import calibration_of, values_of
from ltad.checkpoint.card import (
    CONFIG,
    HUB,
    MAX_TENSOR_FILE,
    METRICS,
    README,
    TENSORS,
    CheckpointCard,
    ClassCard,
    DataCard,
    Parent,
    called,
)
from ltad.checkpoint.formats import FORMAT_VERSION, values_of_today
from ltad.checkpoint.hub import from_the_hub
from ltad.checkpoint.readme import model_card
from ltad.config import LTADConfig, build_section
from ltad.errors import CheckpointError
from ltad.files import whole_file, write_text
from ltad.foundation.base import Fingerprint, FoundationModel
from ltad.judging.scoring import ScoreStatistics, neutral_statistics
from ltad.model.ltad import LTAD, build_model
from ltad.photos.levels import Levels
from ltad.words import nearest_first

KEYS = {"format_version", "config", "foundation", "classes", "data", "calibration", "parent"}
LEVELS = "levels"  # a further key, where photographs have more than 8 bits
STATISTICS = "statistics."  # prefix of the tensors that are not the model's


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A trained model with its statistics, ready to predict."""

    card: CheckpointCard
    model: LTAD
    statistics: ScoreStatistics


def checkpoint_folders() -> Iterator[Path]:
    """Every checkpoint folder below ``checkpoints/`` here, beside the package, or in it, in alphabetical order."""
    found = {path.parent.name: path.parent for root in _roots() for path in sorted(root.glob(f"*/{CONFIG}"))}
    yield from (found[name] for name in sorted(found))


def _roots() -> list[Path]:
    """Where checkpoints are looked for: here, in a checkout, and in an installed package, see ``setup.py``."""
    package = Path(__file__).parents[1]
    roots = (Path("checkpoints"), package.parent / "checkpoints", package / "shipped")
    return list(dict.fromkeys(root.resolve() for root in roots))


def find_checkpoint(name_or_folder: str | os.PathLike[str]) -> Path:
    """Find a checkpoint by its folder, by the name of one that ships, or on the Hub by hf://OWNER/NAME[@REVISION].

    CheckpointError says where it looked.
    """
    name = os.fspath(name_or_folder)
    if name.startswith(HUB):
        return from_the_hub(name)
    if Path(name, CONFIG).is_file():
        return Path(name)
    try:
        return shipped_checkpoint(name)
    except CheckpointError as error:
        places = ", ".join(f"“{root}”" for root in _roots())
        raise CheckpointError(
            f"{error} Looked for in {places}, and as a folder. Give the folder of one, or hf://OWNER/NAME of one on "
            "the Hugging Face Hub; “ltad train” and “ltad adapt” make one, and the project's repository has more."
        ) from error


def shipped_checkpoint(name: str) -> Path:
    """Find a checkpoint by the name of one that ships; CheckpointError names those, the nearest first."""
    folders = {folder.name: folder for folder in checkpoint_folders()}
    if name not in folders:
        existing = nearest_first(name, tuple(folders))
        raise CheckpointError(f"There is no checkpoint “{name}”; those that exist: {existing}.")
    return folders[name]


def read_card(folder: str | os.PathLike[str]) -> CheckpointCard:
    """Read everything but the tensors; CheckpointError says what is wrong."""
    folder = Path(folder)
    values = values_of_today(_read_json(folder / CONFIG))
    version = values.get("format_version")
    if version is None:
        raise CheckpointError(f"{called(folder)} is no LTAD checkpoint: its config.json is another program's.")
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{called(folder)} has format version {version!r}, this program reads {FORMAT_VERSION}: "
            "update the older one."
        )
    if values.keys() - {LEVELS} != KEYS:
        missing, unexpected = sorted(KEYS - values.keys()), sorted(values.keys() - KEYS - {LEVELS})
        raise CheckpointError(
            f"{called(folder)}/config.json has missing keys {missing} and unexpected keys {unexpected}."
        )
    metrics = _metrics(folder / METRICS)
    try:
        card = CheckpointCard(
            path=folder,
            calibration=calibration_of(values["calibration"]),
            metrics=metrics,
            config=LTADConfig.from_dict(values["config"]),
            foundation=build_section(Fingerprint, values["foundation"], "foundation"),
            classes=tuple(build_section(ClassCard, c, "classes") for c in values["classes"]),
            data=build_section(DataCard, {"broken": []} | values["data"], "data"),
            parent=None if values["parent"] is None else build_section(Parent, values["parent"], "parent"),
            levels={name: Levels(float(low), float(high)) for name, (low, high) in values.get(LEVELS, {}).items()},
        )
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise CheckpointError(f"{called(folder)}/config.json cannot be used: {error}.") from error
    names = set(card.class_names)
    if len(names) != len(card.classes) or set(card.calibration.classes) != names or not card.levels.keys() <= names:
        raise CheckpointError(f"{called(folder)}/config.json is calibrated for other classes than it lists.")
    return card


def _metrics(path: Path) -> dict[str, Any] | None:
    """``evaluate``'s table, if there is one."""
    if not path.exists():
        return None
    table = _read_json(path)
    rows = [table.get("classes"), table.get("mean")]
    if not all(isinstance(row, dict) and all(isinstance(figures, dict) for figures in row.values()) for row in rows):
        raise CheckpointError(f"{called(path.parent)}/{path.name} is not a table that “evaluate” wrote.")
    return table


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise CheckpointError(f"{called(path.parent)} is no checkpoint: {path.name} is missing.")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise CheckpointError(f"{called(path.parent)}/{path.name} is not valid JSON: {error}.") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{called(path.parent)}/{path.name} must hold an object.")
    return values


def refuse_to_replace(folder: Path, resume: bool, is_same: Callable[[CheckpointCard], bool]) -> None:
    """Raise CheckpointError where a folder holds a finished checkpoint that is not to be made once more.

    resume: whether it may be, if it is the same. is_same: says so of the card that is there.
    """
    if not (folder / CONFIG).exists():
        return
    if not resume:
        raise CheckpointError(
            f"“{folder}” holds a finished checkpoint, which stays: give another --output, or remove it; --resume makes "
            "it once more where all settings are the same."
        )
    if not is_same(read_card(folder)):
        raise CheckpointError(
            f"“{folder}” holds a finished checkpoint of other settings or images, which stays: give another --output, "
            "or remove it."
        )


def save_checkpoint(checkpoint: Checkpoint) -> None:
    """Write a checkpoint's folder, not measured yet; whatever checkpoint was there is gone.

    ``config.json`` goes first and comes last: a folder that has it is whole.
    """
    card = checkpoint.card
    card.path.mkdir(parents=True, exist_ok=True)
    for name in (CONFIG, METRICS):
        (card.path / name).unlink(missing_ok=True)
    tensors = checkpoint.model.state_dict()
    tensors |= _named(checkpoint.statistics)
    tensors = {name: _stored(tensor) for name, tensor in tensors.items()}
    with whole_file(card.path / TENSORS) as partial:
        save_file(tensors, partial)
    write_text(card.path / README, model_card(card))
    values = {
        "format_version": FORMAT_VERSION,
        "config": card.config.to_dict(),
        "foundation": card.foundation.to_dict(),
        "classes": [vars(c) for c in card.classes],
        "data": _data_values(card.data),
        "calibration": values_of(card.calibration),
        "parent": card.parent and vars(card.parent),
    } | ({LEVELS: dict(card.levels)} if card.levels else {})
    write_text(card.path / CONFIG, json.dumps(values, indent=1, ensure_ascii=False))


def _data_values(data: DataCard) -> dict[str, Any]:
    """As they are written; where nothing was broken nothing is said of it, as in every checkpoint of before."""
    return {key: value for key, value in vars(data).items() if key != "broken" or value}


def add_metrics(folder: Path, table: dict[str, Any]) -> None:
    """Write what ``evaluate`` measured into a checkpoint's folder, and into its model card."""
    write_text(folder / METRICS, json.dumps(table, indent=1))
    write_text(folder / README, model_card(read_card(folder)))


def _named(statistics: ScoreStatistics) -> dict[str, Tensor]:
    """The statistics as a file has them; of what is seen finely nothing where nothing is."""
    return {STATISTICS + name: tensor for name, tensor in statistics._asdict().items() if tensor.shape[1:].numel()}


def _stored(tensor: Tensor) -> Tensor:
    """Half precision, or whole numbers as they are."""
    return (tensor.half() if tensor.is_floating_point() else tensor).cpu().contiguous()


def load_checkpoint(name_or_folder: str | os.PathLike[str], foundation: FoundationModel) -> Checkpoint:
    """Load a checkpoint for the foundation model that it was trained on; CheckpointError says what does not fit."""
    return load_tensors(read_card(find_checkpoint(name_or_folder)), foundation)


def load_tensors(card: CheckpointCard, foundation: FoundationModel) -> Checkpoint:
    """Load the checkpoint of a card for the foundation model that it was trained on, as ``load_checkpoint`` does.

    It lies on the foundation model's device.
    """
    if card.foundation != foundation.fingerprint:
        raise CheckpointError(
            f"{card.name} was trained on {card.foundation.name} ({card.foundation.sha256[:8]}, "
            f"{card.foundation.image_size} px), but the foundation model here is {foundation.fingerprint.name} "
            f"({foundation.fingerprint.sha256[:8]}, {foundation.fingerprint.image_size} px)."
        )
    tensors = _read_tensors(card.path / TENSORS)
    try:
        model, statistics = untrained(card, foundation)
    except ValueError as error:
        raise CheckpointError(f"{card.name}/config.json cannot be used: {error}.") from error
    device = foundation.device
    expected = model.state_dict() | _named(statistics)
    _check_tensors(card.name, tensors, expected)
    model.load_state_dict({name: tensors[name] for name in model.state_dict()})
    model.to(device).eval().requires_grad_(False)
    known = {name: tensors[STATISTICS + name] for name in ScoreStatistics._fields if STATISTICS + name in tensors}
    statistics = statistics._replace(**known).to(device)
    spreads = (statistics.residual_variance, statistics.memory_std, statistics.std)
    if not all((spread > 0).all() for spread in (*spreads, statistics.fine_std, statistics.fine_gain)):
        raise CheckpointError(f"{card.name}/model.safetensors has a spread that is not positive.")
    return Checkpoint(card=card, model=model, statistics=statistics)


def untrained(card: CheckpointCard, foundation: FoundationModel) -> tuple[LTAD, ScoreStatistics]:
    """An untrained model and empty statistics, of the right shapes for the card's configuration and classes."""
    tokens = torch.zeros(len(card.classes), card.config.prompts.tokens, foundation.token_size)
    model = build_model(card.config, foundation, tokens)
    (h, w), memories, fine = model.patches.grid_size, len(model.memories), len(model.fine_memories)
    return model, neutral_statistics(len(card.classes), memories, model.patches.feature_dim, h * w, fine=fine)


def _read_tensors(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise CheckpointError(f"{called(path.parent)} is no checkpoint: {path.name} is missing.")
    if path.stat().st_size > MAX_TENSOR_FILE:
        raise CheckpointError(f"{called(path.parent)}/{path.name} is larger than {MAX_TENSOR_FILE // 1_000_000} MB.")
    try:
        return {name: t.float() if t.is_floating_point() else t for name, t in load_file(path).items()}
    except SafetensorError as error:
        raise CheckpointError(f"{called(path.parent)}/{path.name} is damaged: {error}.") from error


def _check_tensors(name: str, tensors: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Refuse missing, extra, misshapen or non-finite tensors, by name."""
    missing, extra = sorted(expected.keys() - tensors.keys()), sorted(tensors.keys() - expected.keys())
    if missing or extra:
        raise CheckpointError(f"{name}/model.safetensors has missing tensors {missing} and unexpected tensors {extra}.")
    for key, tensor in tensors.items():
        if tensor.shape != expected[key].shape:
            shapes = f"{tuple(tensor.shape)} instead of {tuple(expected[key].shape)}"
            raise CheckpointError(f"{name}/model.safetensors: {key} has the shape {shapes}.")
        if tensor.dtype != expected[key].dtype:
            raise CheckpointError(f"{name}/model.safetensors: {key} holds {tensor.dtype}, not {expected[key].dtype}.")
        if not tensor.isfinite().all():
            raise CheckpointError(f"{name}/model.safetensors: {key} has values that are not finite.")
