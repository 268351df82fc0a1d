"""What an inspection costs beyond the bare image tower, and what more classes cost, all within one run.

``python -m benchmarks.cost [--checkpoint NAME] [--rounds N] [--classes K ...] [--json FILE]``

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

from ltad.checkpoint.card import CheckpointCard, ClassCard
from ltad.checkpoint.folder import Checkpoint, load_checkpoint, read_card, save_checkpoint, untrained
from ltad.foundation import FoundationModel, load_foundation
from ltad.inspection.predictor import Predictor
from ltad.judging.calibration import Calibration

ROOT = Path(__file__).parent.parent
PHOTOGRAPH = ROOT / "assets" / "examples" / "gear-good.jpg"
SIDE = 1024  # pixels of the photograph
BATCH = 16  # images
FACTOR, EXTRA_MS = 1.3, 20.0  # our target: one image within 1.3 x the bare forward + 20 ms
SHARE = 0.9  # our target: a batch at 90 % of the bare rate


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


def random_images(foundation: FoundationModel, count: int) -> Tensor:
    """Noise of the foundation model's size; what is in a picture changes no time but that of drawing regions."""
    size = foundation.fingerprint.image_size
    return torch.rand(count, 3, size, size)


def one_image(predictor: Predictor, rounds: int) -> dict[str, Any]:
    """Both levels of the predictor on one image, beside the bare forward; steps_ms are those of ``predict``."""
    photograph = Image.open(PHOTOGRAPH).convert("RGB").resize((SIDE, SIDE))
    tensor = random_images(predictor.foundation, 1)
    steps: list[dict[str, float]] = []
    taken = medians(
        rounds,
        {
            "bare": lambda: predictor.foundation.encode_image(tensor),
            "predict_tensors": lambda: predictor.predict_tensors(tensor),
            "predict": lambda: steps.append(predictor.predict(photograph).seconds),
        },
    )
    bare = taken.pop("bare")
    levels = {
        name: {
            "ms": milliseconds,
            "ratio": milliseconds / bare,
            "extra_ms": milliseconds - bare,
            "within_target": milliseconds <= FACTOR * bare + EXTRA_MS,
        }
        for name, milliseconds in taken.items()
    }
    steps_ms = {step: 1000 * statistics.median(seconds[step] for seconds in steps[1:]) for step in steps[0]}
    return {"bare_ms": bare, **levels, "steps_ms": steps_ms}


def batches(predictor: Predictor, rounds: int) -> dict[str, Any]:
    """The rate of ``predict_tensors`` on whole batches, beside the bare forward's."""
    batch = random_images(predictor.foundation, BATCH)
    taken = medians(
        rounds,
        {
            "bare": lambda: predictor.foundation.encode_image(batch),
            "predict_tensors": lambda: predictor.predict_tensors(batch),
        },
    )
    share = taken["bare"] / taken["predict_tensors"]
    rates = {f"{name}_per_second": 1000 * BATCH / milliseconds for name, milliseconds in taken.items()}
    return {**rates, "share": share, "within_target": share >= SHARE}


def synthetic_checkpoint(like: CheckpointCard, foundation: FoundationModel, classes: int, folder: Path) -> Path:
    """Write an untrained checkpoint of so many classes, otherwise as ``like``; whatever is zero becomes random."""
    names = [f"class_{k}" for k in range(classes)]
    card = replace(
        like,
        path=folder,
        classes=tuple(ClassCard(name=name, n_train=1, group="tail") for name in names),
        calibration=Calibration(dict.fromkeys(names, ()), dict.fromkeys(names, ())),
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
    tensor = random_images(foundation, 1)
    with tempfile.TemporaryDirectory() as root:
        folders = [synthetic_checkpoint(like.card, foundation, k, Path(root, str(k))) for k in counts]
        predictors = {f.name: Predictor(foundation, load_checkpoint(f, foundation)) for f in folders}
        tasks = {name: partial(p.predict_tensors, tensor) for name, p in predictors.items()}
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
    tensor = random_images(foundation, 1)
    foundation.encode_image(tensor)
    bare = peak_memory()
    Predictor.from_checkpoint(folder, foundation).predict_tensors(tensor)
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
    where, one, many = cost["machine"], cost["one_image"], cost["batch"]
    target = f"at most {FACTOR} × bare + {EXTRA_MS:.0f} ms"
    lines = [
        f"{cost['checkpoint']} on {cost['foundation']}; {where['cores']} cores ({where['processor']}), "
        f"{where['torch_threads']} threads, torch {where['torch']}; medians of {cost['rounds']} rounds.",
        "",
        f"| one image | ms | × bare | more ms | {target} |",
        "| --- | --- | --- | --- | --- |",
        f"| bare image tower | {one['bare_ms']:.1f} | 1.00 | 0.0 | |",
    ]
    for name, label in (("predict_tensors", "`predict_tensors`"), ("predict", f"`predict`, {SIDE} × {SIDE} pixels")):
        level = one[name]
        figures = f"{level['ms']:.1f} | {level['ratio']:.2f} | {level['extra_ms']:.1f}"
        lines.append(f"| {label} | {figures} | {_yes(level['within_target'])} |")
    steps = ", ".join(f"{step} {milliseconds:.1f}" for step, milliseconds in one["steps_ms"].items())
    lines += [
        "",
        f"Steps of `predict` in ms: {steps}.",
        "",
        f"| batches of {BATCH} | images per second | share of bare | at least {100 * SHARE:.0f} % |",
        "| --- | --- | --- | --- |",
        f"| bare image tower | {many['bare_per_second']:.1f} | 100 % | |",
        f"| `predict_tensors` | {many['predict_tensors_per_second']:.1f} | {100 * many['share']:.0f} % "
        f"| {_yes(many['within_target'])} |",
        "",
        "| classes | `predict_tensors`, × the fewest | tensor file, MB | KB per further class | peak memory, MB "
        "| beyond the bare tower's, MB |",
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
    parser = argparse.ArgumentParser(description="What an inspection costs beyond the bare image tower.")
    parser.add_argument("--checkpoint", default="demo-exp100")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--classes", type=int, nargs="+", default=[6, 60, 600])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--memory-of", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.memory_of:
        print(json.dumps(memory_of(options.memory_of)))
        return
    predictor = Predictor.from_checkpoint(options.checkpoint)
    cost = {
        "checkpoint": predictor.card.name,
        "foundation": predictor.foundation.fingerprint.name,
        "rounds": options.rounds,
        "machine": machine(),
        "one_image": one_image(predictor, options.rounds),
        "batch": batches(predictor, options.rounds),
        "classes": by_classes(predictor, options.classes, options.rounds),
    }
    print(format_cost(cost))
    if options.json:
        options.json.write_text(json.dumps(cost, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
