"""Harmless change: each kind does what it is named for, no more than it may, and the same every time."""

import dataclasses

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter, shift

from ltad.config import HARMLESS_OFF, HarmlessConfig
from ltad.photos.harmless import changed

SIDE = 128
NONE = HarmlessConfig.none()
DRAWS = 30


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    """Soft coloured noise, the same at all borders."""
    noise = np.random.default_rng(0).standard_normal((SIDE, SIDE, 3))
    soft = gaussian_filter(noise, (1.5, 1.5, 0), mode="wrap")
    return Image.fromarray((120 + 40 * soft / soft.std()).clip(0, 255).astype(np.uint8))


def copies(picture: Image.Image, **strengths: float) -> list[np.ndarray]:
    settings = dataclasses.replace(NONE, **strengths)
    made = [changed(picture, settings, np.random.default_rng(seed)) for seed in range(DRAWS)]
    assert all(each.mode == "RGB" and each.size == picture.size for each in made)
    return [np.asarray(each, dtype=float) for each in made]


def test_no_change_is_none(picture: Image.Image) -> None:
    assert not NONE.is_any and all(np.array_equal(each, np.asarray(picture)) for each in copies(picture))


@pytest.mark.parametrize("kind", HARMLESS_OFF)
def test_every_kind_changes_something_and_draws_anew(picture: Image.Image, kind: str) -> None:
    strength = {kind: getattr(HarmlessConfig(), kind) * (3 if kind == "blur" else 1)}  # so little is none at this size
    made = copies(picture, **strength)
    happened = [each for each in made if not np.array_equal(each, np.asarray(picture))]
    assert 0.3 * DRAWS < len(happened) < 0.75 * DRAWS  # by an even chance
    assert len({each.tobytes() for each in happened}) > (0.5 if kind == "jpeg" else 0.9) * len(happened)
    again = copies(picture, **strength)
    assert all(np.array_equal(one, other) for one, other in zip(made, again, strict=True))


def test_a_shift_is_as_far_as_it_may_be_in_pixels_of_256(picture: Image.Image) -> None:
    plain, far = np.asarray(picture, dtype=float), []
    moved = [each for each in copies(picture, shift=8.0) if not np.array_equal(each, plain)]
    for each in moved[:2]:
        steps = np.arange(-5, 5.5, 0.5)
        errors = {
            (dy, dx): np.abs(shift(plain, (dy, dx, 0), order=1) - each)[12:-12, 12:-12].mean()
            for dy in steps
            for dx in steps
        }
        dy, dx = min(errors, key=errors.__getitem__)
        assert errors[dy, dx] < 0.3 * max(errors.values())
        far += [abs(dy), abs(dx)]
    assert 2 < max(far) <= 4  # 8 of 256 are 4 of 128


def test_light_keeps_within_its_bounds(picture: Image.Image) -> None:
    plain = np.asarray(picture, dtype=float)
    brighter = [each.mean() / plain.mean() for each in copies(picture, brightness=10.0)]
    assert 0.89 < min(brighter) < 0.93 and 1.07 < max(brighter) < 1.11
    harder = [each.std() / plain.std() for each in copies(picture, contrast=10.0)]
    assert 0.89 < min(harder) < 0.93 and 1.07 < max(harder) < 1.11
    tints = np.array([each.mean((0, 1)) / plain.mean((0, 1)) for each in copies(picture, colour=10.0)])
    assert 0.89 < tints.min() and tints.max() < 1.11 and np.ptp(tints, axis=1).max() > 0.1


def test_noise_and_blur_are_as_strong_as_they_may_be(picture: Image.Image) -> None:
    plain = np.asarray(picture, dtype=float)
    noise = [(each - plain).std() for each in copies(picture, noise=5.0)]
    assert min(noise) < 1 and 4 < max(noise) < 5.3
    edges = [np.diff(each, axis=0).std() / np.diff(plain, axis=0).std() for each in copies(picture, blur=4.0)]
    assert max(edges) > 0.97 and min(edges) < 0.9


def test_what_one_change_draws_does_not_depend_on_another(picture: Image.Image) -> None:
    noise = copies(picture, noise=4.0)
    both = copies(picture, noise=4.0, brightness=1e-9)
    assert all(np.array_equal(one, other) for one, other in zip(noise, both, strict=True))


@pytest.mark.parametrize(("kind", "value"), [("shift", -1.0), ("shift", 99.0), ("jpeg", 101.0), ("blur", float("nan"))])
def test_strengths_that_are_none_are_refused(kind: str, value: float) -> None:
    with pytest.raises(ValueError, match=kind):
        HarmlessConfig(**{kind: value})
