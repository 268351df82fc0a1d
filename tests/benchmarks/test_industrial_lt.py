"""What ``benchmarks/industrial-lt.md`` says of the real set, and whether a copy of it is the one that was measured."""

import hashlib
import os
import re
from collections import Counter
from pathlib import Path

import pytest

from ltad.checkpoint.folder import read_card, shipped_checkpoint
from ltad.data import GOOD, Dataset, Sample
from ltad.data.longtail import long_tail, split_hash
from ltad.photos.decode import SUFFIXES

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
PAGE = (BENCHMARKS / "industrial-lt.md").read_text(encoding="utf-8")
LIST = (BENCHMARKS / "industrial-lt.sha256").read_text(encoding="utf-8").splitlines()
DIGESTS = {line[66:]: line[:64] for line in LIST}  # name inside the set → SHA-256
DATA = os.environ.get("LTAD_DATA", "")


def table(first_column: str) -> list[dict[str, str]]:
    """The rows of the page's table that begins with this column."""
    rows = re.search(rf"^\| {first_column} \|.*\n(?:\|.*\n)+", PAGE, flags=re.M)
    assert rows
    head, _, *body = ([cell.strip() for cell in row.strip("|").split("|")] for row in rows[0].splitlines())
    return [dict(zip(head, row, strict=True)) for row in body]


def sample(name: str) -> Sample:
    """What the reader of folders makes of a name; there is no image to read."""
    class_name, _, defect, _ = name.split("/")
    return Sample(name=name, class_name=class_name, defect=defect, read=lambda: pytest.fail("no image is needed"))


@pytest.fixture(scope="module")
def listed() -> Dataset:
    """The set as its list of names tells it."""
    parts = {part: tuple(sample(n) for n in DIGESTS if n.split("/")[1] == part) for part in ("train", "test")}
    return Dataset(name="industrial-lt", **parts)


def test_the_list_is_what_sha256sum_reads() -> None:
    form = re.compile(r"[0-9a-f]{64}  \w+/(train|test|ground_truth)/\w+/[\w.-]+\.(jpg|png)")
    assert all(form.fullmatch(line) for line in LIST)
    assert list(DIGESTS) == sorted(DIGESTS) and len(DIGESTS) == len(LIST)


def test_the_counts_are_those_of_the_list(listed: Dataset) -> None:
    assert {sample.defect for sample in listed.train} == {GOOD}
    for row in table("class"):
        tested = Counter(s.defect for s in listed.test if s.class_name == row["class"])
        assert listed.train_counts[row["class"]] == int(row["train good"])
        assert tested.pop(GOOD) == int(row["test good"])
        assert tested == {defect: int(count) for defect, count in re.findall(r"(\w+) (\d+)", row["test defective"])}
    assert sorted(row["class"] for row in table("class")) == list(listed.class_names)
    masks = [name for name in DIGESTS if "/ground_truth/" in name]
    images = f"{len(DIGESTS) - len(masks):,} images"
    parts = f"{len(listed.train):,} for training and {len(listed.test):,} for testing"
    assert f"{images}, {parts}, and {len(masks):,} masks" in PAGE


def test_every_defective_image_has_its_mask_or_its_class_has_none(listed: Dataset) -> None:
    without = {row["class"] for row in table("class") if row["masks"] == "no"}
    defective = [s.name for s in listed.test if s.label and s.class_name not in without]
    wanted = {re.sub(r"(.*)/test/(.*)\.jpg", r"\1/ground_truth/\2_mask.png", name) for name in defective}
    assert wanted == {name for name in DIGESTS if "/ground_truth/" in name}


def test_the_splits_follow_from_the_names(listed: Dataset) -> None:
    for row in table("imbalance"):
        split = long_tail(listed, row["imbalance"], row["order"])
        assert {name: int(row[name]) for name in listed.class_names} == split.train_counts
        assert int(row["total"]) == len(split.train)
        assert row["split_hash"] == f"`{split_hash(split)}`"


def test_the_checkpoint_was_trained_on_the_listed_images(listed: Dataset) -> None:
    card = read_card(shipped_checkpoint("industrial-natural"))
    assert card.data.split_hash == split_hash(long_tail(listed, card.data.imbalance, card.data.order))


def test_the_solar_cells_come_out_of_the_package_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    some = [line for line in LIST if "  solar_" in line][::400]
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "industrial-lt.sha256").write_text("\n".join(some) + "\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    block = re.search(r"```python\n(.*?)```", PAGE, flags=re.S)
    assert block and len(some) > 1
    exec(block[1], {})
    for line in some:
        assert hashlib.sha256(Path("industrial-lt", line[66:]).read_bytes()).hexdigest() == line[:64]


@pytest.mark.real
@pytest.mark.skipif(not DATA, reason="LTAD_DATA names no folder")
def test_the_copy_is_the_listed_set() -> None:
    paths = {path.relative_to(DATA).as_posix(): path for path in Path(DATA).rglob("*")}
    found = {name: path for name, path in paths.items() if path.suffix.lower() in SUFFIXES}
    assert sorted(found.keys() - DIGESTS.keys()) == [], "files that the list does not have"
    assert sorted(DIGESTS.keys() - found.keys()) == [], "files that are missing"
    digests = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in found.items()}
    assert [name for name in DIGESTS if digests[name] != DIGESTS[name]] == [], "files that differ"
