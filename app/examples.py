"""Pictures to click: parts of the demo factory from ``assets/``, and real solar cells from an installed package."""

import importlib.util
from pathlib import Path
from typing import NamedTuple

from ltad.checkpoint import CheckpointCard

ASSETS = Path(__file__).parent.parent / "assets" / "examples"
# Cells of the ELPV data set that are not among industrial-natural's training images.
SOLAR_CELLS = {
    "solar_mono": {"good": ("cell0004", "cell0009"), "defective": ("cell0001", "cell0005", "cell0007")},
    "solar_poly": {"good": ("cell0061", "cell0063"), "defective": ("cell0068", "cell0076", "cell0083")},
}


EXAMPLES_PER_CLASS = 4


class Example(NamedTuple):
    """A file to click on, and what is known of it."""

    path: Path
    class_name: str
    defect: str


def examples_for(card: CheckpointCard) -> list[Example]:
    """The examples of the classes that a checkpoint knows, by class, clean ones first."""
    found = [example for example in _factory() + _solar_cells() if example.class_name in card.class_names]
    return sorted(found, key=lambda e: (e.class_name, e.defect != "good", e.path.name))


def caption(example: Example, card: CheckpointCard) -> str:
    """Class, what is wrong with it, and whether the class is of the tail."""
    group = next(c.group for c in card.classes if c.name == example.class_name)
    words = f"{example.class_name}: {example.defect}".replace("_", " ")
    return f"{words} (tail)" if group == "tail" else words


def _factory() -> list[Example]:
    """Files named CLASS-DEFECT-NUMBER.jpg."""
    return [Example(path, *path.stem.split("-")[:2]) for path in sorted(ASSETS.glob("*.jpg"))]


def _solar_cells() -> list[Example]:
    """Empty where elpv-dataset is not installed: the app works without it."""
    spec = importlib.util.find_spec("elpv_dataset")
    if spec is None or spec.origin is None:
        return []
    images = Path(spec.origin).parent / "data" / "images"
    return [
        Example(images / f"{cell}.png", class_name, defect)
        for class_name, kinds in SOLAR_CELLS.items()
        for defect, cells in kinds.items()
        for cell in cells
    ]


def main() -> None:
    """Render the factory's examples into ``assets/examples``: one clean and three defective of every class.

    They are pictures that neither training nor testing uses: each index lies just beyond the test set's.
    """
    from ltad.data.demo import demo_dataset

    beyond = {"good": 20, "defective": 6}  # the sizes of the default test set
    dataset = demo_dataset(0, test_good=beyond["good"] + 1, test_defective_per_type=beyond["defective"] + 1)
    ASSETS.mkdir(parents=True, exist_ok=True)
    shown: dict[str, int] = {}
    for sample in dataset.test:
        last = beyond["defective" if sample.label else "good"]
        if not sample.name.endswith(f"/{last:03d}.png") or shown.get(sample.class_name, 0) == EXAMPLES_PER_CLASS:
            continue
        shown[sample.class_name] = shown.get(sample.class_name, 0) + 1
        name = f"{sample.class_name}-{sample.defect}-{last}.jpg"
        sample.read().save(ASSETS / name, quality=95, subsampling=0)
        print(f"wrote {name}")


if __name__ == "__main__":
    main()
