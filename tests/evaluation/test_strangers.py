"""How many good photographs of products that a checkpoint never saw it takes for its own."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from ltad.data import DEFECTIVE, GOOD, Dataset, Sample
from ltad.errors import DatasetError
from ltad.evaluation.strangers import strangers_in_words
from ltad.evaluation.table import evaluate, format_table
from ltad.inspection.prediction import UNKNOWN
from ltad.inspection.predictor import Predictor
from ltad.progress import quiet
from tests.toys import toy_picture


def drawn(seed: int) -> Image.Image:
    """Dots, which the toy checkpoint knows, or from the twelfth on noise, which is nothing."""
    generator = np.random.default_rng(seed)
    pixels = toy_picture("dots", generator) if seed < 12 else generator.integers(0, 256, (96, 128, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def unreadable() -> None:
    raise AssertionError("an image was read that is no good one of a stranger")


@pytest.fixture(scope="module")
def strangers(toy_data: Dataset) -> Dataset:
    """Two strange products, and what must not be looked at: their defects, one without good images, and a known one."""
    mixed = [
        Sample(name=f"mixed/{i}.png", class_name="mixed", defect=GOOD, read=lambda i=i: drawn(i))
        for i in range(20)  # more than a batch
    ]
    alike = [replace(s, class_name="spots") for s in toy_data.test if s.class_name == "dots" and not s.label]
    hidden = [replace(mixed[0], defect=DEFECTIVE), replace(mixed[0], class_name="bolts", defect=DEFECTIVE)]
    hidden += [sample for sample in toy_data.test if sample.class_name == "checker"]
    hidden = [replace(sample, read=unreadable) for sample in hidden]
    return Dataset(name="others", train=(), test=(*mixed, *hidden, *alike))


@pytest.fixture(scope="module")
def table(predictor: Predictor, toy_data: Dataset, strangers: Dataset) -> dict:
    told: list[tuple[int, int]] = []
    table = evaluate(
        toy_data,
        predictor,
        strangers=strangers,
        progress=lambda stage, step, steps, loss=None: told.append((step, steps)),
    )
    assert told[-1] == (18 + 23, 18 + 23) and told == sorted(told)
    return table


def test_good_images_of_unknown_classes_are_judged_as_the_nearest_one(
    table: dict, predictor: Predictor, strangers: Dataset
) -> None:
    found = table["strangers"]
    known = [predictor.predict(sample.read()).verdict != UNKNOWN for sample in strangers.test[:20]]
    assert 0 < sum(known) < 20
    assert found["classes"] == {
        "mixed": {"n": 20, "taken": sum(known) / 20},
        "spots": {"n": 3, "taken": 1.0},
    }
    assert found["mean"] == pytest.approx((sum(known) / 20 + 1) / 2)
    low, high = found["mean_interval"]
    assert low < found["mean"] < high


def test_the_other_figures_are_what_they_are_without_strangers(table: dict, predictor: Predictor) -> None:
    published = predictor.card.metrics
    assert published and published["strangers"] is None
    assert table["left_out"] == []  # strangers are not of the data
    assert table["mean"]["all"]["image_auroc"] == pytest.approx(published["mean"]["all"]["image_auroc"], abs=1e-4)


def test_a_line_for_people(table: dict) -> None:
    line = next(line for line in format_table(table).splitlines() if line.startswith("strangers"))
    assert line.startswith(f"strangers taken for known: {100 * table['strangers']['mean']:.1f} % (")
    assert line.endswith(" over 2 classes, most of spots: 100.0 %")
    one = {"classes": {"rings": {"n": 4, "taken": 0.25}}, "mean": 0.25, "mean_interval": (0.0, 0.75)}
    expected = "strangers taken for known: 25.0 % (0.0–75.0) over 1 class, most of rings: 25.0 %"
    assert strangers_in_words(one) == expected


def test_data_without_a_stranger_is_refused_before_anything_is_read(predictor: Predictor, toy_data: Dataset) -> None:
    blind = replace(toy_data, test=tuple(replace(sample, read=unreadable) for sample in toy_data.test))
    with pytest.raises(DatasetError, match="toy has no good test images of a class that toy does not know: give data"):
        evaluate(blind, predictor, strangers=toy_data, progress=quiet)
