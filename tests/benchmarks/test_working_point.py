"""What every method of a comparison flags at the rate that it promises, before and after harmless change."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import compare, leave_one_out, rivals, tables
from benchmarks.detectors import PatchGaussian
from benchmarks.images import changed_once, encode_once, shrink
from ltad.checkpoint.folder import Checkpoint
from ltad.data import Dataset
from ltad.evaluation.harmless import harmlessly_changed
from ltad.evaluation.table import evaluate
from ltad.evaluation.working_point import WORKING_POINT
from ltad.foundation.features import Encoder
from ltad.inspection.predictor import Predictor
from ltad.judging.calibration import Calibration
from ltad.judging.regions import is_everywhere
from ltad.judging.scoring import image_scores
from ltad.progress import quiet
from ltad.training.images import encode_samples
from tests.toys import TRAIN_COUNTS, TinyFoundation

PLACES = 16


# Verdicts of rivals


@pytest.fixture(scope="module")
def rival(toy_data: Dataset, tiny_foundation: TinyFoundation, tiny_checkpoint: Checkpoint) -> rivals.Rival:
    """A Gaussian read by class, which takes next to no time."""
    encoder, card = Encoder(tiny_foundation, {}), tiny_checkpoint.card
    features = encode_samples(toy_data.train, toy_data.class_names, encoder, quiet)
    detector = PatchGaussian(features, card, tiny_foundation, quiet, whole=True)
    held_out = rivals.held_out_maps(PatchGaussian, features, card, tiny_foundation, quiet)
    return rivals.Rival(detector, held_out, "class", card, encoder, 0.0)


def test_a_rival_is_judged_by_scores_of_its_own(
    rival: rivals.Rival, toy_data: Dataset, tiny_checkpoint: Checkpoint
) -> None:
    table = evaluate(toy_data, rival, progress=quiet)
    calibration, rate = rival.card.calibration, rival.card.config.calibration.false_alarm_rate
    ltads = tiny_checkpoint.card.calibration.classes
    assert not any(set(calibration.classes[name].scores) & set(ltads[name].scores) for name in ltads)
    own = {name: len(held_out.scores) for name, held_out in calibration.classes.items()}
    assert own == TRAIN_COUNTS | {"stripes": 0}  # a lone image cannot be held out
    for name, row in table["classes"].items():
        normals = calibration.normals(name)
        assert (normals.images, normals.played) == (12, None)  # all that there are, borrowed where they are others'
        samples = [sample for sample in toy_data.test if sample.class_name == name]
        views = rival.encoder.views([sample.read() for sample in samples])
        given = torch.full((len(samples),), rival.card.class_id(name))
        scored = rival.predict_views(views, given)
        flagged = scored.image_scores.numpy().round(5) > normals.threshold(rate)
        labels = np.array([sample.label for sample in samples])
        assert (row["false_alarms"], row["found"]) == (flagged[labels == 0].mean(), flagged[labels == 1].mean())
        # it knows no strangers, but its maps are as LTAD's are
        everywhere = [is_everywhere(each, rival.card.config) for each in scored.whole_maps.numpy()]
        assert row["refused"] == np.mean(everywhere)
    assert table["mean"]["all"]["found"] > table["mean"]["all"]["false_alarms"]


def test_nobody_is_judged_who_is_calibrated_for_nothing(rival: rivals.Rival, toy_data: Dataset) -> None:
    silent = copy.copy(rival)
    silent.card = replace(rival.card, calibration=Calibration({}))
    mean = evaluate(toy_data, silent, progress=quiet)["mean"]["all"]
    assert all(mean[key] is None for key in WORKING_POINT) and mean["image_auroc"] is not None


def share_flagged(images: int, reading: str) -> float:
    """How many new images are flagged at the smallest rate that a class's held-out images can promise, on the average.

    Images differ from each other as a whole, as photographs do, and so does each place.
    """
    generator, flagged = torch.Generator().manual_seed(0), []
    for _ in range(300):
        maps = torch.randn(images + 4, PLACES, generator=generator) + torch.randn(images + 4, 1, generator=generator)
        held_out, new = [maps[:images]], maps[images:]
        (mean, spread), calibration = (make(held_out, reading) for make in (rivals.normal_statistics, calibrated))
        scores = image_scores((new - mean) / spread, rivals.TOP_FRACTION).tolist()
        flagged += [calibration.judge(score, "nut", 1 / (images + 1)).verdict == "defect" for score in scores]
    return float(np.mean(flagged))


def calibrated(held_out: Sequence[torch.Tensor], reading: str) -> Calibration:
    return rivals.calibrated(["nut"], held_out, reading)


@pytest.mark.parametrize("images", [3, 5, 9])
def test_a_rival_keeps_its_promise_to_new_images(images: int) -> None:
    promised = 1 / (images + 1)
    assert share_flagged(images, "class") == pytest.approx(promised, rel=0.15)
    assert 0.5 * promised < share_flagged(images, "place") <= promised


def test_by_place_no_image_is_judged_by_itself() -> None:
    maps = torch.rand(5, PLACES, generator=torch.Generator().manual_seed(0))
    maps[2, 7] = 9.0
    mean, spread = rivals.normal_statistics([maps], "place")
    by_itself, by_the_others = float(((maps[2] - mean) / spread).max()), calibrated([maps], "place").classes["nut"]
    assert max(by_the_others.scores) > 3 * by_itself


# Harmless change


def test_the_figures_after_change_are_those_of_the_evaluation(
    toy_data: Dataset, tiny_foundation: TinyFoundation, tiny_checkpoint: Checkpoint, tmp_path: Path
) -> None:
    predictor, size = Predictor(tiny_foundation, tiny_checkpoint), tiny_foundation.fingerprint.image_size
    small, changed = shrink(toy_data, size), changed_once(toy_data, size, tmp_path)
    table = compare.measure(small, predictor, quiet, changed=changed)
    expected = evaluate(toy_data, predictor, harmless=True, progress=quiet)
    for part in ("classes", "mean"):
        for name, row in expected[part].items():
            of_images = {key for key in row if not key.startswith(("pixel", "aupro"))}  # pixels are those of the square
            assert {key: table[part][name][key] for key in of_images} == {key: row[key] for key in of_images}
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8))
    spoilt = replace(changed, test=tuple(replace(sample, read=lambda: noise) for sample in changed.test))
    after = compare.measure(small, predictor, quiet, changed=spoilt)["mean"]["all"]
    assert after["harmless"]["false_alarms"] == 1 and after["false_alarms"] == table["mean"]["all"]["false_alarms"] < 1
    assert compare.measure(small, predictor, quiet)["mean"]["all"]["harmless"] is None


def test_an_image_is_changed_and_encoded_once_and_kept_outside_the_memory(toy_data: Dataset, tmp_path: Path) -> None:
    tower, reads = TinyFoundation(), []

    def counted(sample: Any) -> Any:
        return replace(sample, read=lambda: reads.append(sample.name) or sample.read())

    counting = replace(toy_data, test=tuple(map(counted, toy_data.test)))
    changed = changed_once(counting, 128, tmp_path)
    encoder = encode_once(tower, [toy_data], quiet, tmp_path / "features")
    everything = tower.seen
    assert not reads and everything == len(toy_data.train) + len(toy_data.test)
    for _ in range(2):
        for sample, original in zip(changed.test, toy_data.test, strict=True):
            picture = sample.read()
            expected = harmlessly_changed(original).read().resize((128, 128), 2)
            assert (sample.name, sample.label) == (original.name, original.label)
            assert np.array_equal(np.asarray(picture), np.asarray(expected))
            encoder.encode(encoder.views([picture]))
    assert reads == [sample.name for sample in toy_data.test]
    assert tower.seen == everything + len(toy_data.test)
    memory = encoder.store.maps[-1]
    assert isinstance(memory, dict) and len(memory) == everything
    assert len(list((tmp_path / "features").iterdir())) == len(toy_data.test)


# The tables


def row(alarms: float, found: float, changed: float | None = None) -> dict[str, Any]:
    harmless = changed and {"image_auroc": 0.8, "false_alarms": changed, "found": found}
    figures = {"image_auroc": 0.9, "pixel_auroc": None, "false_alarms": alarms, "found": found}
    return figures | {"found_at_best": found + 0.1, "harmless": harmless, "n_train": 4, "group": "head"}


def results(*, harmless: bool) -> dict[str, Any]:
    """A comparison's file: two methods, two seeds; the second flags more."""
    runs = []
    for seed in range(2):
        methods = {}
        for i, name in enumerate(("LTAD", "k-NN, by class")):
            rows = [row(0.04 + 0.02 * seed + 0.1 * i + 0.05 * tail, 0.5 + 0.1 * i, 0.2 * harmless) for tail in range(2)]
            mean = {"all": rows[0], "head": rows[0], "tail": rows[1]}
            methods[name] = {"mean": mean, "classes": {"nut": rows[0]}, "seconds": 1.4, "bytes": 2e6}
        runs.append({"imbalance": "exp100", "seed": seed, "methods": methods})
    return {"header": {"data": "toy", "config": {"calibration": {"false_alarm_rate": 0.05}}}, "runs": runs}


def test_the_second_table_has_what_is_flagged() -> None:
    table = tables.means(results(harmless=True)).split("\n\n")
    assert table[2] == "**toy, exp100, at a false-alarm rate of 5.0 %**"
    head, _, first, second = table[3].splitlines()
    assert head == (
        "|  | false alarms, all | head | tail | found, all | head | tail | found at best "
        "| image AUROC, changed | false alarms, changed | found, changed |"
    )
    shares = "5.0 ± 1.4 | 5.0 ± 1.4 | 10.0 ± 1.4 | 50.0 ± 0.0 | 50.0 ± 0.0 | 50.0 ± 0.0"
    assert first == f"| LTAD | {shares} | 60.0 ± 0.0 | **80.0** ± 0.0 | 20.0 ± 0.0 | 50.0 ± 0.0 |"
    assert second.startswith("| k-NN, by class | 15.0 ± 1.4 |") and "| **70.0** ± 0.0 | **80.0** ± 0.0 |" in second
    assert "**toy, exp100, false alarms, changed**" in tables.per_class(results(harmless=True))


def test_what_was_not_measured_has_no_column() -> None:
    table = tables.means(results(harmless=False))
    assert "found at best" in table and "changed" not in table
    old = results(harmless=False)
    for run in old["runs"]:
        for method in run["methods"].values():
            for part in (*method["mean"].values(), *method["classes"].values()):
                for key in ("false_alarms", "found", "found_at_best", "harmless"):
                    part.pop(key, None)
    assert len(tables.means(old).split("\n\n")) == 2
    assert "false alarms" not in tables.per_class(old)


def test_what_is_flagged_of_a_taught_class_is_a_table_of_its_own() -> None:
    runs = []
    for name in ("nut", "bolt"):
        methods: dict[str, Any] = {}
        for i, method in enumerate((leave_one_out.ADAPTED, leave_one_out.FORGETFUL, *leave_one_out.READINGS)):
            own = row(0.1 * i, 0.5) | {"class_accuracy": 1.0, "pixel_auroc": 0.9}
            mean = {"all": {"image_auroc": 0.9}}
            methods[method] = {"classes": {name: own}, "mean": mean, "seconds": 5.0, "promised_rate": 0.05 + 0.1 * i}
        runs.append({"class": name, "images": 5, "before": {"image_auroc": 0.9}, "methods": methods})
    table = leave_one_out.table({"runs": runs}).split("\n\n")
    assert table[1].splitlines()[0].startswith("| class | images | promised, LTAD | k-NN | false alarms, LTAD |")
    shares = "5.0 | 25.0 | 0.0 | 20.0 | 30.0 | 50.0 | 50.0 | 50.0 | 60.0 | 60.0 | 60.0 |"
    assert table[1].splitlines()[2:] == [f"| {name} | 5 | {shares}" for name in ("nut", "bolt", "**mean**")]
    del runs[0]["methods"]["adapted"]["promised_rate"]
    assert len(leave_one_out.table({"runs": runs}).split("\n\n")) == 1
