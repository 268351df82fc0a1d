"""How soon the reconstruction learns, by the optimiser and by how the rate ends: curves on the same features.

``python -m benchmarks.optimisers --data demo|DIR [--imbalance exp100] [--steps N ...] [--device D] --output FILE``

Only the reconstruction learns, on noised patches as in phase 2. Its own error is the score, UniAD's: the length of the
residual on the image's pixels, averaged over 16 x 16 of them, at its largest; nothing is standardised. Rivals:

- ``AdamW, cosine``: as the product trains; every length is a training of its own.
- ``AdamW``, ``Muon``: at a constant rate, with an average of the weights in the place of a decay, so that one training
  gives the curve. Muon takes the matrices of the hidden layers, AdamW the rest.

``--table FILE`` prints what a run wrote.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from benchmarks import command
from ltad.commands.progress import Bars
from ltad.config import LTADConfig
from ltad.data.longtail import long_tail, tail_classes
from ltad.data.sources import open_dataset
from ltad.evaluation.metrics import image_auroc
from ltad.files import write_text
from ltad.foundation import FoundationModel, load_foundation
from ltad.foundation.features import ENCODE_BATCH, Encoder, Features
from ltad.machine import in_words, settle
from ltad.model.losses import jitter, reconstruction_loss
from ltad.model.ltad import LTAD, build_model
from ltad.model.noise import normal_noise
from ltad.presets import default
from ltad.progress import Stage
from ltad.training.images import encode_samples
from ltad.training.optimisation import learning_rate_factor
from ltad.training.phases import draw_balanced

COSINE, CONSTANT, MUON = "AdamW, cosine", "AdamW", "Muon"
RIVALS = (COSINE, CONSTANT, MUON)
AVERAGE = 0.999  # how much of the averaged weights a step keeps
MUON_RATE = 0.01
POOL = 16  # pixels, UniAD's


def hidden_matrices(module: nn.Module) -> list[nn.Parameter]:
    """The weights of the layers within the transformer, which are neither its input nor its output."""
    within = [(name, p) for name, p in module.named_parameters() if name.startswith(("encoder.", "decoder."))]
    return [parameter for name, parameter in within if name.endswith("weight") and parameter.ndim == 2]


def optimisers_of(rival: str, module: nn.Module, config: LTADConfig) -> list[torch.optim.Optimizer]:
    """What changes the weights."""
    rate, decay = config.phase2.learning_rate, config.phase2.weight_decay
    if rival != MUON:
        return [torch.optim.AdamW(module.parameters(), rate, weight_decay=decay)]
    hidden = hidden_matrices(module)
    taken = {id(parameter) for parameter in hidden}
    rest = [parameter for parameter in module.parameters() if id(parameter) not in taken]
    muon = torch.optim.Muon(hidden, MUON_RATE, weight_decay=decay)
    return [muon, torch.optim.AdamW(rest, rate, weight_decay=decay)]


def learn(
    rival: str, model: LTAD, features: Features, config: LTADConfig, marks: Sequence[int], progress: Bars
) -> Iterator[tuple[int, nn.Module, float]]:
    """Train to the last mark; at each, give the step, the module to measure and the seconds of learning so far."""
    module, settings, steps = model.reconstruction, config.phase2, max(marks)
    generator = torch.Generator().manual_seed(config.seed)
    optimisers = optimisers_of(rival, module, config)
    rates = [[group["lr"] for group in each.param_groups] for each in optimisers]
    averaged = AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(AVERAGE))
    seconds, start = 0.0, time.perf_counter()
    for step in range(steps):
        factor = learning_rate_factor(step, steps) if rival == COSINE else min(1.0, (step + 1) / 50)
        for each, own in zip(optimisers, rates, strict=True):
            for group, rate in zip(each.param_groups, own, strict=True):
                group["lr"] = rate * factor
        with torch.autocast(model.device.type, torch.bfloat16, enabled=model.device.type == "cuda"):
            batch = features.batch(draw_balanced(features.class_ids, settings.batch_size, generator), model.device)
            patches = model.patches(model.patches.standardise(batch.maps))
            noise = normal_noise(patches.shape, generator, model.device)
            loss = reconstruction_loss(module(jitter(patches, settings.reconstruction_jitter, noise)), patches)
        module.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(module.parameters(), settings.gradient_clip)
        for each in optimisers:
            each.step()
        averaged.update_parameters(module)
        told = loss.item()
        progress(Stage(f"{rival}, {steps}"), step + 1, steps, told)
        if step + 1 in marks:
            seconds += time.perf_counter() - start
            yield step + 1, module if rival == COSINE else averaged.module, seconds
            start = time.perf_counter()


@torch.no_grad()
def errors(module: nn.Module, model: LTAD, features: Features, size: int) -> np.ndarray:
    """UniAD's score (n,) of images: how far off their reconstruction is where it is worst."""
    scores: list[Tensor] = []
    for chunk in torch.arange(len(features.class_ids)).split(ENCODE_BATCH):
        batch = features.batch(chunk, model.device)
        patches = model.patches(model.patches.standardise(batch.maps))
        lengths = (module(patches) - patches).norm(dim=-1).unflatten(1, model.patches.grid_size)
        maps = interpolate(lengths[:, None], (size, size), mode="bilinear", align_corners=False)
        scores.append(avg_pool2d(maps, POOL, stride=1).flatten(1).amax(1).cpu())
    return torch.cat(scores).numpy()


def measure(scores: np.ndarray, class_ids: np.ndarray, labels: np.ndarray, tail: set[int]) -> dict[str, float | None]:
    """Mean image AUROC over the classes, those of the head and those of the tail; None where there is none."""
    by_class = {}
    for class_id in np.unique(class_ids):
        own = class_ids == class_id
        if len(set(labels[own])) == 2:
            by_class[int(class_id)] = image_auroc(labels[own], scores[own])
    groups = {
        "all": list(by_class.values()),
        "head": [value for class_id, value in by_class.items() if class_id not in tail],
        "tail": [value for class_id, value in by_class.items() if class_id in tail],
    }
    return {name: float(np.mean(values)) if values else None for name, values in groups.items()}


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Encode once, and let every rival learn."""
    config = default().override(*options.settings)
    foundation, bars = load_foundation(device=options.device), Bars()
    split = long_tail(open_dataset(*options.data), options.imbalance, options.order)
    names, encoder = split.class_names, Encoder(foundation)
    train, test = (encode_samples(samples, names, encoder, bars) for samples in (split.train, split.test))
    labels = np.array([sample.label for sample in split.test])
    tail = {names.index(name) for name in tail_classes(split.train_counts)}
    rows = []
    for rival in RIVALS:
        lengths = [[mark] for mark in options.steps] if rival == COSINE else [options.steps]
        for marks in lengths:
            model = untrained(foundation, train, config, len(names))
            for step, module, seconds in learn(rival, model, train, config, marks, bars):
                scores = errors(module, model, test, foundation.fingerprint.image_size)
                found = measure(scores, test.class_ids.numpy(), labels, tail)
                rows.append({"optimiser": rival, "steps": step, "seconds": seconds, **found})
                print(rows[-1], file=sys.stderr, flush=True)
    bars.close()
    header = {"data": split.name, "imbalance": options.imbalance, "on": in_words(foundation.device)}
    return {"header": header | {"config": config.to_dict()}, "rows": rows}


def untrained(foundation: FoundationModel, features: Features, config: LTADConfig, classes: int) -> LTAD:
    """A model that knows the channels of its features, and nothing else."""
    torch.manual_seed(config.seed)
    tokens = torch.zeros(classes, config.prompts.tokens, foundation.token_size)
    model = build_model(replace(config, memory=replace(config.memory, per_class=0)), foundation, tokens)
    model.patches.learn_channels(features.maps, features.class_ids)
    return model.to(foundation.device)


def format_curves(results: dict[str, Any]) -> str:
    """The figures as Markdown, in per cent."""
    lines = ["| optimiser | steps | image AUROC, all | head | tail | ms a step |", "|" + " --- |" * 6]
    for row in results["rows"]:
        figures = ["n/a" if row[key] is None else f"{100 * row[key]:.1f}" for key in ("all", "head", "tail")]
        each = 1000 * row["seconds"] / row["steps"]
        lines.append(f"| {row['optimiser']} | {row['steps']} | {' | '.join(figures)} | {each:.0f} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print, or print again."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = command.parser("optimisers", "How soon the reconstruction learns.", "optimisers.json")
    command.add_tail(parser)
    parser.add_argument("--steps", type=int, nargs="+", default=[500, 1000, 2000], metavar="N")
    options = parser.parse_args(arguments)
    settle()
    with command.plainly("optimisers"):
        if options.data:
            write_text(options.output, json.dumps(run(options)))
        print(format_curves(command.written(options.table or options.output)))


if __name__ == "__main__":
    main()
