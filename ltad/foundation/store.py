"""Features on disk, a file for each picture, so that another process or another day need not encode it again."""

from collections.abc import Iterator, MutableMapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ltad.files import whole_file
from ltad.foundation.features import Row


class FeatureFolder(MutableMapping[str, Row]):
    """A folder of features by the key of their picture and tower, see ``Encoder``.

    Several processes may share it: files are whole or not there. One that is damaged counts as missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __getitem__(self, key: str) -> Row:
        try:
            return tuple(tensor for _, tensor in sorted(load_file(self._path(key)).items()))
        except (OSError, SafetensorError) as error:
            raise KeyError(key) from error

    def __setitem__(self, key: str, row: Row) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with whole_file(self._path(key)) as partial:
            save_file({f"{i:02}": tensor for i, tensor in enumerate(row)}, partial)

    def __delitem__(self, key: str) -> None:
        try:
            self._path(key).unlink()
        except OSError as error:
            raise KeyError(key) from error

    def __iter__(self) -> Iterator[str]:
        return (path.stem for path in sorted(self.folder.glob("*.safetensors")))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.safetensors"
