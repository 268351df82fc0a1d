"""What a user may call a data set, and where it comes from."""

from ltad.data import Dataset


def open_dataset(name_or_folder: str) -> Dataset:
    """Return the data set "demo" (rendered), "elpv" (solar cells), or that of a folder in MVTec AD's layout.

    A folder of one of these names is reached by its path, such as "./demo".

    Raises:
        DatasetError: the folder or the package is missing or not as expected.
    """
    if name_or_folder == "demo":
        from ltad.data.demo import demo_dataset

        return demo_dataset()
    if name_or_folder == "elpv":
        from ltad.data.elpv import elpv_dataset

        return elpv_dataset()
    from ltad.data.folder import folder_dataset

    return folder_dataset(name_or_folder)
