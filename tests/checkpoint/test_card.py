"""What a card says of data and classes before and after one more was added."""

from dataclasses import replace
from pathlib import Path

import pytest

from ltad.checkpoint.card import CheckpointCard, ClassCard, DataCard
from ltad.foundation import Fingerprint
from ltad.judging.calibration import Calibration, HeldOut
from ltad.presets import default


@pytest.fixture
def data() -> DataCard:
    return DataCard(
        name="demo", imbalance="exp100", order="size", split_hash="0" * 16, licence="CC0-1.0", command="train"
    )


def card_of(data: DataCard, **counts: int) -> CheckpointCard:
    classes = tuple(ClassCard(name=name, n_train=count, group="head") for name, count in counts.items())
    return CheckpointCard(
        path=Path("checkpoints/shop"),
        config=default(),
        foundation=Fingerprint("tiny", "0" * 64, 128),
        classes=classes,
        data=data,
        calibration=Calibration(dict.fromkeys(counts, HeldOut())),
        metrics=None,
    )


def test_a_new_class_is_named_beside_the_data_that_came_first(data: DataCard) -> None:
    once = data.with_images("rings", "a", is_new=True, command="adapt rings")
    twice = once.with_images("caps", "b", is_new=True, command="adapt caps")
    assert (data.base, once.base, twice.base) == ("demo", "demo", "demo")
    assert (once.name, twice.name) == ("demo and rings", "demo and rings and caps")
    assert (once.command, twice.command) == ("adapt rings", "adapt caps")
    assert (twice.imbalance, twice.order) == (data.imbalance, data.order)


def test_more_images_of_a_known_class_keep_the_name(data: DataCard) -> None:
    assert data.with_images("nut", "a", is_new=False, command="adapt").name == "demo"


def test_other_images_make_another_split(data: DataCard) -> None:
    hashes = [data.with_images("nut", images, is_new=True, command="adapt").split_hash for images in "aab"]
    assert hashes[0] == hashes[1] != hashes[2]
    assert data.split_hash not in hashes and all(len(each) == 16 for each in hashes)


def test_a_licence_is_added_to_and_none_stays_unknown(data: DataCard) -> None:
    added = data.with_images("nut", "a", is_new=True, command="adapt").licence
    assert added == "CC0-1.0; of the added images: their owner's"
    unknown = replace(data, licence="").with_images("nut", "a", is_new=True, command="adapt")
    assert unknown.licence == ""


def test_images_are_added_to_a_known_class_and_no_other(data: DataCard) -> None:
    card = card_of(data, nut=100, cap=20)
    told = [(c.name, c.n_train, c.group) for c in card.classes_with("cap", 7)]
    assert told == [("nut", 100, "head"), ("cap", 27, "head")]


@pytest.mark.parametrize(("images", "group"), [(5, "tail"), (60, "head")])
def test_a_new_class_comes_last_and_is_of_the_tail_where_it_has_few(data: DataCard, images: int, group: str) -> None:
    card = card_of(data, nut=100, cap=20)
    assert card.classes_with("ring", images) == (*card.classes, ClassCard(name="ring", n_train=images, group=group))


def test_a_class_has_its_number_and_an_unknown_one_is_answered_with_the_nearest_first(data: DataCard) -> None:
    card = card_of(data, nut=100, cap=20)
    assert card.name == "shop" and [card.class_id(name) for name in ("nut", "cap")] == [0, 1]
    with pytest.raises(ValueError, match="shop does not know the class “cups”; it knows cap, nut"):
        card.class_id("cups")
