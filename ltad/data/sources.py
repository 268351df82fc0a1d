"""What a user may call a data set, and where it comes from; several can be joined to one."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from ltad.data import Dataset
from ltad.errors import DatasetError

DEMO, LARGE, ELPV = "demo", "demo-large", "elpv"
JOINED = " + "  # between the names of data sets that are one


def open_dataset(name_or_folder: str, *more: str) -> Dataset:
    """Return the data set "demo" (rendered), "demo-large" (small flaws in large photographs), "elpv" (solar cells), or
    that of a folder as people have them.

    A folder of one of these names is reached by its path, such as "./demo". Its layout is told by what lies in it.
    Several are joined: the whole has the names of all, and each sample's name begins with that of its own data set.

    Raises:
        DatasetError: a folder or the package is missing or not as expected, two of several are the same or have a
            class or an image of one name, or there are faults, all of which it lists.
    """
    return list_dataset(name_or_folder, *more).whole()


def list_dataset(name_or_folder: str, *more: str) -> Dataset:
    """Return what ``open_dataset`` does, with the faults that there are; none of its images is opened."""
    sources = (name_or_folder, *more)
    _refuse_shared(sources, [[_place(source)] for source in sources], "are one data set: give it once.")
    datasets = [_open(source) for source in sources]
    return _joined(sources, datasets) if more else datasets[0]


def _open(name_or_folder: str) -> Dataset:
    if name_or_folder == DEMO:
        from ltad.data.demo import demo_dataset

        return demo_dataset()
    if name_or_folder == LARGE:
        from ltad.data.demo import large_dataset

        return large_dataset()
    if name_or_folder == ELPV:
        from ltad.data.elpv import elpv_dataset

        return elpv_dataset()
    from ltad.data import dagm, folder, listing, visa

    root = listing.existing_folder(name_or_folder)
    if (root / visa.LISTING).is_file():
        return visa.visa_dataset(root)
    if dagm.class_folders(root):
        return dagm.dagm_dataset(root)
    if folder.class_folders(root):
        return folder.folder_dataset(root)
    layouts = f"MVTec AD (CLASS/train/good), VisA ({visa.LISTING}), DAGM (Class1/Train)"
    layouts += ", good and defective ones apart (OK, NG or CLASS/OK, CLASS/NG), or good ones alone"
    raise DatasetError(
        f"“{root}” has none of the layouts that were looked for: {layouts}. Give the folder that holds the classes, "
        f"or the one of the good photographs with “--normal”."
    )


def _place(name_or_folder: str) -> str:
    """The same for two spellings of one folder."""
    return name_or_folder if name_or_folder in (DEMO, LARGE, ELPV) else str(Path(name_or_folder).resolve())


def _joined(sources: Sequence[str], datasets: Sequence[Dataset]) -> Dataset:
    """One data set of several; sources: what the user calls them."""
    classes = [[sample.class_name for sample in (*each.train, *each.test)] for each in datasets]
    _refuse_shared(sources, classes, "both have a class “{}”: leave one of them out, or rename the class in one.")
    named = [_named(each) for each in datasets]
    images = [[sample.name for sample in (*each.train, *each.test)] for each in named]
    _refuse_shared(sources, images, "both have an image “{}”: rename one of the folders.")
    return Dataset(
        name=JOINED.join(each.name for each in named),
        licence=_licence(named),
        train=tuple(sample for each in named for sample in each.train),
        test=tuple(sample for each in named for sample in each.test),
        faults=tuple(fault for each in named for fault in each.faults),
        notes=tuple(note for each in named for note in each.notes),
    )


def _named(dataset: Dataset) -> Dataset:
    """The data set with names that begin with its own, of samples and faults."""
    train, test = (
        tuple(replace(sample, name=f"{dataset.name}/{sample.name}") for sample in part)
        for part in (dataset.train, dataset.test)
    )
    faults = tuple(fault._replace(name=f"{dataset.name}/{fault.name}") for fault in dataset.faults)
    return replace(dataset, train=train, test=test, faults=faults)


def _licence(datasets: Sequence[Dataset]) -> str:
    """Each licence once; where some are stated, the data sets without one are named."""
    if not any(each.licence for each in datasets):
        return ""
    return "; ".join(dict.fromkeys(each.licence or f"of {each.name}: not stated" for each in datasets))


def _refuse_shared(sources: Sequence[str], contents: Iterable[Iterable[str]], sentence: str) -> None:
    """Raise DatasetError where two sources hold the same thing; sentence: its end, with {} for that thing."""
    owners: dict[str, str] = {}
    for source, held in zip(sources, contents, strict=True):
        for each in sorted(set(held)):
            if each in owners:
                raise DatasetError(f"“{owners[each]}” and “{source}” {sentence.format(each)}")
            owners[each] = source
