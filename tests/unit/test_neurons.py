"""Activation models, against their formulas and finite differences."""

from __future__ import annotations

import numpy as np
import pytest

from neurond.neurons import KINDS, make_neuron

FORMULAS = {
    "relu": lambda z: np.where(z > 0, z, 0.0),
    "leaky_relu": lambda z: np.where(z > 0, z, 0.2 * z),
    "tanh": np.tanh,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "linear": lambda z: z,
}


def test_every_kind_has_a_formula_here() -> None:
    """No activation model goes untested."""
    assert set(KINDS) == set(FORMULAS)


@pytest.mark.parametrize("kind", KINDS)
def test_fire_is_the_formula(kind: str) -> None:
    """fire(z) is f(z) in float32, written into z."""
    z = np.linspace(-4, 4, 80, dtype=np.float32).reshape(8, 10)
    expected = FORMULAS[kind](z.astype(np.float64))
    a = make_neuron(kind, 0.2).fire(z)
    assert a.dtype == np.float32
    assert np.shares_memory(a, z)
    np.testing.assert_allclose(a, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_slope_is_the_derivative(kind: str) -> None:
    """slope(f(z)) is the finite difference of f at z, and a is left as it is."""
    z = np.linspace(-3.95, 3.95, 80).reshape(8, 10)  # no point within the step of relu's corner
    step = 1e-6
    expected = (FORMULAS[kind](z + step) - FORMULAS[kind](z - step)) / (2 * step)
    neuron = make_neuron(kind, 0.2)
    a = neuron.fire(z.astype(np.float32))
    before = a.copy()
    slope = neuron.slope(a)
    if slope is None:
        slope = np.ones_like(a)
    assert slope.dtype == np.float32
    np.testing.assert_array_equal(a, before)
    np.testing.assert_allclose(slope, expected, rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_extreme_inputs(kind: str) -> None:
    """Huge inputs neither warn nor give NaN, and a NaN comes out as NaN."""
    neuron = make_neuron(kind, 0.2)
    a = neuron.fire(np.array([[-1e30, -200.0, 0.0, 200.0, 1e30, np.nan]], np.float32))
    assert np.isfinite(a[0, :5]).all()
    assert np.isnan(a[0, 5])
    slope = neuron.slope(a)
    assert slope is None or np.isfinite(slope[0, :5]).all()


def test_leaky_relu_with_a_slope_above_one() -> None:
    """leaky_relu multiplies what is below zero even where that makes it larger."""
    a = make_neuron("leaky_relu", 3.0).fire(np.array([-1.0, 2.0], np.float32))
    np.testing.assert_array_equal(a, [-3.0, 2.0])


def test_refusals() -> None:
    """An unknown neuron and a negative slope are refused by name."""
    with pytest.raises(ValueError, match="unknown neuron 'rellu'"):
        make_neuron("rellu")
    with pytest.raises(ValueError, match="0 or more"):
        make_neuron("leaky_relu", -0.1)
