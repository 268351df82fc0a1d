"""The comparison that stands in the RESULTS.md: rivals on the toy products, the file that resumes, and its tables."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import ablation, compare, curves, detectors, leave_one_out, rivals, tables
from benchmarks.images import encode_once, shrink
from ltad.config import LTADConfig
from ltad.data import Dataset, Sample
from ltad.evaluation.table import FIGURES, HARMLESS, evaluate
from ltad.evaluation.working_point import WORKING_POINT
from ltad.foundation import FoundationModel
from ltad.foundation.features import Encoder, Views
from ltad.inspection.predictor import Predictor
from ltad.photos.frame import resize_mask, to_bytes
from ltad.presets import PRESETS, default
from ltad.progress import quiet
from ltad.training.images import encode_samples
from tests.toys import TinyFoundation

NAMES = ["patch k-NN", "patch Gaussian", "agnostic transformer"]
READINGS = ["class", "place"]


def unreadable() -> Image.Image:
    raise RuntimeError("a test image was read")


@pytest.fixture(scope="module")
def built(toy_encoder: Encoder, toy_data: Dataset, predictor: Predictor) -> dict[str, rivals.Rival]:
    """Every rival, from a data set whose test images cannot be read."""
    blind = replace(toy_data, test=tuple(replace(s, read=unreadable, read_mask=unreadable) for s in toy_data.test))
    features = encode_samples(blind.train, blind.class_names, toy_encoder, quiet)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detectors, "BANK", 500)
        patch.setattr(detectors, "CANDIDATES", 3000)
        patch.setattr(detectors, "LONGER", 2)
        made = rivals.build_rivals(predictor.card, toy_encoder, features, quiet)
        return {rival.card.name: rival for rival in made}


def views(samples: Sequence[Sample], foundation: FoundationModel) -> Views:
    return Encoder(foundation).views([s.read() for s in samples])


# The images


def test_every_image_of_the_splits_is_encoded_once(toy_data: Dataset) -> None:
    tower, part = TinyFoundation(), replace(toy_data, train=toy_data.train[:5])
    encoder = encode_once(tower, [part, toy_data], quiet)
    assert encoder.store is not None
    assert tower.seen == len(encoder.store) == len(toy_data.train) + len(toy_data.test)


def test_shrunk_photographs_are_read_once_and_make_the_same_views(toy_data: Dataset) -> None:
    generator, reads = np.random.default_rng(0), []
    photograph = Image.fromarray(generator.integers(0, 256, (300, 410, 3), dtype=np.uint8))
    mask = generator.random((300, 410)) > 0.5
    sample = replace(toy_data.test[0], read=lambda: reads.append(1) or photograph, read_mask=lambda: mask)
    small = shrink(replace(toy_data, test=(sample,)), 64).test[0]
    for _ in range(2):
        assert torch.equal(to_bytes(small.read(), 64, 64), to_bytes(photograph, 64, 64))
        assert small.read_mask and np.array_equal(resize_mask(small.read_mask(), 64, 64), resize_mask(mask, 64, 64))
    assert len(reads) == 1


# The rivals


def test_every_rival_has_its_readings(built: dict[str, rivals.Rival]) -> None:
    assert list(built) == [f"{name}, by {reading}" for name in NAMES for reading in READINGS] + ["zero-shot, by class"]
    for rival in built.values():
        assert rival.bytes > 0 and rival.seconds > 0


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("name", NAMES)
def test_rivals_find_blotches(built: dict[str, rivals.Rival], toy_data: Dataset, name: str, reading: str) -> None:
    mean = evaluate(toy_data, built[f"{name}, by {reading}"], progress=quiet)["mean"]["all"]
    assert mean["image_auroc"] > 0.7
    assert mean["pixel_auroc"] > 0.8


def test_scores_are_finite_and_do_not_depend_on_the_batch(
    built: dict[str, rivals.Rival], toy_data: Dataset, foundation: FoundationModel
) -> None:
    batch, class_ids = views(toy_data.test[::4], foundation), torch.tensor([0, 0, 1, 2, 2])
    for name, rival in built.items():
        together = rival.predict_views(batch, class_ids)
        rival.detector.seen.clear()
        alone = rival.predict_views(Views(batch.whole[1:2]), class_ids[1:2])
        assert together.whole_maps.isfinite().all() and together.image_scores.isfinite().all(), name
        assert torch.allclose(together.whole_maps[1:2], alone.whole_maps, atol=1e-3), name


def test_a_detector_sees_an_image_of_a_class_once(
    built: dict[str, rivals.Rival], toy_data: Dataset, foundation: FoundationModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, asked = views(toy_data.test[:3], foundation), []
    score = detectors.PatchKNN.score
    monkeypatch.setattr(detectors.PatchKNN, "score", lambda self, b: asked.append(len(b.class_ids)) or score(self, b))
    by_class, by_place = (built[f"{detectors.PatchKNN.name}, by {reading}"] for reading in READINGS)
    by_class.detector.seen.clear()
    for rival in (by_class, by_place, by_class):
        rival.predict_views(batch, torch.tensor([0, 0, 1]))
    by_place.predict_views(batch, torch.tensor([0, 1, 1]))
    assert asked == [3, 1]


def test_one_mean_and_spread_a_class_change_no_order() -> None:
    held_out = [5 + torch.rand(6, 9), torch.rand(4, 9), torch.empty(0, 1)]
    by_class, by_place = (rivals.normal_statistics(held_out, reading) for reading in READINGS)
    assert [part.shape for part in by_class] == [(3, 1)] * 2
    assert [part.shape for part in by_place] == [(3, 9)] * 2
    assert by_class[0][0] == held_out[0].mean() and by_class[1][0] == held_out[0].std()
    assert torch.allclose(by_class[0][2], (held_out[0].mean() + held_out[1].mean())[None] / 2)


# The comparison


def make_small(patch: pytest.MonkeyPatch, tower: FoundationModel, config: LTADConfig) -> None:
    """Let the benchmarks take a foundation model and small layers."""
    patch.setattr(detectors, "BANK", 100)
    patch.setitem(PRESETS, "default", lambda: config)
    for module in (ablation, compare, curves, leave_one_out):
        patch.setattr(module, "load_foundation", lambda *name, **options: tower)
    for module in (ablation, curves, leave_one_out):
        patch.setattr(module, "default", lambda: config.override("views.wanted=10"))


@pytest.fixture(scope="module")
def made(
    toy_folder: Path,
    tiny_foundation: FoundationModel,
    tiny_config: LTADConfig,
    tmp_path_factory: pytest.TempPathFactory,
) -> list[str]:
    """The words of a comparison that was made with tiny layers and a handful of steps."""
    output = tmp_path_factory.mktemp("comparison") / "toy.json"
    short = ("phase1.steps=5", "phase2.steps=10", "calibration.phase2_steps=5")
    words = ["--data", str(toy_folder), "--harmless", "--output", str(output), *(f"--set={s}" for s in short)]
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch, tiny_foundation, tiny_config)
        compare.main(words)
    return words


@pytest.fixture
def command(
    made: list[str], tiny_foundation: FoundationModel, tiny_config: LTADConfig, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    make_small(monkeypatch, tiny_foundation, tiny_config)
    return made


def output_of(command: list[str]) -> Path:
    return Path(command[command.index("--output") + 1])


def test_a_comparison_holds_every_method(command: list[str], built: dict[str, rivals.Rival]) -> None:
    results = json.loads(output_of(command).read_text())
    assert results["header"]["data"] == "toy" and "--set=phase2.steps=10" in results["header"]["command"]
    (run,) = results["runs"]
    assert (run["imbalance"], run["seed"]) == ("none", 0)
    assert list(run["methods"]) == [compare.GIVEN, compare.PREDICTED, *built]
    for name, entry in run["methods"].items():
        assert set(entry["classes"]) == {"checker", "dots", "stripes"}
        assert 0 <= entry["mean"]["all"]["image_auroc"] <= 1
        assert entry["seconds"] >= 0 and entry["bytes"] > 0
        assert (entry["mean"]["all"]["class_accuracy"] is None) == (not name.startswith("LTAD"))
        for row in (entry["mean"]["all"], *entry["classes"].values()):
            assert all(0 <= row[key] <= 1 for key in WORKING_POINT), name
            assert set(row["harmless"]) > set(HARMLESS) and all(0 <= row["harmless"][key] <= 1 for key in HARMLESS)
    silent = run["methods"]["zero-shot, by class"]["mean"]["all"]
    assert all((silent[key] is None) == (not key.startswith("image")) for key in FIGURES)


def test_a_comparison_resumes(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    before = json.loads(output_of(command).read_text())
    asked = []

    def fake(dataset: Dataset, foundation: Any, config: LTADConfig, *_: Any) -> dict[str, Any]:
        asked.append((len(dataset.train), config.seed))
        return before["runs"][0]["methods"]

    monkeypatch.setattr(compare, "compare", fake)
    compare.main([*command, "--imbalance", "none", "exp8", "--seeds", "0", "1", "--resume"])
    after = json.loads(output_of(command).read_text())
    assert asked == [(13, 1), (11, 0), (11, 1)]
    assert after["runs"][0] == before["runs"][0]
    assert [(r["imbalance"], r["seed"]) for r in after["runs"]] == [("none", 0), ("none", 1), ("exp8", 0), ("exp8", 1)]
    with pytest.raises(SystemExit, match="was made with other config"):
        compare.main([*command, "--set=phase2.steps=11", "--resume"])
    with pytest.raises(SystemExit, match="was made with other harmless"):
        compare.main([*(word for word in command if word != "--harmless"), "--resume"])
    assert json.loads(output_of(command).read_text()) == after


def results(**figures: Sequence[float | None]) -> dict[str, Any]:
    """A comparison's file with the image AUROCs of the methods over seeds; pixels are undefined."""
    runs = []
    for seed in range(2):
        methods = {}
        for name, values in figures.items():
            row = {"image_auroc": values[seed], "pixel_auroc": None, "n_train": 4, "group": "head"}
            mean = {"all": row, "head": row, "tail": row | {"image_auroc": None}}
            methods[name.replace("_", ", by ")] = {"mean": mean, "classes": {"nut": row}, "seconds": 1.4, "bytes": 2e6}
        runs += [{"imbalance": i, "seed": seed, "methods": methods} for i in ("none", "exp100")]
    return {"header": {"data": "toy"}, "runs": runs}


def test_the_table_gives_mean_and_spread_and_marks_the_best() -> None:
    table = tables.means(results(LTAD=(0.9, 0.92), Gaussian_class=(0.91, 0.95))).splitlines()
    assert table[0] == "**toy, none**"
    assert table[2].startswith("|  | image AUROC, all | head | tail | pixel AUROC, all |")
    assert table[4] == "| LTAD | 91.0 ± 1.4 | 91.0 ± 1.4 | n/a | n/a | n/a | n/a | 1 | 2.00 |"
    assert "| Gaussian, by class | **93.0** ± 2.8 |" in table[5]
    assert "**toy, exp100**" in table


def test_the_table_of_classes_prints_what_is_undefined() -> None:
    table = tables.per_class(results(LTAD=(0.9, 0.9), Gaussian_class=(None, None)))
    assert "| nut | 4 | head | **90.0** ± 0.0 | n/a |" in table
    assert "| nut | 4 | head | n/a | n/a |" in table


def test_the_figure_shows_the_better_reading(tmp_path: Path) -> None:
    made = results(LTAD=(0.9, 0.9), Gaussian_class=(0.7, 0.7), Gaussian_place=(0.8, 0.8))
    assert tables._better_readings(made) == ["LTAD", "Gaussian, by place"]
    tables.draw(made, tmp_path / "figure.png")
    with Image.open(tmp_path / "figure.png") as picture:
        assert picture.width == 1600


# The ablation


def test_every_row_of_the_ablation_is_a_setting_of_its_own() -> None:
    levers = [ablation.settings_of(row).to_dict() for row in ablation.LEVERS]
    made = [ablation.settings_of(row).to_dict() for row in ablation.ROWS]
    assert made[-1] == levers[0] == default().to_dict()
    made += levers[1:]
    assert all(a != b for i, a in enumerate(made) for b in made[:i])


def test_the_ablation_measures_its_rows_and_goes_on_where_it_was_left(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    data, settings = command[command.index("--data") + 1], [word for word in command if word.startswith("--set=")]
    output = output_of(command).with_name("ablation.json")
    rows = ["memory only", "+ views: the default"]
    words = ["--data", data, *settings, "--output", str(output), "--resume"]
    ablation.main([*words, "--rows", rows[0]])
    (first,) = json.loads(output.read_text())["runs"]
    capsys.readouterr()
    ablation.main([*words, "--rows", *rows])
    (run,) = json.loads(output.read_text())["runs"]
    assert list(run["methods"]) == rows and run["methods"][rows[0]] == first["methods"][rows[0]]
    with pytest.raises(SystemExit, match="other config"):
        ablation.main([*words, "--set", "phase2.steps=3"])
    assert run["methods"]["memory only"]["mean"] != run["methods"]["+ views: the default"]["mean"]
    ablation.main(["--table", str(output)])
    printed = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("| memory only |") for line in printed) == 4  # in two tables each time
    assert not any("changed" in line for line in printed)  # what was not measured has no columns


def test_the_curves_are_those_of_a_training_and_can_be_drawn_again(command: list[str]) -> None:
    data, settings = command[command.index("--data") + 1], [word for word in command if word.startswith("--set=")]
    output, figure = (output_of(command).with_name(f"curves.{kind}") for kind in ("json", "png"))
    folders = [str(Path(data, name)) for name in ("checker", "dots")]
    curves.main(["--data", *folders, *settings, "--output", str(output), "--figure", str(figure)])
    results = json.loads(output.read_text())
    assert results["header"]["data"] == "checker + dots"
    steps = {stage: len(losses) for stage, losses in results["losses"].items()}
    passes, phases = ("", "fold1-", "fold2-"), ("phase1", "phase2")
    assert set(steps) == {prefix + phase for prefix in passes for phase in phases}
    assert steps["phase2"] > steps["fold1-phase2"] == steps["fold2-phase2"] > 0
    figure.unlink()
    curves.main(["--table", str(output), "--figure", str(figure)])
    with Image.open(figure) as picture:
        assert picture.width == 1600


# Leaving a class out


def test_a_class_is_taught_to_a_checkpoint_that_never_saw_it(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data, settings = command[command.index("--data") + 1], [word for word in command if word.startswith("--set=")]
    output, taught = output_of(command).with_name("left-out.json"), []
    adapt = leave_one_out.adapt

    def seen(parent: Any, images: Sequence[Sample], class_name: str, *arguments: Any, **options: Any) -> Any:
        assert class_name not in parent.card.class_names and len(images) == 4
        taught.append([sample.name for sample in images])
        return adapt(parent, images, class_name, *arguments, **options)

    monkeypatch.setattr(leave_one_out, "adapt", seen)
    arguments = ["--data", data, "--classes", "checker", "--images", "4", "--minutes", "0.1", *settings]
    leave_one_out.main([*arguments, "--output", str(output)])
    (run,) = json.loads(output.read_text())["runs"]
    assert taught[0] == taught[1] and len(set(taught[0])) == 4
    assert set(run["methods"]) == {"adapted", "adapted, no replay", *leave_one_out.READINGS}
    assert run["methods"]["adapted"]["mean"]["all"]["n_classes"] == 2
    promised = {name: method["promised_rate"] for name, method in run["methods"].items()}
    assert promised["adapted"] == promised["adapted, no replay"]
    assert all(promised[reading] == 1 / 5 for reading in leave_one_out.READINGS)  # as four images can
    for name in leave_one_out.COMPARED:
        assert all(0 <= run["methods"][name]["classes"]["checker"][key] <= 1 for key in leave_one_out.FLAGGED)
    leave_one_out.main([*arguments, "--output", str(output), "--resume"])  # nothing is left to do
    assert len(taught) == 2
    leave_one_out.main(["--table", str(output)])
    assert capsys.readouterr().out.count("| checker | 4 |") == 6  # in two tables each time
