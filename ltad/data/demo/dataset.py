"""The demo factory as a data set, and as a folder of files."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from ltad.data import GOOD, Dataset, Sample
from ltad.data.demo.large import FLAWS, render_large
from ltad.data.demo.scene import CLASSES, DEFECTS, Rendering, render

# First numbers of the seeds: no test picture can ever be a training picture. Those of 1 were used up: the strength of
# the defects and the defaults of the method were chosen on them.
TRAIN, TEST = 0, 2


Render = Callable[[str, Sequence[int], str | None], Rendering]  # a photograph of a class, from a seed, with a defect


def rendered(
    name: str,
    render: Render,
    kinds: Mapping[str, Sequence[str]],
    *,
    train: int,
    test_good: int,
    test_defective_per_type: int,
) -> Dataset:
    """Describe a data set of rendered photographs; nothing is rendered before it is read.

    kinds: of defects that each class may have. Numbers: photographs of each class, or of each class and kind of defect.
    """

    def sample(class_name: str, split: str, kind: str, index: int) -> Sample:
        """Describe one photograph; its seed follows from its name alone."""
        defect = None if kind == GOOD else kind
        number = 0 if defect is None else 1 + list(kinds[class_name]).index(defect)
        seed = (TRAIN if split == "train" else TEST, number, index)
        return Sample(
            name=f"{class_name}/{split}/{kind}/{index:03d}.png",
            class_name=class_name,
            defect=kind,
            read=partial(_read, render, class_name, seed, defect),
            read_mask=None if defect is None else partial(_read_mask, render, class_name, seed, defect),
        )

    return Dataset(
        name=name,
        licence="Apache-2.0, rendered by this project",
        train=tuple(sample(each, "train", GOOD, k) for each in kinds for k in range(train)),
        test=tuple(
            sample(each, "test", kind, k)
            for each, own in kinds.items()
            for kind in (GOOD, *own)
            for k in range(test_good if kind == GOOD else test_defective_per_type)
        ),
    )


def _read(render: Render, class_name: str, seed: tuple[int, ...], defect: str | None) -> Image.Image:
    """Render a photograph."""
    return render(class_name, seed, defect).image


def _read_mask(render: Render, class_name: str, seed: tuple[int, ...], defect: str | None) -> np.ndarray:
    """Render a ground truth."""
    return render(class_name, seed, defect).mask


def demo_dataset(train: int = 200, test_good: int = 20, test_defective_per_type: int = 6) -> Dataset:
    """Describe the demo factory's data set, see ``rendered``."""
    return rendered(
        "demo",
        render,
        DEFECTS,
        train=train,
        test_good=test_good,
        test_defective_per_type=test_defective_per_type,
    )


def large_dataset(train: int = 40, test_good: int = 20, test_flawed_per_type: int = 10) -> Dataset:
    """Describe the demo factory in large, see ``rendered``."""
    return rendered(
        "demo-large",
        render_large,
        dict.fromkeys(CLASSES, tuple(FLAWS)),
        train=train,
        test_good=test_good,
        test_defective_per_type=test_flawed_per_type,
    )


def write(folder: str | Path, dataset: Dataset) -> None:
    """Write a data set as PNG files in the layout of MVTec AD; existing files of the same name are replaced."""
    for sample in (*dataset.train, *dataset.test):
        target = Path(folder, sample.name).with_suffix(".png")
        target.parent.mkdir(parents=True, exist_ok=True)
        sample.read().save(target)
        if sample.label and sample.read_mask is not None:
            truth = Path(folder, sample.class_name, "ground_truth", sample.defect, f"{target.stem}_mask.png")
            truth.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(sample.read_mask().astype(np.uint8) * 255).save(truth)
