"""One harmless change at a time: each is what its name says, and the shares are those that a person would count."""

import json
import shutil
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import changes, harmless
from benchmarks.changes import AS_IT_IS, CHANGES, TOGETHER, VERSIONS, versions
from ltad.data import DEFECTIVE, GOOD, Dataset, Sample
from ltad.errors import DatasetError
from ltad.evaluation.harmless import harmlessly_changed
from ltad.inspection.predictor import Predictor
from tests.toys import toy_picture

SIZE = 256


def photograph(width: int = SIZE, height: int = SIZE) -> Image.Image:
    """A toy product, with as much in every corner."""
    pixels = toy_picture("dots", np.random.default_rng(0)).clip(40, 200).astype(np.uint8)
    return Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)


def sample(name: str, picture: Image.Image | None = None) -> Sample:
    return Sample(name=name, class_name="dots", defect=GOOD, read=lambda: picture or photograph())


def made(kind: str, picture: Image.Image, seed: int = 0) -> np.ndarray:
    changed = CHANGES[kind](picture, np.random.default_rng(seed))
    assert (changed.size, changed.mode) == (picture.size, "RGB")
    return np.asarray(changed, dtype=np.float64)


# The changes


@pytest.mark.parametrize("quality", [85, 70])
def test_a_jpeg_has_the_quality_that_is_said(quality: int) -> None:
    file = BytesIO()
    photograph().save(file, "JPEG", quality=quality)
    assert np.array_equal(made(f"JPEG, quality {quality}", photograph()), np.asarray(Image.open(file)))


def test_the_noise_has_two_grey_levels() -> None:
    difference = made("noise, 2 grey levels", photograph()) - np.asarray(photograph())
    assert difference.std() == pytest.approx(2, rel=0.02) and abs(difference.mean()) < 0.05
    assert abs(np.corrcoef(difference[..., 0].ravel(), difference[..., 1].ravel())[0, 1]) < 0.05  # no grey noise


@pytest.mark.parametrize(("width", "height", "right", "down"), [(256, 256, 2, 2), (512, 128, 4, 1)])
def test_a_shift_goes_in_one_of_four_directions(width: int, height: int, right: int, down: int) -> None:
    picture = photograph(width, height)
    before, found = np.asarray(picture), set()
    for seed in range(24):
        after = made("shift, 2 pixels of 256", picture, seed)
        for x, y in ((right, 0), (-right, 0), (0, down), (0, -down)):
            inside = np.roll(before, (y, x), axis=(0, 1))[8:-8, 8:-8]
            if np.array_equal(after[8:-8, 8:-8], inside):
                found.add((x, y))
                # What comes into view is the mirror image of the border.
                edge = after[:, 0] if x > 0 else after[:, -1] if x < 0 else after[0] if y > 0 else after[-1]
                ends = {(1, 0): before[:, abs(x) - 1], (-1, 0): before[:, -abs(x)]}
                ends |= {(0, 1): before[abs(y) - 1], (0, -1): before[-abs(y)]}
                assert np.array_equal(edge, ends[np.sign(x), np.sign(y)])
    assert found == {(right, 0), (-right, 0), (0, down), (0, -down)}


def test_a_turn_is_one_degree_either_way() -> None:
    """A bright dot at the end of a horizontal arm rises or falls by the sine of the angle."""
    pixels, angles = np.zeros((SIZE, SIZE, 3), np.uint8), set()
    pixels[124:133, 224:233] = 255
    for seed in range(12):
        after = made("turn, 1 degree", Image.fromarray(pixels), seed)[..., 0]
        y, x = (float((grid * after).sum() / after.sum()) + 0.5 for grid in np.mgrid[:SIZE, :SIZE])
        angle = np.degrees(np.arctan2(y - 128, x - 128)) - np.degrees(np.arctan2(0.5, 100.5))
        assert abs(angle) == pytest.approx(1, abs=0.03)
        angles.add(round(angle))
    assert angles == {1, -1}
    grey = Image.new("RGB", (400, 60), (90, 90, 90))
    assert np.ptp(made("turn, 1 degree", grey)) == 0  # no black corners


@pytest.mark.parametrize(("width", "height"), [(256, 256), (1024, 512)])
def test_the_blur_grows_with_the_picture(width: int, height: int) -> None:
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[height // 2 - 3 : height // 2 + 4, width // 2 - 3 : width // 2 + 4] = 250
    after = made("blur, 0.5 pixels of 256", Image.fromarray(pixels))[..., 0]
    for axis, side in ((1, height), (0, width)):
        line, place = after.sum(axis=axis) / after.sum(), np.arange(side)
        variance = (line * place**2).sum() - (line * place).sum() ** 2
        assert variance - (7**2 - 1) / 12 == pytest.approx((0.5 * side / 256) ** 2, rel=0.15)


def test_the_light_is_five_per_cent_more_or_less() -> None:
    means = [made("5 % brighter or darker", photograph(), seed).mean() for seed in range(9)]
    assert {round(mean / np.mean(photograph()), 2) for mean in means} == {0.95, 1.05}


def test_a_name_decides_what_is_drawn() -> None:
    first, again, other = (
        dict(zip(VERSIONS, versions(sample(name)), strict=True)) for name in ("a.png", "a.png", "b.png")
    )
    pixels = {version: picture.tobytes() for version, picture in first.items()}
    assert pixels == {version: picture.tobytes() for version, picture in again.items()}
    assert len(set(pixels.values())) == len(VERSIONS) == 9
    assert pixels[AS_IT_IS] == photograph().tobytes() == other[AS_IT_IS].tobytes()
    assert pixels[TOGETHER] == harmlessly_changed(sample("a.png")).read().tobytes() != other[TOGETHER].tobytes()
    seen = {versions(sample(f"{i}.png"))[VERSIONS.index("turn, 1 degree")].tobytes() for i in range(8)}
    assert len(seen) == 2  # it is not the same way for all


# What is flagged


def verdicts(predictor: Predictor, samples: list[Sample], version: str) -> float:
    """The share of images that the page calls a defect, one after the other."""
    pictures = [versions(each)[VERSIONS.index(version)] for each in samples]
    seen = [predictor.predict(picture, samples[0].class_name) for picture in pictures]
    return sum(each.judgement.verdict == "defect" for each in seen) / len(seen)


def test_the_shares_are_those_of_the_page(
    toy_folder: Path,
    toy_data: Dataset,
    toy_checkpoint: Path,
    predictor: Predictor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(changes, "NOISE", 25.0)  # so strong that some, and not all, are flagged
    monkeypatch.setattr(harmless, "load_foundation", lambda *_: predictor.foundation)
    other, output = tmp_path / "other" / "toy", tmp_path / "harmless.json"
    shutil.copytree(toy_checkpoint, other)
    arguments = ["--data", str(toy_folder), "--checkpoint", str(toy_checkpoint), str(other), "--images", "2"]
    harmless.main([*arguments, "--output", str(output)])
    results = json.loads(output.read_text())
    assert results["images"] == {"checker": 2, "dots": 2, "stripes": 2} and results["left_out"] == []
    first, second = results["checkpoints"].values()
    assert list(results["checkpoints"]) == [str(toy_checkpoint), str(other)]  # which have one name
    assert first == second and first["false_alarm_rate"] == 0.12
    for name, row in first["classes"].items():
        good = [each for each in toy_data.test if each.class_name == name and not each.label]
        for version in (AS_IT_IS, "noise, 2 grey levels", TOGETHER):
            assert row[version] == verdicts(predictor, good[:2], version)
    for version in VERSIONS:
        assert first["mean"][version] == pytest.approx(sum(r[version] for r in first["classes"].values()) / 3)
    assert first["mean"]["noise, 2 grey levels"] > first["mean"][AS_IT_IS]
    printed = capsys.readouterr().out
    assert "**toy, mean over 3 classes**" in printed and "toy 12.0 %" in printed
    harmless.main(["--table", str(output)])
    assert capsys.readouterr().out == printed
    harmless.main(["--table", str(output), "--per-class"])
    assert capsys.readouterr().out.count(f"| {AS_IT_IS} |") == 3


def test_images_are_spread_over_those_that_there_are(toy_data: Dataset, predictor: Predictor) -> None:
    some = [replace(sample(f"{i:02}.png"), defect=DEFECTIVE if i % 5 == 4 else GOOD) for i in range(50)]
    strange = replace(sample("x.png"), class_name="rings")
    dataset = replace(toy_data, test=(*some, strange))
    chosen = harmless.chosen(dataset, {"toy": predictor}, 4)
    assert {name: [each.name for each in own] for name, own in chosen.items()} == {
        "dots": ["00.png", "12.png", "25.png", "37.png"]
    }
    assert len(harmless.chosen(dataset, {"toy": predictor}, 99)["dots"]) == 40
    with pytest.raises(DatasetError, match="no good test images of a class that is known to toy"):
        harmless.chosen(replace(dataset, test=(strange,)), {"toy": predictor}, 4)


def test_what_is_not_given_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, wanted in (
        (["--data", "demo"], "--data needs --checkpoint"),
        (["--data", "demo", "--checkpoint", "demo-exp100", "--images", "0"], "--images must be 1 or more"),
        (["--data", "demo", "--checkpoint", "demo-exp100", "--set", "seed=1"], "unrecognized arguments: --set"),
    ):
        with pytest.raises(SystemExit):
            harmless.main(arguments)
        assert wanted in capsys.readouterr().err
