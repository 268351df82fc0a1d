"""What a GPU gives, in one run of a few minutes: the same verdicts, how many images, and how many steps a second.

``python -m benchmarks.gpu [--device cuda] [--quick] [--json FILE]``

Parity is that of the shipped checkpoints on their examples, beside the same checkpoint on the CPU. Towers are timed
with real weights where they are here (align-mini) and with random ones else, since weights change no time; a batch is
in host memory before and its features are on the device after. A step of phase 2 is one of ``ltad train``, on random
features.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from open_clip import create_model
from PIL import ImageOps
from torch import Tensor, nn
from transformers import AlignConfig, AlignModel

from benchmarks.cost import machine
from ltad.checkpoint.folder import checkpoint_folders, read_card
from ltad.config import LTADConfig
from ltad.foundation import DEFAULT, FoundationModel, align, align_mini, load_foundation
from ltad.foundation import open_clip as clip
from ltad.foundation.engine import TorchEngine
from ltad.foundation.features import Features
from ltad.inspection.predictor import Predictor
from ltad.machine import AUTO, CPU, DEVICES, choose_device, in_words, settle
from ltad.model.ltad import build_model
from ltad.photos.decode import open_photo
from ltad.presets import default
from ltad.progress import quiet
from ltad.training.optimisation import optimise
from ltad.training.phases import phase2

EXAMPLES = Path(__file__).parent.parent / "assets" / "examples"
IMAGES = 50  # of each checkpoint, at most
OPEN_CLIP = ("ViT-B-16", "ViT-L-14", "convnext_base")
BATCHES = (1, 16, 64)
SIZES = {"128 x 1": (128, 1, 4), "256 x 4": (256, 4, 8)}  # dim x layers, and heads: ours, UniAD's
STEP_BATCHES = (8, 64)
CLASSES, TRAINED = 12, 256  # of the features on which steps are timed


def parity(device: torch.device, most: int) -> list[dict[str, Any]]:
    """How far the scores and maps of every checkpoint's examples on a device are from those on the CPU."""
    rows = []
    upright = [open_photo(path).image for path in sorted(EXAMPLES.glob("*.jpg"))]
    pictures = [*upright, *map(ImageOps.mirror, upright)][:most]
    foundations = [load_foundation(DEFAULT, where) for where in (CPU, device)]
    for folder in checkpoint_folders():
        card = read_card(folder)
        if card.foundation != foundations[0].fingerprint:
            continue
        here, there = (Predictor.from_checkpoint(folder, foundation) for foundation in foundations)
        pairs = [(here.predict(picture), there.predict(picture)) for picture in pictures]
        rows.append(
            {
                "checkpoint": card.name,
                "images": len(pairs),
                "score_apart": max(abs(a.image_score - b.image_score) for a, b in pairs),
                "map_apart": max(float(abs(a.patch_maps["all"] - b.patch_maps["all"]).max()) for a, b in pairs),
                "same_verdicts": sum(
                    (a.judgement.verdict, a.class_name) == (b.judgement.verdict, b.class_name) for a, b in pairs
                ),
            }
        )
    return rows


def towers(quick: bool) -> Iterator[tuple[str, int, nn.Module]]:
    """Name, image size and module of each image tower; quick: only the one that is here."""
    yield DEFAULT, align_mini.IMAGE_SIZE, align_mini.AlignMini().image_tower
    if quick:
        return
    yield "align", align.IMAGE_SIZE, align.ImageTower(AlignModel(AlignConfig()).eval().vision_model)
    for arch in OPEN_CLIP:
        tower = clip.ImageTower(create_model(arch).eval().visual, clip.Recipe())
        yield f"open_clip:{arch}", tower.image_size, tower


def encoding(device: torch.device, quick: bool) -> list[dict[str, Any]]:
    """Images a second of every tower, by the size of a batch."""
    rows = []
    for name, size, tower in towers(quick):
        engine = TorchEngine(tower.eval(), size, device)
        row: dict[str, Any] = {"tower": name, "pixels": size, "engine": engine.name}
        for batch in BATCHES[:2] if quick else BATCHES:
            images = torch.rand(batch, 3, size, size)
            seconds = seconds_each(partial(engine, images), device, 3 if quick else 20)
            row[f"batch_{batch}_per_second"] = batch / seconds
        rows.append(row)
    return rows


def seconds_each(task: Callable[[], object], device: torch.device, times: int) -> float:
    """Seconds of one of many runs in a row, after two that warm up."""
    for _ in range(2):
        task()
    _wait(device)
    start = time.perf_counter()
    for _ in range(times):
        task()
    _wait(device)
    return (time.perf_counter() - start) / times


def _wait(device: torch.device) -> None:
    """Until a device has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def random_features(foundation: FoundationModel, images: int) -> Features:
    """Features of so many images of ``CLASSES`` classes, as the default foundation model would give them."""
    sides = [foundation.fingerprint.image_size // stride for stride in foundation.strides]
    maps = [torch.rand(images, c, s, s).half() for c, s in zip(foundation.channels, sides, strict=True)]
    return Features(tuple(maps), torch.rand(images, foundation.joint_dim), torch.arange(images) % CLASSES)


def stepping(device: torch.device, quick: bool) -> list[dict[str, Any]]:
    """Steps a second of phase 2, and the memory that they take on a GPU."""
    foundation = load_foundation(DEFAULT, device)
    features = random_features(foundation, 32 if quick else TRAINED)
    counts = {f"class {k}": TRAINED // CLASSES for k in range(CLASSES)}
    rows = []
    for name, (dim, depth, heads) in SIZES.items():
        for batch in STEP_BATCHES[:1] if quick else STEP_BATCHES:
            config = default()
            size = replace(config.reconstruction, dim=dim, depth=depth, heads=heads)
            config = replace(config, reconstruction=size, phase2=replace(config.phase2, batch_size=batch))
            if device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(device)
            seconds = _step_seconds(features, foundation, counts, config, 3 if quick else 100)
            peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
            rows.append({"size": name, "batch": batch, "steps_per_second": 1 / seconds, "peak_bytes": peak})
    return rows


def _step_seconds(
    features: Features, foundation: FoundationModel, counts: dict[str, int], config: LTADConfig, steps: int
) -> float:
    """Seconds of a step, the first ones not counted."""
    device = foundation.device
    tokens: Tensor = torch.zeros(CLASSES, config.prompts.tokens, foundation.token_size)
    model = build_model(config, foundation, tokens).to(device)
    model.text_features.normal_()
    for count in (2, steps):
        timed = replace(config, phase2=replace(config.phase2, steps=count))
        task = phase2(model, features, counts, timed, None)
        _wait(device)
        start = time.perf_counter()
        optimise(task, 0, None, quiet)
        _wait(device)
    return (time.perf_counter() - start) / steps


def format_gpu(found: dict[str, Any]) -> str:
    """The figures as Markdown."""
    lines = [f"{found['device']}, torch {found['machine']['torch']}; {found['seconds']:.0f} s in all.", ""]
    lines += ["| checkpoint | images | scores apart | maps apart | same verdict and class |", "|" + " --- |" * 5]
    for row in found["parity"]:
        apart = f"{row['score_apart']:.1e} | {row['map_apart']:.1e}"
        lines.append(f"| {row['checkpoint']} | {row['images']} | {apart} | {row['same_verdicts']} |")
    batches = [key for key in found["towers"][0] if key.startswith("batch_")]
    heads = [f"images a second, batch of {key.split('_')[1]}" for key in batches]
    lines += ["", f"| image tower | pixels | {' | '.join(heads)} |", "|" + " --- |" * (2 + len(heads))]
    for row in found["towers"]:
        lines.append(f"| {row['tower']} | {row['pixels']} | {' | '.join(f'{row[key]:.0f}' for key in batches)} |")
    lines += ["", "| phase 2 | batch | steps a second | images a second | memory, MB |", "|" + " --- |" * 5]
    for row in found["phase2"]:
        peak = "n/a" if row["peak_bytes"] is None else f"{row['peak_bytes'] / 1e6:.0f}"
        rate = row["steps_per_second"]
        lines.append(f"| {row['size']} | {row['batch']} | {rate:.1f} | {rate * row['batch']:.0f} | {peak} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables, and write the figures as JSON where asked."""
    parser = argparse.ArgumentParser(description="What a GPU gives.")
    parser.add_argument("--device", default=AUTO, metavar=DEVICES)
    parser.add_argument("--quick", action="store_true", help="little of everything, to see that it works")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    settle()
    device, start = choose_device(options.device), time.perf_counter()
    found: dict[str, Any] = {"device": in_words(device), "machine": machine()}
    found["parity"] = parity(device, 2 if options.quick else IMAGES)
    found["towers"] = encoding(device, options.quick)
    found["phase2"] = stepping(device, options.quick)
    found["seconds"] = time.perf_counter() - start
    print(format_gpu(found))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
