"""Sums of residuals: they add up, come apart again, and say what numpy says."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ltad.training.moments import Moments, total_of

PATCHES, DIM = 3, 2
images = st.integers(1, 6).flatmap(
    lambda count: arrays(np.float64, (count, PATCHES, DIM), elements=st.integers(-9, 9).map(float))
)


def moments_of(residuals: np.ndarray) -> Moments:
    """Of one class's residuals (images, patches, D): (1, D), (1, D, D) and (1,)."""
    values = torch.from_numpy(residuals)
    second = values.mT @ values / values.shape[1]
    return Moments(values.mean(1).sum(0)[None], second.sum(0)[None], torch.tensor([float(len(values))]))


def close(one: Moments, other: Moments) -> bool:
    return all(torch.allclose(mine.double(), theirs.double()) for mine, theirs in zip(one, other, strict=True))


@settings(deadline=None)
@given(images, images)
def test_parts_add_up_to_the_whole_and_come_apart_again(some: np.ndarray, others: np.ndarray) -> None:
    whole = moments_of(np.concatenate([some, others]))
    assert close(total_of([moments_of(some), moments_of(others)]), whole)
    assert close(whole.minus(moments_of(others)), moments_of(some))


@settings(deadline=None)
@given(images)
def test_mean_and_covariance_are_those_of_all_patches(residuals: np.ndarray) -> None:
    moments, patches = moments_of(residuals), residuals.reshape(-1, DIM)
    np.testing.assert_allclose(moments.mean()[0], patches.mean(0), atol=1e-6)
    np.testing.assert_allclose(moments.covariance()[0], np.cov(patches, rowvar=False, bias=True), atol=1e-6)


@settings(deadline=None)
@given(images, st.floats(0, 6.3))
def test_along_a_basis_the_variances_are_those_of_the_turned_patches(residuals: np.ndarray, angle: float) -> None:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    along = moments_of(residuals).along(torch.from_numpy(turn))
    turned = residuals.reshape(-1, DIM) @ turn
    np.testing.assert_allclose(along.mean()[0], turned.mean(0), atol=1e-6)
    np.testing.assert_allclose(along.variance()[0], turned.var(0), atol=1e-5)


def test_each_image_gets_its_class_and_a_class_without_images_is_zero() -> None:
    several = Moments(torch.tensor([[2.0, 4.0], [0, 0]]), torch.ones(2, 2, 2), torch.tensor([2.0, 0]))
    assert several.of(torch.tensor([1, 0, 0])).mean().tolist() == [[0, 0], [1, 2], [1, 2]]
