"""The demo factory: same seed same bits, exact masks, and the MVTec AD layout on disk."""

import pickle
from functools import cache

import numpy as np
import pytest
from PIL import Image

from ltad.data.demo import (
    CLASSES,
    DEFECTS,
    FLAWS,
    Rendering,
    demo_dataset,
    large_dataset,
    render,
    render_large,
    write,
)

KINDS = [(name, defect) for name in CLASSES for defect in DEFECTS[name]]


def test_at_least_twelve_classes_with_four_kinds_of_defect_each() -> None:
    assert len(CLASSES) >= 12
    assert min(len(kinds) for kinds in DEFECTS.values()) >= 4


def test_a_picture_depends_on_its_arguments_only() -> None:
    first = render("gear", [1, 2, 3], "rust")
    render("wood", 5)
    render("gear", 5)
    second = render("gear", [1, 2, 3], "rust")
    assert np.array_equal(np.asarray(first.image), np.asarray(second.image))
    assert np.array_equal(first.mask, second.mask)
    assert not np.array_equal(np.asarray(first.image), np.asarray(render("gear", [1, 2, 4], "rust").image))


@cache
def render_normal(class_name: str) -> Rendering:
    return render(class_name, 7)


@pytest.mark.parametrize(("class_name", "defect"), KINDS)
def test_the_picture_changes_where_the_mask_says(class_name: str, defect: str) -> None:
    normal, defective = render_normal(class_name), render(class_name, 7, defect)
    assert not normal.mask.any()
    assert defective.mask.shape == (256, 256) and defective.mask.dtype == bool
    assert 0 < defective.mask.mean() < 0.4
    change = np.abs(np.asarray(defective.image, float) - np.asarray(normal.image, float)).mean(axis=2)
    inside, outside = change[defective.mask].mean(), change[~defective.mask].mean()
    assert inside > 4 * outside
    assert outside < 1.5  # of 255: shadows, and what the file format spreads


def test_training_and_test_pictures_differ() -> None:
    dataset = demo_dataset(train=3, test_good=3, test_defective_per_type=1)
    names = [sample.name for sample in (*dataset.train, *dataset.test)]
    assert len(set(names)) == len(names)
    assert {"gear/train/good/000.png", "gear/test/missing_tooth/000.png"} <= set(names)
    gears = [s.read().tobytes() for s in (*dataset.train, *dataset.test) if s.name.startswith("gear/") and not s.label]
    assert len(set(gears)) == 6


def test_samples_travel_to_another_process() -> None:
    sample = demo_dataset(1, 0, 1).test[0]
    twin = pickle.loads(pickle.dumps(sample))
    assert twin.read().tobytes() == sample.read().tobytes()


def test_unknown_names_are_refused_with_those_that_exist() -> None:
    with pytest.raises(ValueError, match=r"zipper.*got 'zip'"):
        render("zip", 0)
    with pytest.raises(ValueError, match=r"missing_tooth.*got 'hole'"):
        render("gear", 0, "hole")


def test_write_gives_the_layout_of_mvtec_ad(tmp_path) -> None:
    full = demo_dataset(train=1, test_good=1, test_defective_per_type=1)
    chosen = type(full)(
        name=full.name,
        train=tuple(s for s in full.train if s.class_name == "wood"),
        test=tuple(s for s in full.test if s.class_name == "wood"),
    )
    write(tmp_path, chosen)
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png")}
    kinds = DEFECTS["wood"]
    assert written == {
        "wood/train/good/000.png",
        "wood/test/good/000.png",
        *(f"wood/test/{kind}/000.png" for kind in kinds),
        *(f"wood/ground_truth/{kind}/000_mask.png" for kind in kinds),
    }
    with Image.open(tmp_path / "wood/test/hole/000.png") as image:
        assert image.mode == "RGB" and image.size == (256, 256)
    with Image.open(tmp_path / "wood/ground_truth/hole/000_mask.png") as mask:
        assert set(np.unique(np.asarray(mask))) == {0, 255}


@pytest.mark.parametrize("class_name", CLASSES)
def test_in_large_the_same_part_has_flaws_of_a_few_pixels(class_name: str) -> None:
    normal = render_large(class_name, 7)
    assert normal.image.size == (1024, 1024) and not normal.mask.any()
    small = np.asarray(normal.image.resize((256, 256), Image.Resampling.BOX), float)
    assert np.corrcoef(small.ravel(), np.asarray(render(class_name, 7).image, float).ravel())[0, 1] > 0.9
    for flaw in FLAWS:
        flawed = render_large(class_name, 7, flaw)
        change = np.abs(np.asarray(flawed.image, float) - np.asarray(normal.image, float)).mean(axis=2)
        assert 20 <= flawed.mask.sum() <= 700  # of a million
        assert change[flawed.mask].mean() > 4 * change[~flawed.mask].mean()


def test_large_photographs_are_a_data_set_of_their_own() -> None:
    dataset = large_dataset(train=2, test_good=1, test_flawed_per_type=1)
    assert len(dataset.train) == 2 * len(CLASSES) and len(dataset.test) == (1 + len(FLAWS)) * len(CLASSES)
    flawed = next(sample for sample in dataset.test if sample.label)
    assert flawed.read_mask and flawed.read().size == flawed.read_mask().shape[::-1] == (1024, 1024)
    with pytest.raises(ValueError, match="flaw must be one of scratch, pinhole, fibre, got 'dent'"):
        render_large("gear", 0, "dent")
    with pytest.raises(ValueError, match="class_name must be one of"):
        render_large("cog", 0)
