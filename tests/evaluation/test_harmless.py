"""Every kind of change does what its name says, and not more than it promises."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from ltad.data import DEFECTIVE, Sample
from ltad.evaluation import harmless
from ltad.evaluation.harmless import KINDS, change_harmlessly, harmlessly_changed
from tests.toys import toy_picture

SEEDS = range(40)
Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def changed(change: Change, pixels: np.ndarray, seed: int) -> np.ndarray:
    return change(pixels.astype(np.float32), np.random.default_rng(seed))


def flat(value: float, height: int = 40, width: int = 60) -> np.ndarray:
    return np.full((height, width, 3), value)


def picture(class_name: str = "checker", seed: int = 0) -> Image.Image:
    return Image.fromarray(toy_picture(class_name, np.random.default_rng(seed)).clip(0, 255).astype(np.uint8))


# Each kind


@pytest.mark.parametrize(("width", "height"), [(512, 512), (1024, 256)])
def test_perspective_moves_each_corner_by_itself_and_no_further_than_it_may(width: int, height: int) -> None:
    """In a picture whose red grows to the right and whose green grows downward, a colour is a place."""
    x, y = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
    place = np.stack([x, y, np.zeros_like(x)], axis=-1)
    found = []
    for seed in SEEDS:
        moves = (changed(harmless.perspective, place, seed) - place)[..., :2]
        assert np.abs(moves).max() <= 4 / 256 + 1 / 255  # the middle may move twice as far; a step of 8 bits
        found.append([moves[i, j] for i in (10, -11) for j in (10, -11)])  # nearer there are mirror images
    corners = np.array(found)  # (seeds, corners, directions)
    assert 1.7 / 256 < np.abs(corners).max(axis=(0, 1)).min() and np.abs(corners).max() < 2.3 / 256 + 1 / 255
    for first in range(4):
        for second in range(first):  # no mere shift, and no mere turn
            assert np.abs(np.corrcoef(corners[:, first, 0], corners[:, second, 0])[0, 1]) < 0.6


def test_perspective_shows_no_border() -> None:
    for seed in SEEDS:
        assert np.allclose(changed(harmless.perspective, flat(0.6), seed), 0.6, atol=1e-6)


def test_resampling_loses_the_finest_detail_and_nothing_coarse() -> None:
    y, x = np.mgrid[:96, :128]
    fine, coarse = (np.repeat(((x // n + y // n) % 2)[..., None], 3, axis=-1) for n in (1, 24))
    kept = [changed(harmless.resampling, fine, seed).std() / fine.std() for seed in SEEDS]
    assert min(kept) < 0.5 and max(kept) <= 1.01
    for seed in SEEDS:
        again = changed(harmless.resampling, coarse, seed)
        assert again.shape == coarse.shape and np.abs(again - coarse).mean() < 0.06


def test_gamma_leaves_black_and_white() -> None:
    ramp = np.repeat(np.linspace(0, 1, 32)[None, :, None], 3, axis=-1)
    exponents = []
    for seed in SEEDS:
        again = changed(harmless.gamma, ramp, seed)
        assert again[0, 0, 0] == 0 and again[0, -1, 0] == 1
        exponents.append(np.log(again[0, 9, 0]) / np.log(ramp[0, 9, 0]))
        assert np.allclose(again, ramp ** exponents[-1], atol=1e-4)
    assert np.exp(-0.08) <= min(exponents) < 0.95 and 1.05 < max(exponents) <= np.exp(0.08) + 1e-4


def test_the_light_falls_across_the_frame() -> None:
    directions = []
    for seed in SEEDS:
        light = changed(harmless.light_gradient, flat(0.5, 41, 61), seed)[..., 0] / 0.5
        assert light[20, 30] == pytest.approx(1) and light.mean() == pytest.approx(1, abs=1e-5)
        assert np.allclose(light + light[::-1, ::-1], 2, atol=1e-5)  # as much less on the other side
        right, down = light[20, -1] - 1, light[-1, 30] - 1
        assert np.hypot(right, down) <= 0.05 + 1e-5
        directions.append((right > 0, down > 0))
    assert len(set(directions)) == 4


def test_a_tint_is_a_gain_of_each_channel() -> None:
    gains = []
    for seed in SEEDS:
        again = changed(harmless.tint, flat(0.5), seed) / 0.5
        assert np.ptp(again, axis=(0, 1)).max() < 1e-6
        gains.append(np.log(again[0, 0]))
    assert np.abs(gains).max() <= 0.015 + 1e-6 and np.ptp(gains, axis=0).min() > 0.02
    assert np.ptp(gains, axis=1).max() > 0.01  # not the same of all


def test_shot_noise_grows_with_the_root_of_the_light() -> None:
    wells = []
    for seed in SEEDS:
        bright, dim, black = (changed(harmless.shot_noise, flat(v, 120, 120), seed) - v for v in (1, 0.25, 0))
        assert not black.any()
        assert bright.std() == pytest.approx(2 * dim.std(), rel=1e-3)
        wells.append(1 / bright.var())
    assert 0.97 * 3_000 < min(wells) < 4_000 and 15_000 < max(wells) < 1.03 * 20_000
    assert 5_000 < np.median(wells) < 12_000  # equal steps of the logarithm, so around 7,700


def test_webp_saves_with_loss() -> None:
    pixels = np.asarray(picture(), dtype=np.float32) / 255
    errors = [np.abs(changed(harmless.webp, pixels, seed) - pixels).mean() for seed in SEEDS]
    assert 0 < min(errors) and max(errors) < 0.05 and len({round(error, 6) for error in errors}) > 8
    assert np.abs(changed(harmless.webp, flat(0.5), 0) - 0.5).max() < 0.02


# All of them


@pytest.mark.parametrize("size", [(16, 16), (400, 30), (333, 257)])
def test_a_picture_keeps_its_size_and_stays_much_as_it_was(size: tuple[int, int]) -> None:
    before = picture().resize(size)
    again = change_harmlessly(before, np.random.default_rng(0))
    assert (again.size, again.mode) == (size, "RGB")
    far = np.abs(np.asarray(again, float) - np.asarray(before, float)).mean()
    assert 1 < far < 25


@pytest.mark.parametrize("left_out", KINDS)
def test_every_kind_takes_part(left_out: Change, monkeypatch: pytest.MonkeyPatch) -> None:
    before = picture()
    whole = change_harmlessly(before, np.random.default_rng(0)).tobytes()
    monkeypatch.setattr(harmless, "KINDS", tuple(kind for kind in KINDS if kind is not left_out))
    assert change_harmlessly(before, np.random.default_rng(0)).tobytes() != whole


def test_a_sample_is_changed_in_one_way_that_its_name_decides() -> None:
    sample = Sample(
        name="nuts/test/dent/0.png",
        class_name="nuts",
        defect=DEFECTIVE,
        read=picture,
        read_mask=lambda: np.ones((96, 128), bool),
    )
    again = harmlessly_changed(sample)
    assert (again.name, again.class_name, again.label, again.read_mask) == (sample.name, "nuts", 1, None)
    first = again.read()
    assert first.tobytes() != sample.read().tobytes()
    assert again.read().tobytes() == harmlessly_changed(sample).read().tobytes() == first.tobytes()
    other = harmlessly_changed(replace(sample, name="nuts/test/dent/1.png"))
    assert other.read().tobytes() != first.tobytes()
