"""The pictures that an inspection leaves, and their names."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ltad.inspection.prediction import Prediction
from ltad.inspection.predictor import Predictor
from ltad.inspection.results import Results
from tests.toys import rings

stems = st.text(st.sampled_from("aAéßſ-2_mp ."), min_size=1, max_size=4).filter(lambda stem: set(stem) != {"."})


@pytest.fixture(scope="module")
def prediction(predictor: Predictor) -> Prediction:
    found = predictor.predict(rings(0).resize((20, 16)))
    assert isinstance(found, Prediction)
    return found


def written(results: Results, prediction: Prediction, names: list[str]) -> list[str]:
    """The names of the pictures of photographs, all of which are there."""
    paths = [path for name in names for path in results.write(prediction, Path("anywhere", name)).values()]
    assert all(Path(path).is_file() and Path(path).parent == results.folder for path in paths)
    return [Path(path).name for path in paths]


@settings(max_examples=40, deadline=None)
@given(names=st.lists(stems, min_size=1, max_size=6))
def test_no_two_pictures_have_one_name_on_any_file_system(
    names: list[str], prediction: Prediction, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("results")
    pictures = written(Results(folder), prediction, [f"{name}.jpg" for name in names])
    pictures += written(Results(folder), prediction, [f"{name}.png" for name in names])  # a later inspection
    assert len(pictures) == 4 * len(names) == len(list(folder.iterdir()))
    for form in ("NFC", "NFD"):
        assert len({unicodedata.normalize(form, name.casefold()).casefold() for name in pictures}) == len(pictures)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a.jpg", "a.png", "a-2.jpg"], ["a", "a-2", "a-2-2"]),
        (["a-2.jpg", "a.jpg", "a.png"], ["a-2", "a", "a-3"]),
        (["Part.jpg", "part.jpg", "PART.JPG"], ["Part", "part-2", "PART-3"]),
        (["é.jpg", "e\u0301.jpg"], ["é", "e\u0301-2"]),
        (["a.jpg", "a_map.png"], ["a", "a_map"]),
        (["x" * 250 + "1.jpg", "x" * 250 + "2.jpg"], ["x" * 200, "x" * 200 + "-2"]),
        (["零" * 80 + ".jpg"], ["零" * 66]),
        (["con.jpg"], ["con"]),
    ],
)
def test_names_that_are_taken_get_a_number(
    names: list[str], expected: list[str], prediction: Prediction, tmp_path: Path
) -> None:
    pictures = written(Results(tmp_path / "out"), prediction, names)
    assert pictures == [f"{stem}_{kind}.png" for stem in expected for kind in ("map", "overlay")]


def test_a_photograph_that_is_named_like_a_result_is_not_replaced(prediction: Prediction, tmp_path: Path) -> None:
    Image.new("RGB", (20, 20)).save(tmp_path / "A_MAP.png")
    before = (tmp_path / "A_MAP.png").read_bytes()
    assert written(Results(tmp_path), prediction, ["a.jpg"]) == ["a-2_map.png", "a-2_overlay.png"]
    assert (tmp_path / "A_MAP.png").read_bytes() == before
