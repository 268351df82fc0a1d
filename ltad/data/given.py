"""One class whose good photographs, defective ones and masks lie wherever they lie, each in a folder of their own."""

from collections.abc import Iterable
from pathlib import Path, PurePath

from ltad.data import DEFECTIVE, GOOD, Dataset, Fault
from ltad.data.held_out import in_words
from ltad.data.listing import existing_folder, images_below, masks_of, shown_name
from ltad.data.parts import DEFECTIVE_NAMES, GOOD_NAMES, MASK_NAMES, Parts, place_of
from ltad.errors import DatasetError
from ltad.photos.pile import Photograph, Pile, Refusal

NORMAL, ABNORMAL, MASKS = "normal", "abnormal", "masks"  # the first parts of the samples' and the faults' names


def given_dataset(normal: Path, abnormal: Path | None, masks: Path | None, class_name: str | None) -> Dataset:
    """List the photographs below the folders; none is opened, and a share of the good ones is held out for testing.

    Folders in ``abnormal`` are kinds of defects. A mask has the name of its photograph, with or without “_mask”, in the
    same folder below ``masks`` or directly in it, or lies beside its photograph. class_name: None = the name of the
    folder of good ones, or of the one that it is in where it is called “OK” or the like.

    Raises:
        DatasetError: a folder is missing, or one of good or of defective photographs holds none.
    """
    good, wrong = _good(existing_folder(normal), [existing_folder(each) for each in (abnormal, masks) if each])
    test, also = _defective(abnormal, masks) if abnormal else ([], [])
    for folder, found, kind in ((normal, good, "good"), (abnormal, test, "defective")):
        if folder and not found:
            raise DatasetError(f"“{folder}” holds no photographs. Give the folder of {kind} ones.")
    parts, held_out = Parts(tuple(good), tuple(test), (*wrong, *also), is_split=False).held_out()
    name = class_name or _class_name(normal)
    known, tested = parts.samples(name)
    note = in_words({name: held_out})
    return Dataset(name=name, train=tuple(known), test=tuple(tested), faults=parts.faults, notes=(note,))


def _class_name(folder: Path) -> str:
    own = shown_name(folder)
    return shown_name(folder / "..") if own.lower() in GOOD_NAMES else own


def _good(folder: Path, others: list[Path]) -> tuple[list[Photograph], list[Fault]]:
    """The photographs below a folder, but of the folders that are given for others or named as if they held others."""
    taken = {each.resolve() for each in others}
    images, foreign = [], set[Path]()
    for image in images_below(folder):
        above = [path for path in image.parents if path.is_relative_to(folder) and path != folder]
        named = [path for path in above if path.name.lower() in DEFECTIVE_NAMES | MASK_NAMES]
        if not taken & {path.resolve() for path in above}:
            foreign |= {*named}
            images += [] if named else [image]
    pile = Pile(tuple(_photograph(image, folder, NORMAL) for image in images)).good()
    reason = "It lies among good photographs and is named as if it held others. Give it with “--abnormal” or “--masks”."
    wrong = [Fault(f"{NORMAL}/{path.relative_to(folder).as_posix()}", path, reason) for path in sorted(foreign)]
    return [*pile.photographs], _faults(pile.refused, folder, NORMAL) + wrong


def _defective(folder: Path, masks: Path | None) -> tuple[list[tuple[str, Photograph]], list[Fault]]:
    """The photographs below a folder, each with its kind of defect and its mask."""
    pile = Pile(tuple(_photograph(image, folder, ABNORMAL) for image in images_below(folder))).with_masks()
    faults = _faults(pile.refused, folder, ABNORMAL)
    paths = {PurePath(each.path.relative_to(folder)): each.path for each in pile.photographs}
    marked: dict[Path, Path] = {}
    if masks:
        marked, wrong = masks_of(paths, masks, masks, place=_place)
        faults += [fault._replace(name=f"{MASKS}/{fault.name}") for fault in wrong]
    kinds = {image: _place(path).parts[0] for path, image in paths.items()}
    return [(kinds[p.path], p._replace(mask=p.mask or marked.get(p.path))) for p in pile.photographs], faults


def _place(path: PurePath) -> PurePath:
    """As ``place_of``, where nothing is good, whatever its folder is called."""
    place = place_of(path)
    return PurePath(DEFECTIVE, path) if place.parts[0] == GOOD else place


def _photograph(image: Path, folder: Path, first: str) -> Photograph:
    return Photograph(f"{first}/{image.relative_to(folder).as_posix()}", image)


def _faults(refused: Iterable[Refusal], folder: Path, first: str) -> list[Fault]:
    return [Fault(name, folder / name.removeprefix(f"{first}/"), reason) for name, reason in refused]
