"""How many images each class keeps, which, and the files that say so."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ltad.data import GOOD, Dataset, Sample
from ltad.data.longtail import (
    draw_long_tail,
    long_tail,
    long_tail_counts,
    read_split,
    split_hash,
    tail_classes,
    write_split,
)
from ltad.errors import DatasetError

MVTEC = {
    "bottle": 209, "cable": 224, "capsule": 219, "carpet": 280, "grid": 264, "hazelnut": 391, "leather": 245,
    "metal_nut": 220, "pill": 267, "screw": 320, "tile": 230, "toothbrush": 60, "transistor": 213, "wood": 247,
    "zipper": 240,
}  # fmt: skip

availables = st.dictionaries(st.text("abcdefgh", min_size=1, max_size=3), st.integers(1, 900), min_size=1, max_size=15)
factors = st.sampled_from(["1.5", "2", "50", "100", "200.0", "500"])
imbalances = st.one_of(
    st.sampled_from(["none", "none-reverse"]),
    st.builds(lambda shape, factor, end: shape + factor + end, st.sampled_from(["exp", "step"]), factors,
              st.sampled_from(["", "-reverse"])),
)  # fmt: skip
orders = st.sampled_from(["alphabetical", "size"])


UNUSUAL = {  # names as VisA and DAGM give them
    "candle": ["candle/Data/Images/Normal/0000.JPG", "candle/Data/Images/Normal/0001.JPG"],
    "Class1": ["Class1/Train/0001.PNG"],
    "Class10": ["Class10/Class10/Train/0001.PNG"],
}


def dataset_named(names: dict[str, list[str]], dataset_name: str = "toy") -> Dataset:
    """Training samples of these names, class by class."""
    train = tuple(
        Sample(name=name, class_name=class_name, defect=GOOD, read=lambda: Image.new("RGB", (16, 16)))
        for class_name, inside in names.items()
        for name in inside
    )
    return Dataset(name=dataset_name, train=train, test=())


def dataset_of(counts: dict[str, int]) -> Dataset:
    def sample(class_name: str, part: str, number: int) -> Sample:
        name = f"{class_name}/{part}/good/{number:03}.png"
        return Sample(name=name, class_name=class_name, defect=GOOD, read=lambda: Image.new("RGB", (16, 16)))

    train = tuple(sample(name, "train", number) for name, count in counts.items() for number in range(count))
    return Dataset(name="toy", train=train, test=tuple(sample(name, "test", 0) for name in counts))


def names(dataset: Dataset) -> list[str]:
    return [sample.name for sample in dataset.train]


def test_mvtec_as_the_formula_gives_it() -> None:
    assert list(long_tail_counts(MVTEC, "exp100").values()) == [
        209,
        150,
        108,
        77,
        56,
        40,
        29,
        20,
        15,
        10,
        7,
        5,
        4,
        2,
        2,
    ]
    assert list(long_tail_counts(MVTEC, "exp200").values()) == [209, 143, 98, 67, 45, 31, 21, 14, 10, 6, 4, 3, 2, 1, 1]
    assert list(long_tail_counts(MVTEC, "step100").values()) == [209] * 8 + [2] * 7
    reverse = long_tail_counts(MVTEC, "step200-reverse")
    assert list(reverse) == sorted(MVTEC, reverse=True)
    assert list(reverse.values()) == [240, 240, 213, 60, 230, 240, 240, 220] + [1] * 7
    by_size = long_tail_counts(MVTEC, "exp100", order="size")
    assert (next(iter(by_size)), by_size["hazelnut"], by_size["toothbrush"]) == ("hazelnut", 391, 3)
    assert long_tail_counts(MVTEC, "none") == MVTEC


@settings(deadline=None)
@given(availables, imbalances, orders)
def test_counts_are_possible_and_fall(available: dict[str, int], imbalance: str, order: str) -> None:
    counts = long_tail_counts(available, imbalance, order)
    assert counts.keys() == available.keys()
    assert all(1 <= counts[name] <= available[name] for name in counts)
    if imbalance.startswith("none"):
        assert counts == available
    else:
        first = next(iter(counts))
        assert counts[first] == available[first] == max(counts.values())
        uncapped = [count for name, count in counts.items() if count < available[name]]
        assert uncapped == sorted(uncapped, reverse=True)


@settings(deadline=None)
@given(availables, imbalances, orders)
def test_reverse_turns_the_order_round(available: dict[str, int], imbalance: str, order: str) -> None:
    other = imbalance.removesuffix("-reverse") if imbalance.endswith("-reverse") else imbalance + "-reverse"
    assert list(long_tail_counts(available, other, order)) == list(long_tail_counts(available, imbalance, order))[::-1]


@pytest.mark.parametrize("imbalance", ["none", "exp100", "step100", "exp2-reverse"])
def test_one_class_keeps_all(imbalance: str) -> None:
    assert long_tail_counts({"only": 7}, imbalance) == {"only": 7}


@pytest.mark.parametrize(
    "imbalance", ["", "exp", "exp1", "exp0.5", "exp-100", "step1e2", "EXP100", "exp100 ", "pareto100", "exp100reverse"]
)
def test_unknown_imbalances_name_the_known_ones(imbalance: str) -> None:
    with pytest.raises(ValueError, match="none, expN or stepN"):
        long_tail_counts({"a": 5}, imbalance)


def test_other_bad_arguments() -> None:
    with pytest.raises(ValueError, match="order must be one of alphabetical, size"):
        long_tail_counts({"a": 5}, "none", order="random")
    for available in ({}, {"a": 5, "b": 0}):
        with pytest.raises(ValueError, match="at least one"):
            long_tail_counts(available, "exp100")


def test_smaller_levels_are_parts_of_larger_ones() -> None:
    dataset = dataset_of({"a": 60, "b": 60, "c": 60})
    levels = [set(names(long_tail(dataset, imbalance))) for imbalance in ("none", "exp2", "exp10", "exp50")]
    for larger, smaller in pairwise(levels):
        assert smaller < larger
    kept = long_tail(dataset, "exp10")
    assert kept.train_counts == {"a": 60, "b": 18, "c": 6}
    assert kept.test == dataset.test
    assert names(kept) == sorted(names(kept))


def test_the_choice_depends_on_seed_and_class_only() -> None:
    dataset = dataset_of({"a": 60, "b": 60, "c": 60})
    turned = Dataset(name="toy", train=dataset.train[::-1], test=dataset.test)
    assert names(long_tail(dataset, "exp10")) == names(long_tail(turned, "exp10"))
    assert names(long_tail(dataset, "exp10")) != names(long_tail(dataset, "exp10", seed=1))
    last = [name[-7:] for name in names(long_tail(dataset, "exp10")) if name.startswith("c")]
    # Written down, since published splits must stay what they are.
    assert last == PUBLISHED


PUBLISHED = ["018.png", "023.png", "025.png", "036.png", "039.png", "059.png"]


@settings(deadline=None)
@given(st.dictionaries(st.text(min_size=1, max_size=3), st.integers(1, 900), max_size=12))
def test_the_tail_has_less_than_the_head(counts: dict[str, int]) -> None:
    tail = tail_classes(counts)
    head = counts.keys() - tail
    assert not counts or head
    assert all(counts[small] < counts[large] for small in tail for large in head)


def test_tails_of_usual_splits() -> None:
    exp = tail_classes(long_tail_counts(MVTEC, "exp100"))
    assert exp == {"metal_nut", "pill", "screw", "tile", "toothbrush", "transistor", "wood", "zipper"}
    assert tail_classes(long_tail_counts(MVTEC, "step100")) == set(list(MVTEC)[8:])
    assert tail_classes({"a": 5, "b": 5}) == frozenset() == tail_classes({})


def test_splits_survive_their_file(tmp_path: Path) -> None:
    dataset = dataset_of({"ä": 20, "b": 20})
    kept = long_tail(dataset, "exp10")
    path = tmp_path / "split.json"
    write_split(kept, path)
    assert [file.name for file in tmp_path.iterdir()] == ["split.json"]
    first = json.loads(path.read_text(encoding="utf-8").splitlines()[0])
    assert first == {"filename": "b/train/good/000.png", "label": 0, "label_name": "good", "clsname": "b"}
    read = read_split(path, dataset)
    assert (read.train, read.test) == (kept.train, dataset.test)
    assert split_hash(read) == split_hash(kept) != split_hash(dataset)
    assert len(split_hash(kept)) == 16


def test_plain_lists_are_read_too(tmp_path: Path) -> None:
    dataset = dataset_of({"a": 3})
    path = tmp_path / "list.txt"
    path.write_bytes(b"\xef\xbb\xbf./a/train/good/002.png\r\n\r\na\\train\\good\\000.png\r\na/train/good/002.png\r\n")
    assert names(read_split(path, dataset)) == ["a/train/good/002.png", "a/train/good/000.png"]


@settings(deadline=None)
@given(st.sets(st.text(st.sampled_from('a/\\ .{"ä\u2028\x85\n'), min_size=1), min_size=1, max_size=5))
def test_files_bring_back_any_name(tmp_path_factory: pytest.TempPathFactory, inside: set[str]) -> None:
    dataset = dataset_named({"a": sorted(inside)})
    path = tmp_path_factory.mktemp("names") / "split.json"
    write_split(dataset, path)
    assert names(read_split(path, dataset)) == sorted(inside)


def test_an_image_listed_twice_counts_once(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text('a/train/good/001.png\n{"filename": "a/train/good/001.png"}\ntoy/a/train/good/001.png\n')
    assert names(read_split(path, dataset_of({"a": 3}))) == ["a/train/good/001.png"]


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("leading", ["", "./", "toy/", "./toy/"])
def test_paths_of_every_layout_with_and_without_the_name_of_the_folder(
    leading: str, as_json: bool, tmp_path: Path
) -> None:
    dataset = dataset_named(UNUSUAL)
    listed = [UNUSUAL["Class10"][0], UNUSUAL["candle"][1], UNUSUAL["Class1"][0]]
    lines = [json.dumps({"filename": leading + name}) if as_json else leading + name for name in listed]
    (tmp_path / "split").write_text("\n".join(lines))
    assert names(read_split(tmp_path / "split", dataset)) == listed


def test_a_name_as_it_stands_comes_before_one_without_the_folder(tmp_path: Path) -> None:
    dataset = dataset_named({"bolt": ["bolt/train/0.png", "train/0.png", "train/1.png"]}, dataset_name="bolt")
    (tmp_path / "split").write_text("bolt/train/0.png\nbolt/train/1.png\n")
    assert names(read_split(tmp_path / "split", dataset)) == ["bolt/train/0.png", "train/1.png"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("a/test/good/000.png", "Line 2 .* names no training image of toy: a/test/good/000.png"),
        ('{"filename": "b/train/good/000.png"}', "Line 2 .*: b/train/good/000.png"),
        ("toys/a/train/good/000.png", "Line 2 .*: toys/a/train/good/000.png"),
        ("toy/toy/a/train/good/000.png", "Line 2 .*: toy/toy/a/train/good/000.png"),
        ("other/toy/a/train/good/000.png", "Line 2 .*: other/toy/a/train/good/000.png"),
        ('{"file": "a/train/good/000.png"}', "Line 2 .* names no training image"),
        ('{"filename": 3}', "Line 2 .* names no training image"),
        ("{broken", "Line 2 .* names no training image"),
    ],
)
def test_unknown_images_are_named_with_their_line(line: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    path.write_text(f"a/train/good/000.png\n{line}\n")
    with pytest.raises(DatasetError, match=reason):
        read_split(path, dataset_of({"a": 3}))


def test_files_that_are_no_splits(tmp_path: Path) -> None:
    dataset = dataset_of({"a": 3})
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for name, reason in (("absent", "cannot be read"), ("binary", "cannot be read"), ("empty", "lists no image")):
        with pytest.raises(DatasetError, match=reason):
            read_split(tmp_path / name, dataset)


def test_the_drawing_of_a_long_tail() -> None:
    assert draw_long_tail({"bolt": 4, "a long name": 80, "pin": 40, "nut": 79, "cap": 4}).splitlines() == [
        "a long name   80  head  " + "█" * 40,
        "nut           79  head  " + "█" * 39 + "▌",
        "pin           40  head  " + "█" * 20,
        "bolt           4  tail  " + "█" * 2,
        "cap            4  tail  " + "█" * 2,
        "total        207  3 head, 2 tail, imbalance factor 20.0",
    ]


@settings(deadline=None)
@given(st.dictionaries(st.text("abcdefgh", min_size=1, max_size=30), st.integers(1, 9000), min_size=1, max_size=15))
def test_every_long_tail_is_drawn_to_scale(counts: dict[str, int]) -> None:
    *rows, total = draw_long_tail(counts).splitlines()
    drawn = [row.split() for row in rows]
    assert {name: int(count) for name, count, _, _ in drawn} == counts
    assert [name for name, *_ in drawn] == sorted(counts, key=lambda name: (-counts[name], name))
    assert {name for name, _, group, _ in drawn if group == "tail"} == tail_classes(counts)
    lengths = [len(bar) - 1 + " ▏▎▍▌▋▊▉█".index(bar[-1]) / 8 for *_, bar in drawn]
    for (_, count, _, _), length in zip(drawn, lengths, strict=True):
        wanted = max(40 * int(count) / max(counts.values()), 1 / 8)
        assert abs(length - wanted) <= 1 / 16
    assert len({row.index("█" if "█" in row else row.split()[-1]) for row in rows}) == 1  # one column
    assert total.split()[:2] == ["total", str(sum(counts.values()))]
