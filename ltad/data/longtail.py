"""Long-tailed splits: how many training images each class keeps, which ones, and files that say so.

Source: Ho et al., LTAD, CVPR 2024 names the levels (exp100, step200); the formulas are those of LDAM (Cao et al.,
2019). That n_max is the size of the order's first class is our choice: it fits what the paper shows of MVTec AD.
"""

import hashlib
import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from ltad.data import Dataset, Sample
from ltad.errors import DatasetError
from ltad.files import write_text

ORDERS = ("alphabetical", "size")


def long_tail_counts(available: Mapping[str, int], imbalance: str, order: str = "alphabetical") -> dict[str, int]:
    """Return how many training images each class keeps, classes in the order from head to tail.

    Args:
        available: training images per class.
        imbalance: "none"; "expN": n_k = n_max · N^(-(k-1)/(K-1)); "stepN": the first half of the classes, rounded up,
            n_max, the others n_max / N. Rounded down, at least 1, and never more than the class has. With "-reverse"
            the order of the classes is turned round.
        order: "alphabetical", or "size": the largest class first, equal ones by name.
    """
    shape, factor, is_reversed = _parse(imbalance)
    if order not in ORDERS:
        raise ValueError(f"order must be one of {', '.join(ORDERS)}, got {order!r}")
    names = sorted(available, key=(lambda name: (-available[name], name)) if order == "size" else None)
    if is_reversed:
        names.reverse()
    if not names or min(available.values()) < 1:
        raise ValueError("each class must have at least one training image, and there must be a class")
    if shape == "none":
        return {name: available[name] for name in names}
    counts = {}
    for index, name in enumerate(names):
        if shape == "exp":
            share = factor ** -(index / max(len(names) - 1, 1))
        else:
            share = 1 if index < math.ceil(len(names) / 2) else 1 / factor
        wanted = math.floor(available[names[0]] * share + 1e-9)  # 200 · 100^-1 is 2, whatever the last bit says
        counts[name] = max(1, min(wanted, available[name]))
    return counts


def _parse(imbalance: str) -> tuple[str, float, bool]:
    """Return the shape, N and whether the order is turned round."""
    match = re.fullmatch(r"(?:(none)|(exp|step)([0-9]+(?:\.[0-9]+)?))(-reverse)?", imbalance)
    if match is None or (match[2] and not 1 < float(match[3]) < math.inf):
        forms = "none, expN or stepN with a number N over 1, such as exp100, each also with -reverse"
        raise ValueError(f"imbalance must be {forms}, got {imbalance!r}")
    return match[1] or match[2], float(match[3] or 1), bool(match[4])


def long_tail(dataset: Dataset, imbalance: str, order: str = "alphabetical", seed: int = 0) -> Dataset:
    """Keep a random part of each class's training images; the test images stay.

    The choice depends on the seed, the class's name and its images only, and a smaller number of images is always
    part of a larger one, so that levels can be compared.
    """
    counts = long_tail_counts(dataset.train_counts, imbalance, order)
    kept: list[Sample] = []
    for class_name in dataset.class_names:
        samples = sorted((s for s in dataset.train if s.class_name == class_name), key=lambda sample: sample.name)
        digest = hashlib.sha256(f"{seed}/{class_name}".encode()).digest()
        places = np.random.default_rng(int.from_bytes(digest[:8], "big")).permutation(len(samples))
        kept.extend(samples[place] for place in sorted(places[: counts[class_name]]))
    return replace(dataset, train=tuple(kept))


def tail_classes(counts: Mapping[str, int]) -> frozenset[str]:
    """Return the classes with fewer images than the geometric mean of the largest and the smallest count.

    Our choice: it halves an exponential split, and tells the two levels of a step apart. Balanced classes have no tail.
    """
    if not counts:
        return frozenset()
    product = max(counts.values()) * min(counts.values())
    return frozenset(name for name, count in counts.items() if count**2 < product)


def draw_long_tail(counts: Mapping[str, int]) -> str:
    """Draw the training images per class as bars for a terminal, from head to tail, and their total below.

    The longest bar has 40 characters, and a class with images always a piece of one.
    """
    tail = tail_classes(counts)
    total, most, least = sum(counts.values()), max(counts.values()), min(counts.values())
    name_width, count_width = max(map(len, [*counts, "total"])), len(str(total))
    lines = [
        f"{name:{name_width}}  {count:{count_width}}  {'tail' if name in tail else 'head'}  {_bar(count / most)}"
        for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]
    groups = f"{len(counts) - len(tail)} head, {len(tail)} tail, imbalance factor {most / least:.1f}"
    return "\n".join([*lines, f"{'total':{name_width}}  {total:{count_width}}  {groups}"])


def _bar(share: float, width: int = 40) -> str:
    eighths = max(1, round(share * width * 8))
    return "█" * (eighths // 8) + ("", *"▏▎▍▌▋▊▉")[eighths % 8]


def split_hash(dataset: Dataset) -> str:
    """Return 16 hexadecimal digits that tell one choice of training images from another."""
    names = "\n".join(sorted(sample.name for sample in dataset.train))
    return hashlib.sha256(names.encode()).hexdigest()[:16]


def write_split(dataset: Dataset, path: str | os.PathLike[str]) -> None:
    """Write the training samples as UniAD writes them: one JSON object a line."""
    write_text(path, "".join(json.dumps(_row(sample), ensure_ascii=False) + "\n" for sample in dataset.train))


def _row(sample: Sample) -> dict[str, object]:
    return {
        "filename": sample.name,
        "label": sample.label,
        "label_name": "defective" if sample.label else "good",
        "clsname": sample.class_name,
    }


def read_split(path: str | os.PathLike[str], dataset: Dataset) -> Dataset:
    """Return the data set with the training samples that the file lists, in its order.

    The file holds UniAD-style JSON objects or plain paths inside the data set, one a line. A path may begin with the
    data set's own name (mvtec/bottle/train/good/000.png); one that is a name as it stands is taken so. An image that
    is listed twice counts once. Lines of test images are not for this and are refused like any unknown name.

    Raises:
        DatasetError: the file cannot be read, is empty, or names what is not a training image of the data set.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").split("\n")  # splitlines would also cut names with U+2028
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"The split “{path}” cannot be read. Give a text file of one image a line.") from error
    samples = {sample.name: sample for sample in dataset.train}
    chosen: dict[str, Sample] = {}
    for number, line in enumerate(map(str.strip, lines), start=1):
        if not line:
            continue
        name = _name(line)
        inner = next((spelling for spelling in _spellings(name or "", dataset.name) if spelling in samples), None)
        if inner is None:
            message = f"Line {number} of the split “{path}” names no training image of {dataset.name}: {name or line}"
            raise DatasetError(f"{message}. Use the data set that the split was made for.")
        chosen[inner] = samples[inner]
    if not chosen:
        raise DatasetError(f"The split “{path}” lists no image. Make it again with “splits”.")
    return replace(dataset, train=tuple(chosen.values()))


def _name(line: str) -> str | None:
    """Return the path that a line gives; None where it is a JSON object without one."""
    if not line.startswith("{"):
        return line
    try:
        name = json.loads(line).get("filename")
    except ValueError:
        return None
    return name if isinstance(name, str) else None


def _spellings(name: str, dataset_name: str) -> tuple[str, ...]:
    """The name itself, then as a path of slashes, then without the data set's own name before it."""
    path = name.replace("\\", "/").removeprefix("./")
    return name, path, path.removeprefix(f"{dataset_name}/")
