"""What a user may call a data set, and where it comes from."""

from ltad.data import Dataset
from ltad.errors import DatasetError


def open_dataset(name_or_folder: str) -> Dataset:
    """Return the data set "demo" (rendered), "elpv" (solar cells), or that of a folder as MVTec AD, VisA or DAGM is.

    A folder of one of these names is reached by its path, such as "./demo". Its layout is told by what lies in it.

    Raises:
        DatasetError: the folder or the package is missing or not as expected.
    """
    if name_or_folder == "demo":
        from ltad.data.demo import demo_dataset

        return demo_dataset()
    if name_or_folder == "elpv":
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
    raise DatasetError(
        f"“{root}” has none of the layouts that were looked for: {layouts}. Give the folder that holds the classes."
    )
