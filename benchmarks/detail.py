"""What a finer look finds in large photographs, beside the same of a patch k-NN: whole, larger, and in tiles.

``python -m benchmarks.detail --data DIR [--details 1 2 4] [--seeds 0 1 2] --output FILE``

A seed draws ``SHARE`` of each class's training images. On these a checkpoint of each detail is trained; it predicts the
class of a test photograph, and what it sees finely is measured alone, too. The k-NN is told the class, and sees the
whole frame squeezed to a square, that of the tower and one of twice its side, and the photograph in tiles of the
tower's size, each an image of its own, as is usual. Pixels are measured at the same size for all. Found: at a threshold
that the good test photographs set, at 5 % of false alarms. FILE is written after every method, and ``--resume`` goes on
with it; ``--table FILE`` prints it.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from benchmarks import command
from benchmarks.compare import describe_run, describe_split, train_ltad, without_masks
from benchmarks.detectors import CANDIDATES, NEIGHBOURHOOD
from benchmarks.tables import markdown
from ltad.commands.progress import Bars
from ltad.data import Dataset, Sample
from ltad.data.sources import open_dataset
from ltad.evaluation import metrics
from ltad.evaluation.scored import ScoredClass
from ltad.evaluation.table import evaluate
from ltad.files import write_text
from ltad.foundation import FoundationModel, load_foundation
from ltad.foundation.features import Encoder, Views
from ltad.foundation.store import FeatureFolder
from ltad.inspection.predictor import Predictor, ScoredBatch
from ltad.judging.scoring import FINE
from ltad.machine import settle
from ltad.model.memory import nearest_distance, spread_out
from ltad.photos.frame import fine_size, map_to_image, measured_size, resize_mask, to_bytes
from ltad.presets import default
from ltad.words import percent

SHARE = 0.8  # of the training images that a seed draws
STRIDE = 16  # of the maps that the k-NN looks at
KEPT = 4_096  # patches of a class
TOP = 0.01  # of the patches make an image's score
RATE = 0.05
FIGURES = {
    "image_auroc": "image AUROC",
    "found_at_best": "found",
    "pixel_auroc": "pixel AUROC",
    "aupro_05": "AUPRO@0.05",
}

FIRST = ("image_auroc", "found_at_best")

See = Callable[[Sample], Tensor]  # a photograph's map (C, h, w), its whole frame


def run(options: argparse.Namespace) -> None:
    """Measure every method on the images of every seed."""
    config, foundation, bars = default().override(*options.settings), load_foundation(device=options.device), Bars()
    dataset = open_dataset(*options.data)
    header = describe_run(dataset, "alphabetical", foundation, config) | {"share": SHARE}
    runs = command.finished(options.output, header) if options.resume else []
    done = {(each["seed"], each["method"]) for each in runs}

    def keep(seed: int, method: str, classes: dict[str, dict[str, Any]], seconds: float) -> None:
        rows = {name: {key: row[key] for key in FIGURES} for name, row in classes.items()}
        runs.append({"seed": seed, "method": method, "classes": rows, "seconds": round(seconds, 1)})
        write_text(options.output, json.dumps({"header": header, "runs": runs}, indent=1))
        print(seed, method, means(rows), file=sys.stderr, flush=True)

    with TemporaryDirectory() as folder:
        store = FeatureFolder(Path(folder, "features"))
        for seed in options.seeds:
            drawn = draw(dataset, seed)
            for name, see in looks(foundation).items():
                if (seed, name) not in done:
                    start = time.perf_counter()
                    keep(seed, name, neighbours(drawn, see, seed), time.perf_counter() - start)
            for times in options.details:
                name = f"LTAD, detail {times}"
                if (seed, name) not in done:
                    card = describe_split(drawn, "none", "alphabetical", "python -m benchmarks.detail")
                    own = replace(config.override(f"detail.times={times}"), seed=seed)
                    encoder, where = Encoder(foundation, store), Path(folder, f"{seed}-{times}")
                    checkpoint, seconds, _ = train_ltad(drawn, encoder, own, card, bars, where)
                    if checkpoint.card.is_fine:
                        alone = FineAlone(foundation, checkpoint, store)
                        table = evaluate(without_masks(drawn), alone, auto=True, progress=bars)
                        keep(seed, f"{name}: the fine view alone", table["classes"], seconds)
                    table = evaluate(drawn, Predictor(foundation, checkpoint, store), auto=True, progress=bars)
                    keep(seed, name, table["classes"], seconds)
    bars.close()


class FineAlone(Predictor):
    """A checkpoint whose images score what is seen of them finely, for beside: of places it tells nothing else."""

    def predict_views(self, views: Views, class_ids: Tensor | None = None) -> ScoredBatch:
        """Score B images as the given classes (B,), or as the nearest ones."""
        scored = super().predict_views(views, class_ids)
        return scored._replace(image_scores=scored.part_scores[FINE])


def draw(dataset: Dataset, seed: int) -> Dataset:
    """The data set with some of each class's training images."""
    chosen: list[Sample] = []
    for name in dataset.class_names:
        own = [sample for sample in dataset.train if sample.class_name == name]
        drawn = torch.randperm(len(own), generator=torch.Generator().manual_seed(seed))[: round(SHARE * len(own))]
        chosen += [own[i] for i in sorted(drawn.tolist())]
    return replace(dataset, train=tuple(chosen))


def looks(foundation: FoundationModel) -> dict[str, See]:
    """How the k-NN sees a photograph."""
    layer, side = foundation.layer_near(STRIDE), foundation.fingerprint.image_size

    def squeezed(sample: Sample, times: int) -> Tensor:
        shown = to_bytes(sample.read(), times * side, times * side).float() / 255
        return pooled(foundation.fine_map(shown, layer))

    def tiles(sample: Sample) -> Tensor:
        picture = sample.read()
        width, height = fine_size(picture.size, 2 * side, STRIDE)
        shown, cells = to_bytes(picture, width, height).float() / 255, side // foundation.strides[layer]
        whole = torch.zeros(foundation.channels[layer], height // STRIDE, width // STRIDE)
        for top in _starts(height, side):
            for left in _starts(width, side):
                seen = foundation.encode_image(shown[None, :, top : top + side, left : left + side]).maps[layer][0]
                y, x = top // STRIDE, left // STRIDE
                whole[:, y : y + cells, x : x + cells] = pooled(seen)
        return whole

    return {
        f"patch k-NN, whole at {side}": lambda sample: squeezed(sample, 1),
        f"patch k-NN, whole at {2 * side}": lambda sample: squeezed(sample, 2),
        f"patch k-NN, tiles of {side}": tiles,
    }


def pooled(seen: Tensor) -> Tensor:
    """A map (C, h, w), each patch averaged with its neighbours."""
    return avg_pool2d(seen[None].cpu(), NEIGHBOURHOOD, 1, NEIGHBOURHOOD // 2, count_include_pad=False)[0]


def _starts(length: int, side: int) -> list[int]:
    """Where tiles of a side begin that cover a length; the last one ends with it, at a whole patch."""
    return sorted({min(start, length - side) for start in range(0, length, side)})


def neighbours(dataset: Dataset, see: See, seed: int) -> dict[str, dict[str, Any]]:
    """The figures of every class, its test photographs looked up in its training photographs."""
    found = {}
    for name in dataset.class_names:
        train, test = ([s for s in part if s.class_name == name] for part in (dataset.train, dataset.test))
        generator, share = torch.Generator().manual_seed(seed), -(-CANDIDATES // len(train))
        patches = [see(sample).flatten(1).T for sample in train]
        some = torch.cat([p[torch.randperm(len(p), generator=generator)[:share]] for p in patches])
        bank = some[spread_out(some, KEPT)]
        found[name] = figures(name, test, _looked_up(test, see, bank))
    return found


def _looked_up(samples: Sequence[Sample], see: See, bank: Tensor) -> Iterator[Tensor]:
    """The map (h, w) of distances of each photograph."""
    for sample in samples:
        seen = see(sample)
        yield nearest_distance(seen.flatten(1).T, bank).view(seen.shape[1:])


def figures(class_name: str, samples: Sequence[Sample], maps: Iterator[Tensor]) -> dict[str, Any]:
    """What ``evaluate`` gives of a class, of these maps."""
    labels, scores, truth, shown, masks = [], [], [], [], []
    for sample, each in zip(samples, maps, strict=True):
        labels.append(sample.label)
        scores.append(float(each.flatten().topk(max(1, round(TOP * each.numel()))).values.mean()))
        known = not sample.label or sample.read_mask is not None
        truth.append(known)
        if known:
            width, height = measured_size(sample.read().size)
            shown.append(map_to_image(each.numpy(), width, height))
            masks.append(
                resize_mask(sample.read_mask(), width, height) if sample.read_mask else np.zeros((height, width), bool)
            )
    if not any(mask.any() for mask in masks):
        shown, masks = [], []
    scored = ScoredClass(
        class_name, np.array(labels), np.array(scores), np.ones(len(labels), bool), (), np.array(truth), masks, shown
    )
    return scored.figures() | {"found_at_best": metrics.found_at(scored.labels, scored.scores, RATE)}


def means(classes: dict[str, dict[str, Any]]) -> dict[str, float | None]:
    """The mean of each figure over the classes that have it."""
    known = {key: [row[key] for row in classes.values() if row[key] is not None] for key in FIGURES}
    return {key: float(np.mean(values)) if values else None for key, values in known.items()}


def table(results: dict[str, Any], *, per_class: bool = False) -> str:
    """Methods by figures in per cent, means over classes and seeds ± over seeds; or the first two of every class."""
    methods = list(dict.fromkeys(run["method"] for run in results["runs"]))
    if per_class:
        names = list(results["runs"][0]["classes"])
        rows = []
        for method in methods:
            own = [run["classes"] for run in results["runs"] if run["method"] == method]
            rows.append(
                [method, *(" / ".join(_over([run[name][key] for run in own]) for key in FIRST) for name in names)]
            )
        return markdown(["image AUROC / found", *names], rows)
    rows = []
    for method in methods:
        own = [run for run in results["runs"] if run["method"] == method]
        cells = [_over([means(run["classes"])[key] for run in own]) for key in FIGURES]
        rows.append([method, *cells, f"{np.mean([run['seconds'] for run in own]):.0f}"])
    return markdown(["", *FIGURES.values(), "seconds"], rows)


def _over(values: Sequence[float | None]) -> str:
    """The mean over seeds ± its spread; n/a where a figure is undefined."""
    known = [value for value in values if value is not None]
    if not known:
        return "n/a"
    spread = f" ± {percent(float(np.std(known, ddof=1)))}" if len(known) > 1 else ""
    return f"{percent(float(np.mean(known)))}{spread}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print, or print again."""
    parser = command.parser("detail", "What a finer look finds in large photographs.", "detail.json")
    command.add_seeds(parser, "of the training images and the training")
    parser.add_argument("--details", nargs="+", default=["1", "2", "4"], choices=("1", "2", "4"))
    command.add_resume(parser)
    parser.add_argument("--per-class", action="store_true", help="with --table: every class")
    options = parser.parse_args(arguments)
    settle()
    command.carry_out("detail", options, run, partial(table, per_class=options.per_class))


if __name__ == "__main__":
    main()
