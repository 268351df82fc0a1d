"""A class taught to a checkpoint of all the others, from a few images: what it reaches, and what the others lose.

``python -m benchmarks.leave_one_out --data DIR --images 5 20 --seeds 0 1 --output FILE``

For every class a checkpoint is trained on the others; then ``adapt`` teaches it that class, with and without replay.
Beside it stands a patch k-NN built from the same images on the same features, which is told the class; LTAD predicts
it. A second table has what each flags of the taught class: false alarms and defects at the checkpoint's own rate, or at
the smallest rate that so few images can promise. FILE is written after every class and number of images, and
``--resume`` goes on with it; ``--table FILE`` prints it.
"""

import argparse
import json
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import torch

from benchmarks import command
from benchmarks.compare import describe_run, describe_split, entry, train_ltad
from benchmarks.detectors import PatchKNN
from benchmarks.images import encode_once, shrink
from benchmarks.rivals import Rival, held_out_maps
from benchmarks.tables import markdown
from ltad.checkpoint.card import CheckpointCard, ClassCard
from ltad.checkpoint.folder import Checkpoint
from ltad.commands.progress import Bars
from ltad.config import AdaptConfig
from ltad.data import Dataset, Sample
from ltad.data.sources import open_dataset
from ltad.evaluation.table import evaluate
from ltad.files import write_text
from ltad.foundation import load_foundation
from ltad.foundation.features import Encoder
from ltad.inspection.predictor import Predictor
from ltad.presets import default
from ltad.training.adaptation import DEFAULT_MINUTES, adapt, steps_for
from ltad.training.images import encode_samples
from ltad.words import percent

ADAPTED, FORGETFUL = "adapted", "adapted, no replay"
READINGS = tuple(f"patch k-NN, by {reading}" for reading in PatchKNN.readings)
COMPARED = (ADAPTED, *READINGS)
FLAGGED = {"false_alarms": "false alarms", "found": "found", "found_at_best": "found at best"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it, or print what a run wrote."""
    arguments = sys.argv[1:] if arguments is None else arguments
    description = "A class taught to a checkpoint of the others."
    parser = command.parser("leave_one_out", description, "leave-one-out.json")
    command.add_seeds(parser, "of the images and the adaptation")
    parser.add_argument("--classes", nargs="+", metavar="NAME", help="to leave out, one after the other; all of them")
    parser.add_argument("--images", nargs="+", type=int, default=[5, 20], metavar="N", help="of the class, to learn it")
    parser.add_argument("--minutes", type=float, default=DEFAULT_MINUTES, metavar="M", help="of adaptation")
    command.add_resume(parser)
    options = parser.parse_args(arguments)
    with command.plainly("leave_one_out"):
        if options.table:
            print(table(command.written(options.table)))
        else:
            _run(options, shlex.join(["python", "-m", "benchmarks.leave_one_out", *arguments]))


def _run(options: argparse.Namespace, words: str) -> None:
    config = default().override(*options.settings)
    dataset, bars, foundation = open_dataset(*options.data), Bars(), load_foundation(device=options.device)
    header = describe_run(dataset, "alphabetical", foundation, config) | {"minutes": options.minutes}
    runs = command.finished(options.output, header) if options.resume else []
    done = {(run["class"], run["images"], run["seed"]) for run in runs}
    dataset = shrink(dataset, foundation.fingerprint.image_size)
    encoder = encode_once(foundation, [dataset], bars)
    for class_name in options.classes or dataset.class_names:
        wanted = [(n, seed) for n in options.images for seed in options.seeds if (class_name, n, seed) not in done]
        if not wanted:
            continue
        others = without(dataset, class_name)
        with TemporaryDirectory() as folder:
            card = describe_split(others, "none", "alphabetical", words)
            base, _, _ = train_ltad(others, encoder, config, card, bars, Path(folder, "base"))
            before = evaluate(others, Predictor(foundation, base, encoder.store), auto=True, progress=bars)
            for n, seed in wanted:
                images = choose(dataset, class_name, n, seed)
                settings = replace(steps_for(options.minutes), seed=seed)
                methods = adapt_in_every_way(
                    base, dataset, images, settings, encoder, Path(folder, f"{n}-{seed}"), bars
                )
                run = {"class": class_name, "images": n, "seed": seed, "before": before["mean"]["all"]}
                runs.append(run | {"methods": methods})
                write_text(options.output, json.dumps({"header": header | {"command": words}, "runs": runs}, indent=1))
    bars.close()
    print(table({"header": header, "runs": runs}))


def without(dataset: Dataset, class_name: str) -> Dataset:
    """The data set as it is for those who know nothing of a class."""
    train, test = (
        tuple(sample for sample in part if sample.class_name != class_name) for part in (dataset.train, dataset.test)
    )
    return replace(dataset, train=train, test=test)


def choose(dataset: Dataset, class_name: str, n: int, seed: int) -> list[Sample]:
    """Some of a class's training images."""
    own = [sample for sample in dataset.train if sample.class_name == class_name]
    drawn = torch.randperm(len(own), generator=torch.Generator().manual_seed(seed))[:n]
    return [own[i] for i in sorted(drawn.tolist())]


def adapt_in_every_way(
    base: Checkpoint,
    dataset: Dataset,
    images: Sequence[Sample],
    settings: AdaptConfig,
    encoder: Encoder,
    folder: Path,
    bars: Bars,
) -> dict[str, dict[str, Any]]:
    """Adapt to the images' class in every way and measure: its own figures under ``classes``, the others' means."""
    class_name = images[0].class_name
    methods: dict[str, dict[str, Any]] = {}
    for name, replayed in ((ADAPTED, settings.replayed), (FORGETFUL, 0)):
        start = time.perf_counter()
        adapted = adapt(
            base,
            images,
            class_name,
            encoder.foundation,
            replace(settings, replayed=replayed),
            folder / name,
            command="python -m benchmarks.leave_one_out",
            store=encoder.store,
            progress=bars,
        )
        seconds, predictor = time.perf_counter() - start, Predictor(encoder.foundation, adapted, encoder.store)
        size = (folder / name / "model.safetensors").stat().st_size
        own = evaluate(only(dataset, class_name), predictor, auto=True, progress=bars)
        others = evaluate(without(dataset, class_name), predictor, auto=True, progress=bars)
        promised = {"promised_rate": promised_rate(adapted.card, class_name)}
        methods[name] = entry({"classes": own["classes"], "mean": others["mean"]}, seconds, size) | promised
    for rival in knn(base, images, class_name, encoder, bars):
        table = evaluate(only(dataset, class_name), cast(Predictor, rival), progress=bars)
        promised = {"promised_rate": promised_rate(rival.card, class_name)}
        methods[rival.card.name] = entry(table | {"mean": None}, rival.seconds, rival.bytes) | promised
    return methods


def promised_rate(card: CheckpointCard, class_name: str) -> float:
    """The share of a class's good images that its threshold may flag."""
    return card.calibration.judge(0.0, class_name, card.config.calibration.false_alarm_rate).promised_rate


def only(dataset: Dataset, class_name: str) -> Dataset:
    """The test images of one class."""
    return replace(dataset, train=(), test=tuple(s for s in dataset.test if s.class_name == class_name))


def knn(base: Checkpoint, images: Sequence[Sample], class_name: str, encoder: Encoder, bars: Bars) -> list[Rival]:
    """A patch k-NN of a class's images alone, in both readings."""
    start = time.perf_counter()
    features = encode_samples(images, (class_name,), encoder, bars)
    card = replace(base.card, classes=(ClassCard(name=class_name, n_train=len(images), group="tail"),))
    detector = PatchKNN(features, card, encoder.foundation, bars, whole=True)
    held_out = held_out_maps(PatchKNN, features, card, encoder.foundation, bars)
    seconds = time.perf_counter() - start
    return [Rival(detector, held_out, reading, card, encoder, seconds) for reading in PatchKNN.readings]


def table(results: dict[str, Any]) -> str:
    """What is reached, and what is flagged: a row for every class and number of images, and their means.

    Mean over seeds, per cent. The second table is left out where a file does not have it, as those of older versions.
    """
    tables = [_reached(results["runs"])]
    if all("promised_rate" in method for run in results["runs"] for method in run["methods"].values()):
        tables.append(_flagged(results["runs"]))
    return "\n\n".join(tables)


def _reached(runs: Sequence[dict[str, Any]]) -> str:
    """AUROCs of the taught class, how often it is recognised, and the other classes before and after."""

    def figures(of: Sequence[dict[str, Any]]) -> list[float | None]:
        columns = [_own(of, method, figure) for figure in ("image_auroc", "pixel_auroc") for method in COMPARED]
        columns += [_own(of, ADAPTED, "class_accuracy"), _mean([run["before"]["image_auroc"] for run in of])]
        for method in (ADAPTED, FORGETFUL):
            columns.append(_mean([run["methods"][method]["mean"]["all"]["image_auroc"] for run in of]))
        return [*columns, _mean([run["methods"][ADAPTED]["seconds"] for run in of])]

    head = ["class", "images", "LTAD", "k-NN, class", "k-NN, place", "pixel, LTAD", "k-NN, class", "k-NN, place"]
    head += ["recognised", "others before", "after", "no replay", "seconds"]
    rows = [
        [*start, *map(percent, shares), f"{seconds or 0:.0f}"] for start, (*shares, seconds) in _rows(runs, figures)
    ]
    return markdown(head, rows)


def _flagged(runs: Sequence[dict[str, Any]]) -> str:
    """Of the taught class, at the rate that is promised for it: false alarms, and defects found, there and at best."""

    def figures(of: Sequence[dict[str, Any]]) -> list[float | None]:
        promised = [_mean([run["methods"][method]["promised_rate"] for run in of]) for method in COMPARED[:2]]
        return promised + [_own(of, method, figure) for figure in FLAGGED for method in COMPARED]

    head = ["class", "images", "promised, LTAD", "k-NN"]
    for title in FLAGGED.values():
        head += [f"{title}, LTAD", "k-NN, class", "k-NN, place"]
    return markdown(head, [[*start, *map(percent, shares)] for start, shares in _rows(runs, figures)])


def _rows(
    runs: Sequence[dict[str, Any]], figures: Callable[[Sequence[dict[str, Any]]], list[float | None]]
) -> Iterator[tuple[list[str], list[float | None]]]:
    """The start of every row, and the figures of its runs, which are one class's over the seeds; then their mean."""
    for n in dict.fromkeys(run["images"] for run in runs):
        some = [run for run in runs if run["images"] == n]
        names = list(dict.fromkeys(run["class"] for run in some))
        by_class = [figures([run for run in some if run["class"] == name]) for name in names]
        yield from (([name, str(n)], own) for name, own in zip(names, by_class, strict=True))
        yield ["**mean**", str(n)], [_mean(column) for column in zip(*by_class, strict=True)]


def _own(runs: Sequence[dict[str, Any]], method: str, figure: str) -> float | None:
    """A figure of the taught class."""
    return _mean([run["methods"][method]["classes"][run["class"]][figure] for run in runs])


def _mean(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return statistics.fmean(there) if there else None


if __name__ == "__main__":
    main()
