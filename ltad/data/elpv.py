"""Real photographs: electroluminescence images of solar cells, from the installed package elpv-dataset.

2 624 grey images of 300 x 300 pixels, mono- and polycrystalline, CC BY-NC-SA 4.0.

Source: Buerhop-Lutz et al., A Benchmark for Visual Identification of Defective Solar Cells in Electroluminescence
Imagery, EU PVSEC 2018.
"""

import functools
import importlib.util
import random
from dataclasses import replace
from pathlib import Path

from ltad.data import DEFECTIVE, GOOD, Dataset, Sample
from ltad.data.listing import file_sample
from ltad.errors import DatasetError

TEST_PER_LABEL = 150


def elpv_dataset() -> Dataset:
    """List the cells that the experts were sure of; none is opened yet, and there are no masks.

    The classes are solar_mono and solar_poly. Cells with a defect probability of 0 are good, of 1 defective; those
    between are left out. Per class 150 good and 150 defective cells, drawn once and for all, are for testing; the
    remaining good ones (438 and 770) are for training.

    Raises:
        DatasetError: the package is missing or not as expected.
    """
    spec = importlib.util.find_spec("elpv_dataset")
    if spec is None or spec.origin is None:
        raise DatasetError("The solar cells are not installed. Install them with: pip install elpv-dataset")
    folder = Path(spec.origin).parent / "data"
    train: list[Sample] = []
    test: list[Sample] = []
    for class_name, kinds in _listing(folder / "labels.csv").items():
        for defect, names in kinds.items():
            random.Random(f"{class_name}/{defect}").shuffle(names)
            samples = [replace(file_sample(folder / name, folder, class_name, defect), file=None) for name in names]
            test += samples[:TEST_PER_LABEL]
            train += samples[TEST_PER_LABEL:] if defect == GOOD else []
    by_name = functools.partial(sorted, key=lambda sample: (sample.class_name, sample.name))
    return Dataset(name="elpv", licence="CC BY-NC-SA 4.0", train=tuple(by_name(train)), test=tuple(by_name(test)))


def _listing(path: Path) -> dict[str, dict[str, list[str]]]:
    """Read labels.csv: class → GOOD or DEFECTIVE → file names, sorted."""
    listing: dict[str, dict[str, list[str]]] = {f"solar_{kind}": {GOOD: [], DEFECTIVE: []} for kind in ("mono", "poly")}
    kinds = {0.0: GOOD, 1.0: DEFECTIVE}
    try:
        for line in sorted(path.read_text(encoding="utf-8").splitlines()):
            name, probability, cell = line.split()
            if float(probability) in kinds:
                listing[f"solar_{cell}"][kinds[float(probability)]].append(name)
    except (OSError, ValueError, KeyError) as error:
        raise DatasetError(
            f"“{path}” is not as expected. Install elpv-dataset again: pip install elpv-dataset"
        ) from error
    return listing
