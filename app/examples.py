"""Pictures to click: parts of the demo factory from ``assets/``, and real solar cells from an installed package."""

import importlib.util
import json
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
from PIL import Image

from app.photograph import pictures_to_click
from app.texts import say
from app.viewer import prediction_facts
from ltad.checkpoint.card import CheckpointCard
from ltad.files import write_text
from ltad.inspection.predictor import Predictor
from ltad.photos.pile import Photograph
from ltad.words import spoken

ASSETS = Path(__file__).parent.parent / "assets" / "examples"
JUDGED = ASSETS / "judged.json"  # what the first checkpoint says of them, for while its model is still loading
# Cells of the ELPV data set that are not among industrial-natural's training images.
SOLAR_CELLS = {
    "solar_mono": {"good": ("cell0465", "cell1256"), "defective": ("cell0459", "cell0915", "cell1073")},
    "solar_poly": {"good": ("cell0690", "cell2113"), "defective": ("cell0243", "cell0620", "cell1622")},
}
EXAMPLES_PER_CLASS = 4
TILE = 160  # pixels, on the sheet of all examples


class Example(NamedTuple):
    """A photograph to click on, and what is known of it."""

    photograph: Photograph
    class_name: str
    defect: str

    @property
    def path(self) -> Path:
        """Its file."""
        return self.photograph.path


def examples_for(card: CheckpointCard) -> list[Example]:
    """The examples of the classes that a checkpoint knows, by class, clean ones first."""
    found = [example for example in _factory() + _solar_cells() if example.class_name in card.class_names]
    return sorted(found, key=lambda e: (e.class_name, e.defect != "good", e.path.name))


def example_at(path: Path) -> Example | None:
    """The example that a file is; None for every other photograph, what a visitor drops among them, even a copy."""
    return _by_path().get(path.resolve())


@lru_cache
def _by_path() -> dict[Path, Example]:
    return {example.path.resolve(): example for example in _factory() + _solar_cells()}


def judged_before(example: Example, card: CheckpointCard) -> dict[str, Any] | None:
    """What the checkpoint said of an example when ``JUDGED`` was made; None where it was another checkpoint."""
    if not JUDGED.is_file():
        return None
    before = json.loads(JUDGED.read_text(encoding="utf-8"))
    return before["facts"].get(example.path.name) if before["sha256"] == card.sha256() else None


def judge_all(predictor: Predictor) -> None:
    """Write ``JUDGED`` from a checkpoint's predictions of its examples that are files of ours."""
    ours = [example for example in examples_for(predictor.card) if example.path.parent == ASSETS]
    facts = {e.path.name: prediction_facts(predictor.predict(e.path)) for e in ours}
    write_text(JUDGED, json.dumps({"sha256": predictor.card.sha256(), "facts": facts}, separators=(",", ":")))


def serve_in_place() -> None:
    """Let browsers have the examples from where they are, not from copies that are made for every visitor."""
    gr.set_static_paths([example.path for example in _factory() + _solar_cells()])


def thumbnails(card: CheckpointCard) -> list[tuple[str, str]]:
    """The examples of a checkpoint as a gallery takes them: files with captions."""
    return [(str(example.path), caption(example, card)) for example in examples_for(card)]


def example_gallery(card: CheckpointCard | None, elem_id: str) -> gr.Gallery:
    """The pictures to click, as a part of the page; none without a checkpoint."""
    return pictures_to_click(thumbnails(card) if card else [], say("examples"), elem_id, columns=4)


def caption(example: Example, card: CheckpointCard) -> str:
    """Class, what is wrong with it, and whether the class is of the tail."""
    group = next(c.group for c in card.classes if c.name == example.class_name)
    words = f"{spoken(example.class_name)}: {spoken(example.defect)}"
    return f"{words} (tail)" if group == "tail" else words


def _factory() -> list[Example]:
    """Files named CLASS-DEFECT.jpg."""
    return [Example(Photograph(path.name, path), *path.stem.split("-")) for path in sorted(ASSETS.glob("*.jpg"))]


def _solar_cells() -> list[Example]:
    """Empty where elpv-dataset is not installed: the app works without it."""
    spec = importlib.util.find_spec("elpv_dataset")
    if spec is None or spec.origin is None:
        return []
    images = Path(spec.origin).parent / "data" / "images"
    return [
        Example(Photograph(f"{cell}.png", images / f"{cell}.png"), class_name, defect)
        for class_name, kinds in SOLAR_CELLS.items()
        for defect, cells in kinds.items()
        for cell in cells
    ]


def main() -> None:
    """Render the factory's examples into ``assets/examples``: one clean and three defective of every class.

    They are pictures that neither training nor testing uses: each index lies just beyond the test set's.
    """
    from ltad.data.demo import demo_dataset

    good, defective = 20, 6  # images per class, and per kind of defect, in the default test set
    dataset = demo_dataset(0, test_good=good + 1, test_defective_per_type=defective + 1)
    beyond = [s for s in dataset.test if s.name.endswith(f"/{(defective if s.label else good):03d}.png")]
    ASSETS.mkdir(parents=True, exist_ok=True)
    tiles = []
    for class_name in sorted({sample.class_name for sample in beyond}):
        for sample in [s for s in beyond if s.class_name == class_name][:EXAMPLES_PER_CLASS]:
            picture = sample.read()
            picture.save(ASSETS / f"{class_name}-{sample.defect}.jpg", quality=95, subsampling=0)
            tiles.append(picture)
    sheet = Image.new("RGB", (2 * EXAMPLES_PER_CLASS * TILE, len(tiles) // (2 * EXAMPLES_PER_CLASS) * TILE))
    for number, tile in enumerate(tiles):
        row, column = divmod(number, 2 * EXAMPLES_PER_CLASS)
        sheet.paste(tile.resize((TILE, TILE), Image.Resampling.LANCZOS), (column * TILE, row * TILE))
    sheet.save(ASSETS.parent / "demo-factory.jpg", quality=90)
    print(f"wrote {len(tiles)} examples and a sheet of them below {ASSETS.parent}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--judge"]:
        judge_all(Predictor.from_checkpoint(sys.argv[2]))
    else:
        main()
