"""What an inspection costs beside torch's eager image tower, and what more classes cost, all within one run.

``python -m benchmarks.cost [--checkpoint NAME] [--device D] [--rounds N] [--classes K ...] [--json FILE]``

Times are medians over rounds in which the rivals take turns. The classes are synthetic and nothing is trained for them,
since what they cost follows from their shapes. Peak memory is that of a process of its own.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from benchmarks.eager import eagerly
from ltad.checkpoint.card import CheckpointCard, ClassCard
from ltad.checkpoint.folder import Checkpoint, load_checkpoint, read_card, save_checkpoint, untrained
from ltad.data.listing import file_sample
from ltad.foundation import FoundationModel, load_foundation
from ltad.foundation.features import Encoder, Views
from ltad.inspection.predictor import Predictor
from ltad.judging.calibration import Calibration, HeldOut
from ltad.machine import AUTO, DEVICES, settle
from ltad.progress import quiet
from ltad.training.images import encode_samples

ROOT = Path(__file__).parent.parent
PHOTOGRAPH = ROOT / "assets" / "examples" / "gear-good.jpg"
SIDE = 1024  # pixels of the photograph
BATCH = 8  # images
ENCODED = 32  # photographs
# Our targets, as multiples of the time that torch's eager tower takes: the tower in its engine for one image and for a
# batch, and all of ``predict``; and how many times as fast a training encodes.
TOWER, TOWER_BATCH, PREDICT = 0.6, 0.45, 0.75
ENCODING = 2.2


def medians(rounds: int, tasks: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Median milliseconds of each task; in every round each runs once, so that all see the same machine."""
    taken: dict[str, list[float]] = {name: [] for name in tasks}
    for task in tasks.values():
        task()  # warm-up
    for _ in range(rounds):
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            taken[name].append(1000 * (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in taken.items()}


def random_views(foundation: FoundationModel, count: int) -> Views:
    """Noise of the foundation model's size; what is in a picture changes no time but that of drawing regions."""
    size = foundation.fingerprint.image_size
    return Views(torch.rand(count, 3, size, size))


def one_image(predictor: Predictor, rounds: int) -> dict[str, Any]:
    """The tower in its engine and both levels of the predictor beside torch's eager tower; steps_ms: of ``predict``."""
    photograph = Image.open(PHOTOGRAPH).convert("RGB").resize((SIDE, SIDE))
    foundation, views = predictor.foundation, random_views(predictor.foundation, 1)
    eager, steps = eagerly(foundation), list[dict[str, float]]()
    taken = medians(
        rounds,
        {
            "eager": lambda: eager.encode_image(views.whole),
            "tower": lambda: foundation.encode_image(views.whole),
            "predict_views": lambda: predictor.predict_views(views),
            "predict": lambda: steps.append(predictor.predict(photograph).seconds),
        },
    )
    steps_ms = {step: 1000 * statistics.median(seconds[step] for seconds in steps[1:]) for step in steps[0]}
    return _beside_eager(taken, {"tower": TOWER, "predict": PREDICT}) | {"steps_ms": steps_ms}


def batches(predictor: Predictor, rounds: int) -> dict[str, Any]:
    """The same of whole batches."""
    foundation, views = predictor.foundation, random_views(predictor.foundation, BATCH)
    eager = eagerly(foundation)
    taken = medians(
        rounds,
        {
            "eager": lambda: eager.encode_image(views.whole),
            "tower": lambda: foundation.encode_image(views.whole),
            "predict_views": lambda: predictor.predict_views(views),
        },
    )
    return _beside_eager(taken, {"tower": TOWER_BATCH})


def _beside_eager(taken: dict[str, float], targets: dict[str, float]) -> dict[str, Any]:
    """Milliseconds, multiples of the eager tower's, and whether these are within their targets; None = no target."""
    eager = taken["eager"]
    return {
        name: {
            "ms": milliseconds,
            "ratio": milliseconds / eager,
            "target": targets.get(name),
            "within_target": milliseconds <= targets[name] * eager if name in targets else None,
        }
        for name, milliseconds in taken.items()
    }


def encoding(foundation: FoundationModel, rounds: int) -> dict[str, Any]:
    """Photographs a second that a training encodes, by the engine and by torch's eager tower."""
    paths = sorted(PHOTOGRAPH.parent.glob("*.jpg"))[:ENCODED]
    samples = [file_sample(path, path.parent, "part") for path in paths]
    eager = eagerly(foundation)
    taken = medians(
        max(1, rounds // 5),
        {
            "eager": lambda: encode_samples(samples, ["part"], Encoder(eager), quiet),
            "engine": lambda: encode_samples(samples, ["part"], Encoder(foundation), quiet),
        },
    )
    rates = {f"{name}_per_second": 1000 * len(samples) / milliseconds for name, milliseconds in taken.items()}
    gain = taken["eager"] / taken["engine"]
    return rates | {"gain": gain, "within_target": gain >= ENCODING}


def synthetic_checkpoint(like: CheckpointCard, foundation: FoundationModel, classes: int, folder: Path) -> Path:
    """Write an untrained checkpoint of so many classes, otherwise as ``like``; whatever is zero becomes random."""
    names = [f"class_{k}" for k in range(classes)]
    card = replace(
        like,
        path=folder,
        classes=tuple(ClassCard(name=name, n_train=1, group="tail") for name in names),
        calibration=Calibration(dict.fromkeys(names, HeldOut((1.0,)))),
        metrics=None,
    )
    model, normal = untrained(card, foundation)
    for tensor in (*model.state_dict().values(), *normal):
        _fill(tensor)
    save_checkpoint(Checkpoint(card=card, model=model, statistics=normal))
    return folder


def _fill(tensor: Tensor) -> None:
    """Put random values, positive ones where they may be fractions, where there are only zeros."""
    if tensor.any():
        return
    if tensor.is_floating_point():
        tensor.uniform_(0.5, 1.5)
    else:
        tensor.random_(-100, 100)


def by_classes(like: Predictor, counts: Sequence[int], rounds: int) -> list[dict[str, Any]]:
    """Time, file and memory of synthetic checkpoints, each beside the one with the fewest classes."""
    foundation, counts = like.foundation, sorted(counts)
    views = random_views(foundation, 1)
    with tempfile.TemporaryDirectory() as root:
        folders = [synthetic_checkpoint(like.card, foundation, k, Path(root, str(k))) for k in counts]
        predictors = {f.name: Predictor(foundation, load_checkpoint(f, foundation)) for f in folders}
        tasks = {name: partial(p.predict_views, views) for name, p in predictors.items()}
        taken = medians(rounds, tasks)
        fewest = taken[str(counts[0])]
        sizes = [(folder / "model.safetensors").stat().st_size for folder in folders]
        rows = []
        for folder, k, file_size in zip(folders, counts, sizes, strict=True):
            more = k - counts[0]
            row: dict[str, Any] = {"classes": k, "ratio": taken[folder.name] / fewest, "file_bytes": file_size}
            row |= {"bytes_per_class": (file_size - sizes[0]) / more if more else None}
            rows.append(row | _in_its_own_process(folder))
    return rows


def _in_its_own_process(folder: Path) -> dict[str, int]:
    command = [sys.executable, "-m", "benchmarks.cost", "--memory-of", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def memory_of(folder: Path) -> dict[str, int]:
    """Peak memory of this process with the bare image tower, and then with the checkpoint; one image each."""
    foundation = load_foundation(read_card(folder).foundation.name)
    views = random_views(foundation, 1)
    foundation.encode_image(views.whole)
    bare = peak_memory()
    Predictor.from_checkpoint(folder, foundation).predict_views(views)
    return {"bare_peak_bytes": bare, "peak_bytes": peak_memory()}


def peak_memory() -> int:
    """The most bytes that this process has had in memory so far."""
    status = Path("/proc/self/status")
    if status.is_file():  # what getrusage says there counts the process that started this one, too
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return 1024 * int(line.split()[1])
    import resource  # there is none on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def machine() -> dict[str, Any]:
    """What the times were taken on."""
    return {"cores": os.cpu_count(), "torch_threads": torch.get_num_threads()} | {
        "processor": platform.machine(),
        "system": platform.system(),
        "torch": torch.__version__,
    }


def format_cost(cost: dict[str, Any]) -> str:
    """The figures as Markdown."""
    where, encoded = cost["machine"], cost["encoding"]
    lines = [
        f"{cost['checkpoint']} on {cost['foundation']}, {cost['where']}; {where['cores']} cores "
        f"({where['processor']}), torch {where['torch']}; medians of {cost['rounds']} rounds.",
        "",
        "| | ms | × eager | at most |",
        "| --- | --- | --- | --- |",
    ]
    titles = {
        "eager": "torch's eager tower",
        "tower": "the tower in its engine",
        "predict_views": "`predict_views`",
        "predict": f"`predict`, {SIDE} × {SIDE} pixels",
    }
    for count, part in ((1, cost["one_image"]), (BATCH, cost["batch"])):
        for name, title in titles.items():
            if name in part:
                row = part[name]
                target = "" if row["target"] is None else f"{row['target']} ({_yes(row['within_target'])})"
                lines.append(
                    f"| {count} image{'s' * (count > 1)}: {title} | {row['ms']:.1f} | {row['ratio']:.2f} | {target} |"
                )
    steps = ", ".join(f"{step} {milliseconds:.1f}" for step, milliseconds in cost["one_image"]["steps_ms"].items())
    lines += [
        "",
        f"Steps of `predict` in ms: {steps}.",
        "",
        f"A training encodes {encoded['engine_per_second']:.1f} photographs a second, {encoded['gain']:.2f} times the "
        f"{encoded['eager_per_second']:.1f} of torch's eager tower (at least {ENCODING}: "
        f"{_yes(encoded['within_target'])}).",
        "",
        "| classes | `predict_views`, × the fewest | tensor file, MB | KB per further class | peak memory, MB "
        "| beyond the tower's, MB |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in cost["classes"]:
        each = "" if row["bytes_per_class"] is None else f"{row['bytes_per_class'] / 1e3:.1f}"
        memory = f"{row['peak_bytes'] / 1e6:.0f} | {(row['peak_bytes'] - row['bare_peak_bytes']) / 1e6:.0f}"
        lines.append(f"| {row['classes']} | {row['ratio']:.2f} | {row['file_bytes'] / 1e6:.1f} | {each} | {memory} |")
    return "\n".join(lines)


def _yes(is_met: bool) -> str:
    return "yes" if is_met else "no"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables, and write the figures as JSON where asked."""
    parser = argparse.ArgumentParser(description="What an inspection costs beside torch's eager image tower.")
    parser.add_argument("--checkpoint", default="demo-exp100")
    parser.add_argument("--device", default=AUTO, metavar=DEVICES)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--classes", type=int, nargs="+", default=[6, 60, 600])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--memory-of", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.memory_of:
        print(json.dumps(memory_of(options.memory_of)))
        return
    settle()
    predictor = Predictor.from_checkpoint(options.checkpoint, device=options.device)
    cost = {
        "checkpoint": predictor.card.name,
        "foundation": predictor.foundation.fingerprint.name,
        "where": predictor.foundation.where,
        "rounds": options.rounds,
        "machine": machine(),
        "one_image": one_image(predictor, options.rounds),
        "batch": batches(predictor, options.rounds),
        "encoding": encoding(predictor.foundation, options.rounds),
        "classes": by_classes(predictor, options.classes, options.rounds),
    }
    print(format_cost(cost))
    if options.json:
        options.json.write_text(json.dumps(cost, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
