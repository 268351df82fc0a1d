"""The folders that a class is sorted into, by the names that people give them, in any letter case."""

from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import NamedTuple, Self

from ltad.data import DEFECTIVE, GOOD, Fault, Sample
from ltad.data.held_out import hold_out
from ltad.data.listing import fault_of, image_files, images_below, masks_of, photograph_sample, visible
from ltad.photos.pile import Photograph, Pile

GOOD_NAMES = frozenset({GOOD, "ok", "normal"})
DEFECTIVE_NAMES = frozenset(
    {DEFECTIVE, "ng", "nok", "bad", "defect", "defects", "abnormal", "anomaly", "anomalies", "anomalous"}
)
MASK_NAMES = frozenset({"ground_truth", "groundtruth", "gt", "mask", "masks"})
TRAIN, TEST = frozenset({"train"}), frozenset({"test"})
HERE = PurePath()


class Parts(NamedTuple):
    """One class's photographs, named from its folder on: good ones to learn from, and those to test with.

    test: each with what is seen on it, ``GOOD`` or a kind of defect. is_split: whether it was said which good ones are
    for testing.
    """

    train: tuple[Photograph, ...]
    test: tuple[tuple[str, Photograph], ...]
    faults: tuple[Fault, ...]
    is_split: bool

    def held_out(self) -> tuple[Self, tuple[int, int]]:
        """The same with a share of the good ones for testing, and how many these are, of how many."""
        known, tested = hold_out(self.train)
        test = (*((GOOD, each) for each in tested), *self.test)
        return self._replace(train=known, test=test, is_split=True), (len(tested), len(self.train))

    def samples(self, class_name: str, place: PurePath = HERE) -> tuple[list[Sample], list[Sample]]:
        """Samples to learn from and to test with; place: of the class's folder in its data set."""

        def sample(photograph: Photograph, kind: str) -> Sample:
            name = (place / photograph.name).as_posix()
            return photograph_sample(photograph._replace(name=name), class_name, kind)

        return [sample(each, GOOD) for each in self.train], [sample(each, kind) for kind, each in self.test]


def is_sorted(folder: Path) -> bool:
    """Whether a folder is one class: its good photographs have a folder of their own, in “train” or directly."""
    return is_split(folder) or bool(_named(folder, GOOD_NAMES))


def is_split(folder: Path) -> bool:
    """Whether the good photographs to learn from are told from those to test with."""
    return any(_named(part, GOOD_NAMES) for part in _named(folder, TRAIN))


def parts_of(folder: Path, root: Path) -> Parts:
    """Read a class's folder, in which photographs may lie at any depth of their kind's; none is opened.

    Defective ones among those to learn from are for testing. root: of the data set, from which faults are named.
    """
    split = is_split(folder)
    learning = _named(folder, TRAIN) if split else [folder]
    testing = _named(folder, TEST) if split else []
    seen, tested = ([each for part in parts for each in _by_kind(part)] for parts in (learning, testing))
    good = _pile([each.image for each in seen if each.kind == GOOD], folder).good()
    others = [each for each in seen if each.kind != GOOD] + tested
    rest = _pile([each.image for each in others], folder).with_masks()
    masks, faults = _masks(folder, root, [*seen, *tested])
    faults += [fault_of(folder / name, root, reason) for name, reason in (*good.refused, *rest.refused)]
    astray = [part for part in (*learning, *testing) if image_files(part)]
    reason = "Photographs lie directly in it, not in a folder that says whether they are good. Move them there."
    faults += [fault_of(part, root, reason) for part in astray]
    kinds = {each.image: each.kind for each in others}
    test = tuple((kinds[each.path], _masked(each, kinds[each.path], masks)) for each in rest.photographs)
    return Parts(good.photographs, test, tuple(faults), split)


def flat_parts(folder: Path) -> Parts:
    """The photographs directly in a folder, all of them good."""
    pile = _pile(image_files(folder), folder).good()
    faults = [fault_of(folder / name, folder, reason) for name, reason in pile.refused]
    beside = [path for path in visible(folder) if path.is_dir() and images_below(path)]
    reason = "It lies beside good photographs and holds others. Put the good ones into a folder “OK” beside it."
    faults += [fault_of(path, folder, reason) for path in beside]
    return Parts(pile.photographs, (), tuple(faults), is_split=False)


def place_of(path: PurePath) -> PurePath:
    """The path of a photograph or a mask below its class, with the kind that is seen on it in front.

    “NG/7.png” and “7.png” are “defective/7.png”, and “NG/crack/7.png” is “crack/7.png”; nothing in “NG” is good.
    """
    *folders, name = path.parts
    first, *rest = folders or [DEFECTIVE]
    if first.lower() in GOOD_NAMES:
        return PurePath(GOOD, *rest, name)
    if first.lower() in DEFECTIVE_NAMES:
        is_kind = rest and rest[0].lower() not in GOOD_NAMES | DEFECTIVE_NAMES
        return PurePath(*(rest if is_kind else [DEFECTIVE, *rest]), name)
    return path


def _named(folder: Path, names: frozenset[str]) -> list[Path]:
    """The folders in a folder that have one of these names, in any letter case."""
    return [path for path in visible(folder) if path.name.lower() in names and path.is_dir()]


class _Seen(NamedTuple):
    """An image file, what is seen on it, and its path below the folder of such folders."""

    kind: str
    path: PurePath
    image: Path


def _by_kind(part: Path) -> list[_Seen]:
    """The images in the folders of a folder, but of those that hold masks."""
    folders = [path for path in visible(part) if path.is_dir() and path.name.lower() not in MASK_NAMES]
    paths = {image: image.relative_to(part) for folder in folders for image in images_below(folder)}
    return [_Seen(place_of(path).parts[0], path, image) for image, path in paths.items()]


def _masks(folder: Path, root: Path, seen: Sequence[_Seen]) -> tuple[dict[Path, Path], list[Fault]]:
    """The masks in a class's folders of masks by their images, and what is wrong with them; those of good ones are not.

    A mask that may be of a defective or of a good image by its name is of the defective one.
    """
    good, defective = (
        {each.path: each.image for each in seen if (each.kind == GOOD) is wanted} for wanted in (True, False)
    )
    pairs: dict[Path, Path] = {}
    faults: list[Fault] = []
    for truth in _named(folder, MASK_NAMES):
        found, wrong = masks_of(defective, truth, root, place=place_of)
        of_none = {fault.path for fault in masks_of(good, truth, root, place=place_of)[1]}
        pairs, faults = pairs | found, faults + [fault for fault in wrong if fault.path in of_none]
    return pairs, faults


def _pile(images: Sequence[Path], folder: Path) -> Pile:
    return Pile(tuple(Photograph(image.relative_to(folder).as_posix(), image) for image in images))


def _masked(photograph: Photograph, kind: str, masks: dict[Path, Path]) -> Photograph:
    """With the mask that lies beside it or in the folder of masks; a good one has none."""
    own = photograph.mask or masks.get(photograph.path)
    return photograph._replace(mask=None if kind == GOOD else own)
