"""exp, log, tanh, cosine and chance of our own, against those of NumPy and Python."""

from __future__ import annotations

import math

import numpy as np
import pytest

from neurond import steady

NEAR = 4e-15


def apart(found: np.ndarray, true: np.ndarray) -> float:
    """The largest difference: absolute where the truth is below 1, else relative."""
    return float((np.abs(found - true) / np.maximum(1.0, np.abs(true))).max())


@pytest.mark.parametrize(
    ("name", "x"),
    [
        ("exp", np.linspace(-700, 700, 20_001)),
        ("log", np.exp(np.linspace(-700, 700, 20_001))),
        ("tanh", np.linspace(-30, 30, 20_001)),
    ],
)
def test_functions_are_those_of_numpy(name: str, x: np.ndarray) -> None:
    """Each is within a few units of the last place of NumPy's."""
    assert apart(getattr(steady, name)(x), getattr(np, name)(x)) < NEAR


def test_exp_keeps_its_relative_precision() -> None:
    """What is near zero is as precise as what is large."""
    x = np.linspace(-700, 0, 20_001)
    assert np.abs(steady.exp(x) / np.exp(x) - 1).max() < NEAR


def test_cosines_are_those_of_python() -> None:
    """Of whole turns, and the half turn of a schedule."""
    turns = np.linspace(-3, 3, 20_001)
    assert apart(steady.cosine(turns), np.cos(2 * np.pi * turns)) < NEAR
    for progress in np.linspace(0, 1, 1001).tolist():
        assert abs(steady.share_of_cosine(progress) - 0.5 * (1 + math.cos(math.pi * progress))) < NEAR


def test_powers_are_those_of_python() -> None:
    """By squaring, to the hundred-thousandth."""
    for n in (0, 1, 2, 3, 1000, 99_999):
        assert steady.power(0.999, n) == pytest.approx(0.999**n, rel=1e-10)


def test_edges() -> None:
    """NaN stays NaN, what is far out ends at the limits, and results go where they are asked to, as float32."""
    x = np.array([np.nan, np.inf, -np.inf, 1e30], np.float32)
    np.testing.assert_array_equal(steady.exp(x), [np.nan, np.inf, 0.0, np.inf])
    np.testing.assert_array_equal(steady.tanh(x), [np.nan, 1.0, -1.0, 1.0])
    z = np.array([0.0, 1.0], np.float32)
    assert steady.exp(z, out=z) is z
    assert z.dtype == np.float32
    assert z[1] == np.float32(math.e)


def test_normal_numbers_are_normal() -> None:
    """A million of them have the moments of a normal distribution, and the share beyond 3 that it has."""
    z = steady.generator(np.random.SeedSequence(5)).standard_normal((1000, 1000), np.float32)
    assert z.dtype == np.float32
    assert abs(z.mean()) < 0.005
    assert abs(z.std() - 1) < 0.005
    assert abs((z.astype(float) ** 4).mean() - 3) < 0.05
    assert abs((np.abs(z) > 3).mean() - 0.0027) < 0.0003


def test_chance_is_uniform_and_exponential() -> None:
    """Over several blocks: means, spread and limits are as they should be; and the same seed is the same chance."""
    chance, again = (steady.Chance(np.random.SeedSequence([3, 4])) for _ in range(2))
    uniform = np.array([chance.random() for _ in range(20_000)])
    waits = np.array([chance.exponential(2.0) for _ in range(20_000)])
    assert 0 <= uniform.min() < 0.001
    assert 0.999 < uniform.max() < 1
    assert abs(uniform.mean() - 0.5) < 0.01
    assert waits.min() >= 0
    assert abs(waits.mean() - 2) < 0.05
    assert abs(waits.std() - 2) < 0.08
    assert [again.random() for _ in range(20_000)] == uniform.tolist()
