"""Files that answers are shown from."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.answers import in_a_new_file
from app.photograph import Photograph, Pictures


@pytest.fixture
def picture() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8))


def test_a_picture_is_written_once_however_often_it_is_shown(picture: Image.Image, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as visitors:
        paths = list(visitors.map(lambda _: in_a_new_file(picture, str(tmp_path / "cache")), range(12)))
    assert len(set(paths)) == 12
    for path in paths:
        assert Path(path).is_relative_to(tmp_path / "cache")
        with Image.open(path) as again:
            assert again.format == "PNG" and again.tobytes() == picture.tobytes()


def test_a_file_is_shown_as_it_is(tmp_path: Path) -> None:
    assert in_a_new_file("part.jpg", str(tmp_path)) == "part.jpg" and in_a_new_file(None, str(tmp_path)) is None
    assert not list(tmp_path.iterdir())


def test_components_show_pictures_from_new_files(picture: Image.Image) -> None:
    photographs = [Photograph().postprocess(picture).path for _ in range(2)]
    shown = Pictures().postprocess([(picture, "one"), (picture, "two")]).root
    paths = [*photographs, *(each.image.path for each in shown)]
    assert len(set(paths)) == 4 and all(Path(path).is_file() for path in paths)
    assert [each.caption for each in shown] == ["one", "two"]
    assert Photograph().postprocess(None) is None
