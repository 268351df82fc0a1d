"""What the paper's reconstruction is worth when it is trained to its end: curves of recipes, on the same features.

``python -m benchmarks.recipes --data demo|DIR [--imbalance exp100] [--steps N ...] [--recipes NAME ...] --output FILE``

Only the reconstruction learns, of all classes alike, on noised patches as in phase 2; at a constant rate, with an
average of the weights in the place of a decay, so that one training gives the whole curve. The error is read in four
ways, by class and as means:

- ``maximum``: UniAD's. The length of the residual on the image's pixels, averaged over 16 x 16 of them, at its largest.
- ``highest``: the mean length over the highest patches, as many as the product takes.
- ``place``: the same, each place standardised by the class's training images. They were learned from, which flatters
  every recipe alike.
- ``pixel``: pixel AUROC of what is standardised by place.

``--resume`` keeps the recipes that FILE has; ``--table FILE`` prints it, and ``--figure PICTURE`` draws it.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, dropout, interpolate, mse_loss
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from benchmarks import command
from benchmarks.tables import COLOURS, DPI
from ltad.commands.progress import Bars
from ltad.config import LTADConfig
from ltad.data import Dataset
from ltad.data.longtail import long_tail, tail_classes
from ltad.data.sources import open_dataset
from ltad.evaluation.metrics import image_auroc, pixel_auroc
from ltad.files import whole_file, write_text
from ltad.foundation import FoundationModel, load_foundation
from ltad.foundation.features import ENCODE_BATCH, Encoder, Features
from ltad.judging.scoring import image_scores, smooth
from ltad.judging.statistics import MapSums, place_statistics, pooled_spread
from ltad.machine import in_words, settle
from ltad.model.losses import jitter
from ltad.model.ltad import LTAD, build_model
from ltad.model.noise import normal_noise
from ltad.model.prompts import start_tokens
from ltad.photos.frame import resize_mask
from ltad.presets import default
from ltad.progress import Stage
from ltad.training.images import encode_samples
from ltad.training.optimisation import Optimisation
from ltad.training.phases import draw_balanced, phase2_groups

AVERAGE = 0.999  # how much of the averaged weights a step keeps
WARM_UP = 50  # steps
POOL = 16  # pixels, UniAD's
EASY = 0.5  # of the patches of a batch that a loss of the hard ones leaves out
READINGS = ("maximum", "highest", "place", "pixel")
WIDTH, HEIGHT = 8, 4  # inches


class Recipe(NamedTuple):
    """The default with these changes; dropout: of the noised channels; hard: easy patches count nothing."""

    settings: tuple[str, ...] = ()
    dropout: float = 0.0
    hard: bool = False


MUON = "phase2.optimiser=muon"
PACKED = (MUON, "reconstruction.pack=2", "reconstruction.neighbourhood=3")
RECIPES = {
    "AdamW": Recipe(),
    "Muon": Recipe((MUON,)),
    "2 × 2 patches a token": Recipe(PACKED),
    "… and patches as they are": Recipe((*PACKED, "patches.pool=1")),
    "… and UniAD's noise": Recipe((*PACKED, "phase2.reconstruction_jitter=20")),
    "… and no mask": Recipe((*PACKED, "reconstruction.neighbourhood=0")),
    "… and dropout": Recipe(PACKED, dropout=0.2),
    "… and hard patches alone": Recipe(PACKED, hard=True),
    "… and UniAD's size": Recipe(
        (*PACKED, "reconstruction.dim=256", "reconstruction.depth=4", "reconstruction.heads=8")
    ),
}


class Tested(NamedTuple):
    """What a module is measured on: test images' features, their labels (n,) and masks (n), None where unknown."""

    features: Features
    labels: np.ndarray
    masks: list[np.ndarray | None]


def learn(
    name: str, model: LTAD, features: Features, config: LTADConfig, marks: Sequence[int], progress: Bars
) -> Iterator[tuple[int, nn.Module, float, float]]:
    """Train to the last mark; at each, give the step, the averaged module, and the seconds and the loss so far."""
    module, settings, recipe = model.reconstruction, config.phase2, RECIPES[name]
    generator = torch.Generator().manual_seed(config.seed)

    def loss_of(generator: torch.Generator) -> Tensor:
        batch = features.batch(draw_balanced(features.class_ids, settings.batch_size, generator), model.device)
        patches = patches_of(model, batch)
        noised = jitter(patches, settings.reconstruction_jitter, normal_noise(patches.shape, generator, model.device))
        errors = mse_loss(module(dropout(noised, recipe.dropout)), patches, reduction="none").mean(-1)
        if recipe.hard:
            errors = errors.flatten().topk(round((1 - EASY) * errors.numel())).values
        return errors.mean()

    groups, muon_groups = phase2_groups(module, module, settings)
    stage = Stage(name)
    task = Optimisation(
        stage, max(marks), module, groups, loss_of, weight_decay=settings.weight_decay, muon_groups=muon_groups
    )
    optimisers = task.optimisers()
    every = [group for each in optimisers for group in each.param_groups]
    rates = [group["lr"] for group in every]
    averaged = AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(AVERAGE))
    seconds, start = 0.0, time.perf_counter()
    for step in range(1, task.steps + 1):
        for group, rate in zip(every, rates, strict=True):
            group["lr"] = rate * min(1.0, step / WARM_UP)
        with torch.autocast(model.device.type, torch.bfloat16, enabled=model.device.type == "cuda"):
            loss = task.loss(generator)
        module.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(task.parameters, settings.gradient_clip)
        for each in optimisers:
            each.step()
        averaged.update_parameters(module)
        told = loss.item()
        progress(stage, step, task.steps, told)
        if step in marks:
            seconds += time.perf_counter() - start
            yield step, averaged.module, seconds, told
            start = time.perf_counter()


def patches_of(model: LTAD, batch: Features) -> Tensor:
    """Patches (B, N, D) as the modules see them."""
    return model.patches(model.patches.standardise(batch.maps))


@torch.no_grad()
def over_patches(model: LTAD, features: Features, say: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """What is said (B, N) of the patches (B, N, D) of images of classes (B,), of all images: (n, N), in host memory."""
    said = []
    for chunk in torch.arange(len(features.class_ids)).split(ENCODE_BATCH):
        batch = features.batch(chunk, model.device)
        said.append(say(patches_of(model, batch), batch.class_ids).cpu())
    return torch.cat(said)


def errors(module: nn.Module, model: LTAD, features: Features) -> Tensor:
    """How far off the reconstruction of every patch is: (n, N), in host memory."""
    return over_patches(model, features, lambda patches, _: (module(patches) - patches).norm(dim=-1))


def measure(
    module: nn.Module, model: LTAD, train: Features, tested: Tested, config: LTADConfig, size: int
) -> dict[int, dict[str, float | None]]:
    """Every reading of every class (by its number); None where it is undefined."""
    grid, sigma = model.patches.grid_size, config.scoring.smoothing
    raw, usual = (errors(module, model, features) for features in (tested.features, train))
    pixels = [_on_pixels(rows.unflatten(1, grid), size) for rows in raw.split(ENCODE_BATCH)]
    maximum = torch.cat([avg_pool2d(each, POOL, stride=1).flatten(1).amax(1) for each in pixels])
    smoothed, usual = (smooth(rows.unflatten(1, grid), sigma).flatten(1) for rows in (raw, usual))
    ids, measured = tested.features.class_ids, {}
    by_place = placed(smoothed, ids, usual, train.class_ids)
    for class_id in ids.unique().tolist():
        rows = (ids == class_id).nonzero()[:, 0]
        top = config.scoring.top_fraction
        scores = {
            "maximum": maximum[rows],
            "highest": image_scores(smoothed[rows], top),
            "place": image_scores(by_place[rows], top),
        }
        labels = tested.labels[rows.numpy()]
        row: dict[str, float | None] = dict.fromkeys(READINGS)
        if len(set(labels)) == 2:
            row |= {reading: image_auroc(labels, each.numpy()) for reading, each in scores.items()}
        known = [i for i, index in enumerate(rows.tolist()) if tested.masks[index] is not None]
        masks = [mask for index in rows.tolist() if (mask := tested.masks[index]) is not None]
        if any(mask.any() for mask in masks):
            maps = _on_pixels(by_place[rows[known]].unflatten(1, grid), size)[:, 0].numpy()
            row["pixel"] = pixel_auroc(masks, list(maps))
        measured[class_id] = row
    return measured


def placed(maps: Tensor, class_ids: Tensor, usual: Tensor, usual_ids: Tensor) -> Tensor:
    """Maps (n, N) of images of these classes (n,), each place standardised by usual ones (m, N) of the same classes."""
    sums = {k: MapSums.of(usual[usual_ids == k][:, None]) for k in usual_ids.unique().tolist()}
    pooled, standardised = pooled_spread(list(sums.values())), torch.empty_like(maps)
    for class_id in class_ids.unique().tolist():
        mean, std = place_statistics(sums[class_id], pooled)
        own = class_ids == class_id
        standardised[own] = (maps[own] - mean[0]) / std[0]
    return standardised


def _on_pixels(maps: Tensor, size: int) -> Tensor:
    """Maps (B, h, w) on the image's pixels: (B, 1, size, size)."""
    return interpolate(maps[:, None], (size, size), mode="bilinear", align_corners=False)


def run(options: argparse.Namespace) -> None:
    """Encode once, let every recipe learn, and write what is known after each."""
    foundation, bars = load_foundation(device=options.device), Bars()
    split = long_tail(open_dataset(*options.data), options.imbalance, options.order)
    header = {"data": split.name, "imbalance": options.imbalance, "order": options.order, "steps": options.steps}
    header |= {"on": in_words(foundation.device), "config": default().override(*options.settings).to_dict()}
    rows = command.finished(options.output, header, "rows") if options.resume else []
    encoder, size = Encoder(foundation), foundation.fingerprint.image_size
    train = encode_samples(split.train, split.class_names, encoder, bars)
    tested = Tested(
        encode_samples(split.test, split.class_names, encoder, bars),
        np.array([sample.label for sample in split.test]),
        [_mask(split, index, size) for index in range(len(split.test))],
    )
    tail = tail_classes(split.train_counts)
    for name in options.recipes:
        if any(row["recipe"] == name for row in rows):
            continue
        config = default().override(*options.settings, *RECIPES[name].settings)
        model, own = untrained(foundation, train, config, split.class_names), []
        for step, module, seconds, loss in learn(name, model, train, config, options.steps, bars):
            measured = measure(module, model, train, tested, config, size)
            classes = {split.class_names[k]: row for k, row in measured.items()}
            own.append({"recipe": name, "steps": step, "seconds": round(seconds, 3), "loss": round(loss, 4)})
            own[-1] |= {"mean": means(classes, tail), "classes": classes}
            print(name, step, own[-1]["mean"], file=sys.stderr, flush=True)
        rows += own
        write_text(options.output, json.dumps({"header": header, "rows": rows}, indent=1))
    bars.close()


def means(
    classes: Mapping[str, dict[str, float | None]], tail: Collection[str], readings: Sequence[str] = READINGS
) -> dict[str, dict[str, float | None]]:
    """The means of every reading over all classes, head and tail; None where there are none."""
    groups = {"all": list(classes), "head": [n for n in classes if n not in tail], "tail": list(tail)}
    found: dict[str, dict[str, float | None]] = {}
    for group, names in groups.items():
        found[group] = {}
        for reading in readings:
            known = [value for name in names if (value := classes[name][reading]) is not None]
            found[group][reading] = float(np.mean(known)) if known else None
    return found


def _mask(split: Dataset, index: int, size: int) -> np.ndarray | None:
    sample = split.test[index]
    if not sample.label:
        return np.zeros((size, size), dtype=bool)
    return None if sample.read_mask is None else resize_mask(sample.read_mask(), size, size)


def untrained(foundation: FoundationModel, features: Features, config: LTADConfig, class_names: Sequence[str]) -> LTAD:
    """A model that knows the channels of its features, and nothing else."""
    p, generator = config.prompts, torch.Generator().manual_seed(config.seed)
    tokens = start_tokens(foundation, class_names, tokens=p.tokens, start=p.start, spread=p.spread, generator=generator)
    torch.manual_seed(config.seed)
    model = build_model(replace(config, memory=replace(config.memory, per_class=0)), foundation, tokens)
    model.patches.learn_channels(features.maps, features.class_ids)
    return model.to(foundation.device)


def format_curves(results: dict[str, Any]) -> str:
    """The figures as Markdown, in per cent."""
    heads = ["recipe", "steps", *(f"{reading}, all" for reading in READINGS), "place, head", "tail", "ms a step"]
    lines = [f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads)]
    for row in results["rows"]:
        mean = row["mean"]
        figures = [*(mean["all"][reading] for reading in READINGS), mean["head"]["place"], mean["tail"]["place"]]
        told = ["n/a" if figure is None else f"{100 * figure:.1f}" for figure in figures]
        cells = [row["recipe"], str(row["steps"]), *told, f"{1000 * row['seconds'] / row['steps']:.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(results: dict[str, Any], path: Path) -> None:
    """Draw image AUROC by UniAD's reading and by place over the steps."""
    names = list(dict.fromkeys(row["recipe"] for row in results["rows"]))
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, HEIGHT), sharey=True, layout="constrained")
    for axis, reading in zip(axes, ("maximum", "place"), strict=True):
        for number, name in enumerate(names):
            points = [
                (row["steps"], 100 * row["mean"]["all"][reading]) for row in results["rows"] if row["recipe"] == name
            ]
            steps, values = zip(*points, strict=True)
            style = "-" if number < len(COLOURS) else "--"
            axis.plot(steps, values, style, color=COLOURS[number % len(COLOURS)], marker=".", label=name)
        axis.set(xscale="log", xlabel="steps", title={"maximum": "its own error", "place": "by place"}[reading])
    axes[0].set_ylabel("image AUROC, %")
    axes[1].legend(fontsize=7)
    with whole_file(path) as partial:
        figure.savefig(partial, dpi=DPI, format=path.suffix.removeprefix("."))
    plt.close(figure)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print, or print again."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = command.parser("recipes", "What the reconstruction is worth, trained to its end.", "recipes.json")
    command.add_tail(parser)
    parser.add_argument("--steps", type=int, nargs="+", default=[250, 500, 1000, 2000, 4000, 8000], metavar="N")
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES), choices=RECIPES, metavar="NAME")
    command.add_resume(parser)
    parser.add_argument("--figure", type=Path, metavar="PICTURE", help="draw the curves, too")
    options = parser.parse_args(arguments)
    settle()
    command.carry_out("recipes", options, run, format_curves, draw)


if __name__ == "__main__":
    main()
