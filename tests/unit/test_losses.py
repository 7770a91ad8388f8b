"""Losses, against their formulas in float64 and finite differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neurond.losses import make_loss


def cross_entropy(z: NDArray[Any], targets: NDArray[Any]) -> NDArray[Any]:
    """-log softmax(z)[target], as a textbook writes it."""
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    return -np.log(p[np.arange(len(z)), targets[:, 0].astype(int)])


def squared_error(z: NDArray[Any], targets: NDArray[Any]) -> NDArray[Any]:
    """Half the squared distance."""
    return 0.5 * ((z - targets) ** 2).sum(1)


def differences(
    loss: Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]], z: NDArray[Any], targets: NDArray[Any]
) -> NDArray[Any]:
    """The gradient of a loss by central differences."""
    gradient = np.empty_like(z)
    for k in range(z.shape[1]):
        step = np.zeros_like(z)
        step[:, k] = 1e-5
        gradient[:, k] = (loss(z + step, targets) - loss(z - step, targets)) / 2e-5
    return gradient


@pytest.mark.parametrize(("kind", "formula"), [("cross-entropy", cross_entropy), ("mse", squared_error)])
def test_loss_and_gradient(kind: str, formula: Callable[..., NDArray[Any]]) -> None:
    """Loss and gradient are the formula and its finite differences, a stimulus at a time, and z is kept."""
    rng = np.random.default_rng(1)
    z = rng.normal(0, 2, (40, 7)).astype(np.float32)
    targets = rng.integers(0, 7, (40, 1)) if kind == "cross-entropy" else rng.normal(0, 2, (40, 7))
    targets = targets.astype(np.float32)
    before = z.copy()
    loss, gradient, hit = make_loss(kind)(z, targets)
    wide, wide_targets = z.astype(np.float64), targets.astype(np.float64)
    assert loss.dtype == gradient.dtype == np.float32
    assert hit.dtype == np.bool_
    np.testing.assert_array_equal(z, before)
    np.testing.assert_allclose(loss, formula(wide, wide_targets), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gradient, differences(formula, wide, wide_targets), rtol=1e-4, atol=1e-5)
    right = targets[:, 0] if kind == "cross-entropy" else targets.argmax(1)
    np.testing.assert_array_equal(hit, z.argmax(1) == right)
    assert hit.any()
    assert not hit.all()


def test_cross_entropy_of_huge_outputs() -> None:
    """Outputs that would overflow exp give the exact limit: no loss where right, the difference where wrong."""
    z = np.array([[1e4, 0.0, -1e4], [1e4, 0.0, -1e4]], np.float32)
    loss, gradient, hit = make_loss("cross-entropy")(z, np.array([[0], [1]], np.float32))
    np.testing.assert_array_equal(loss, [0.0, 1e4])
    np.testing.assert_array_equal(gradient, [[0, 0, 0], [1, -1, 0]])
    np.testing.assert_array_equal(hit, [True, False])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", ["cross-entropy", "mse"])
def test_what_is_not_finite_shows_in_the_loss(kind: str, bad: float) -> None:
    """One output that is not finite makes the loss of its own stimulus not finite, without a word, and no other's."""
    z = np.zeros((3, 2), np.float32)
    z[1, 0] = bad
    targets = np.zeros((3, 1 if kind == "cross-entropy" else 2), np.float32)
    loss, _, hit = make_loss(kind)(z, targets)
    if kind == "cross-entropy" and bad == -np.inf:
        assert loss[1] == np.inf  # the target has probability zero
    else:
        assert not np.isfinite(loss[1])
    assert np.isfinite(loss[[0, 2]]).all()
    assert not (hit[1] and np.isnan(loss[1]))


def test_one_output_is_hit_within_a_half() -> None:
    """A single output of mse counts as right when it is nearer than a half to its target."""
    loss, gradient, hit = make_loss("mse")(
        np.array([[0.4], [0.6], [np.nan]], np.float32), np.zeros((3, 1), np.float32)
    )
    np.testing.assert_array_equal(hit, [True, False, False])
    np.testing.assert_allclose(loss[:2], [0.08, 0.18], rtol=1e-6)
    np.testing.assert_allclose(gradient[:2, 0], [0.4, 0.6], rtol=1e-6)


@pytest.mark.parametrize("index", [-1, 3, 1e9, np.nan])
def test_class_index_out_of_range(index: float) -> None:
    """A class that does not exist is refused, at either end, and so is NaN."""
    with pytest.raises(ValueError, match=r"outside of 0\.\.2"):
        make_loss("cross-entropy")(np.zeros((2, 3), np.float32), np.array([[0], [index]], np.float32))


@pytest.mark.parametrize("kind", ["cross-entropy", "mse"])
def test_no_stimuli(kind: str) -> None:
    """No stimuli give no losses."""
    loss, gradient, hit = make_loss(kind)(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32))
    assert loss.shape == hit.shape == (0,)
    assert gradient.shape == (0, 3)


def test_unknown_loss() -> None:
    """An unknown loss is refused by name."""
    with pytest.raises(ValueError, match="unknown loss 'mae'"):
        make_loss("mae")
