"""Where an image tower runs: whatever runs it, it sees the same."""

import functools
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openvino
import pytest
import torch
from torch import Tensor, nn

from app.examples.judged import examples_for
from benchmarks.eager import eagerly
from ltad.checkpoint.folder import checkpoint_folders
from ltad.errors import DeviceError, FoundationError
from ltad.foundation import FoundationModel, ImageFeatures
from ltad.foundation.base import Detail
from ltad.foundation.engine import Engine, OpenVINOEngine, TorchEngine, start_engine
from ltad.foundation.features import Encoder
from ltad.inspection.predictor import Predictor
from ltad.photos.decode import open_photo
from tests.toys import WIDTH, TinyFoundation

CPU = torch.device("cpu")
FINE = 3  # examples that are looked at closely, each a second of the eager tower


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that holds nothing yet."""
    monkeypatch.setenv("LTAD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def images() -> Tensor:
    return torch.rand(3, 3, WIDTH, WIDTH, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def tower() -> nn.Module:
    return TinyFoundation().image_tower


def start(tower: nn.Module) -> Engine:
    return start_engine(lambda: tower, WIDTH, "key", CPU)


def apart(mine: tuple[Tensor, ...], theirs: tuple[Tensor, ...]) -> float:
    """The largest difference, as a share of the largest value of its map."""
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(mine, theirs, strict=True))


def test_a_cpu_has_openvino_and_may_have_torch(
    tower: nn.Module, images: Tensor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = start(tower)
    assert isinstance(engine, OpenVINOEngine) and engine.name == f"OpenVINO {openvino.__version__.partition('-')[0]}"
    monkeypatch.setenv("LTAD_ENGINE", "torch")
    other = start(tower)
    assert isinstance(other, TorchEngine) and not caplog.records
    assert apart(engine(images), tower(images)) < 1e-5 and apart(other(images), tower(images)) < 1e-5
    monkeypatch.setenv("LTAD_ENGINE", "onnx")
    with pytest.raises(DeviceError, match="LTAD_ENGINE is “onnx”; it may be openvino or torch"):
        start(tower)


@pytest.mark.parametrize("choice", ["openvino", "torch"])
def test_the_real_tower_sees_the_same(
    foundation: FoundationModel, choice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LTAD_ENGINE", choice)
    images = torch.rand(2, 3, 256, 256, generator=torch.Generator().manual_seed(1))
    engine = start_engine(lambda: foundation.image_tower, 256, foundation.fingerprint.sha256, CPU)
    seen, expected = engine(images), foundation.image_tower(images)
    assert apart(seen, expected) < 1e-5
    assert all(part.is_contiguous() and part.dtype == torch.float32 and not part.requires_grad for part in seen)


@pytest.mark.parametrize("choice", ["openvino", "torch"])
def test_an_engine_of_any_size_sees_the_same_on_other_sides(
    foundation: FoundationModel, choice: str, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.setenv("LTAD_ENGINE", choice)
    tower, key = foundation.image_tower, foundation.fingerprint.sha256
    engine = start_engine(lambda: tower, 256, key, CPU, any_size=True)
    for sides in ((256, 256), (272, 640), (512, 304)):
        images = torch.rand(1, 3, *sides, generator=torch.Generator().manual_seed(1))
        assert apart(engine(images)[:2], tower(images)[:2]) < 1e-5
    start_engine(lambda: tower, 256, key, CPU)
    kept = {path.name for path in (cache / "engines").glob("*")}
    assert len(kept) == (2 if choice == "openvino" else 0)  # each under a name of its own


def test_a_machine_where_openvino_cannot_run_says_so_and_goes_on(
    tower: nn.Module, images: Tensor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse() -> None:
        raise RuntimeError("Check failed\nno such instruction.\n")

    monkeypatch.setattr(openvino, "Core", refuse)
    with caplog.at_level(logging.WARNING):
        engine = start(tower)
    told = "OpenVINO cannot run the image tower here (no such instruction): torch does."
    assert [record.getMessage() for record in caplog.records] == [told]
    assert isinstance(engine, TorchEngine) and apart(engine(images), tower(images)) < 1e-5


def test_weights_that_are_missing_are_no_matter_of_the_engine(caplog: pytest.LogCaptureFixture) -> None:
    def missing() -> nn.Module:
        raise FoundationError("The package is not installed.")

    with pytest.raises(FoundationError, match="not installed"):
        start_engine(missing, WIDTH, "key", CPU)
    assert not caplog.records


class Fickle(nn.Module):
    """Does something else with a black image than with others, which a trace cannot know."""

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return (images * 2,) if images.any() else (images + 1,)


def test_a_translation_that_sees_something_else_is_not_used(images: Tensor, caplog: pytest.LogCaptureFixture) -> None:
    tower = Fickle()
    engine = start(tower)
    assert isinstance(engine, TorchEngine) and "differs by" in caplog.text
    assert torch.equal(engine(images)[0], images * 2)


def test_a_tower_is_translated_once(tower: nn.Module, images: Tensor, cache: Path) -> None:
    first = start(tower)(images)

    def unwanted() -> nn.Module:
        raise AssertionError("the tower was made again")

    again = start_engine(unwanted, WIDTH, "key", CPU)
    assert all(torch.equal(one, other) for one, other in zip(again(images), first, strict=True))
    with pytest.raises(AssertionError):
        _compiled_anew(unwanted)
    assert [path.name for path in (cache / "engines").iterdir() if not path.name.startswith(".")] == [
        f"key-{WIDTH}-openvino-{openvino.__version__.partition('-')[0]}"
    ]


def _compiled_anew(make: object) -> None:
    OpenVINOEngine(make, WIDTH, Path("/nowhere/other"))  # type: ignore[arg-type]


@pytest.mark.parametrize("damage", ["tower.xml", "tower.bin"])
def test_damage_to_what_is_kept_changes_nothing(tower: nn.Module, images: Tensor, cache: Path, damage: str) -> None:
    first = start(tower)(images)
    (folder,) = (path for path in (cache / "engines").iterdir() if not path.name.startswith("."))
    (folder / damage).write_bytes((folder / damage).read_bytes()[:100])
    again = start(tower)
    assert isinstance(again, OpenVINOEngine) and apart(again(images), first) < 1e-6


def test_a_cache_that_cannot_be_written_costs_time_only(
    tower: nn.Module, images: Tensor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("LTAD_CACHE", str(tmp_path / "file"))
    engine = start(tower)
    assert isinstance(engine, OpenVINOEngine) and apart(engine(images), tower(images)) < 1e-5
    assert len(caplog.records) == 1 and "cannot be written" in caplog.text


def test_an_image_does_not_depend_on_those_beside_it_nor_on_who_else_asks(tower: nn.Module, images: Tensor) -> None:
    engine = start(tower)
    alone = [engine(image[None]) for image in images]
    with ThreadPoolExecutor(6) as visitors:
        together = list(visitors.map(engine, [images] * 24))
    for seen in together:
        for i, one in enumerate(alone):
            assert all(torch.equal(part[i : i + 1], own) for part, own in zip(seen, one, strict=True))
    assert all(part.shape[0] == 3 for part in together[0])


@pytest.fixture(scope="module")
def verdicts(foundation: FoundationModel) -> Iterator[tuple[str, list[tuple[str, float]], list[tuple[str, float]]]]:
    """Of every shipped checkpoint what it says of its examples, by the engine and by torch's eager tower."""
    towers = (foundation, eagerly(foundation))

    @functools.cache
    def seen(tower: FoundationModel, detail: Detail | None, path: Path) -> ImageFeatures:
        encoder = Encoder(tower, detail=detail)
        return encoder.encode(encoder.views([open_photo(path).image]))

    rows = []
    for folder in checkpoint_folders():
        predictor = Predictor.from_checkpoint(folder, foundation)
        examples = examples_for(predictor.card)
        if predictor.card.is_fine:
            examples = examples[:FINE]
        judged = []
        for tower in towers:
            scored = [predictor.score(seen(tower, predictor.encoder.detail, e.path)) for e in examples]
            names = [predictor.card.class_names[int(each.class_ids)] for each in scored]
            rate = predictor.card.config.calibration.false_alarm_rate
            scores = [float(each.image_scores) for each in scored]
            calibration = predictor.card.calibration
            told = [calibration.judge(score, name, rate).verdict for name, score in zip(names, scores, strict=True)]
            judged.append([(f"{name}: {verdict}", s) for name, verdict, s in zip(names, told, scores, strict=True)])
        rows.append((folder.name, *judged))
    return rows


def test_the_verdicts_of_all_shipped_checkpoints_are_those_of_the_eager_tower(verdicts: list) -> None:
    assert len(verdicts) == 10
    few = [name for name, by_engine, _ in verdicts if len(by_engine) < 8]
    assert sorted(few) == ["demo-detail", "industrial-detail"] and all(by_engine for _, by_engine, _ in verdicts)
    for name, by_engine, by_torch in verdicts:
        assert [said for said, _ in by_engine] == [said for said, _ in by_torch], name
        assert max(abs(a - b) for (_, a), (_, b) in zip(by_engine, by_torch, strict=True)) < 1e-4, name
