"""Products that are exact: in any order, close to float32's, and never saturated."""

from __future__ import annotations

import numpy as np
import pytest

from neurond.arithmetic import EXACT, FAST, counting, exact_product

SHAPES = [(1, 1, 1), (3, 5, 2), (64, 784, 300), (16, 4096, 8), (2, 20_000, 3)]


def matrices(n: int, k: int, m: int) -> tuple[np.ndarray, np.ndarray]:
    """Two float32 matrices of (n, k) and (k, m), of very different size."""
    rng = np.random.default_rng([n, k, m])
    return rng.standard_normal((n, k), np.float32) * np.float32(300), rng.standard_normal((k, m), np.float32) * 1e-6


@pytest.mark.parametrize("shape", SHAPES)
def test_no_order_matters(shape: tuple[int, int, int]) -> None:
    """With the terms of each sum in another order, which no float32 product survives, every bit is the same."""
    a, b = matrices(*shape)
    order = np.random.default_rng(1).permutation(shape[1])
    np.testing.assert_array_equal(exact_product(a, b), exact_product(a[:, order], b[order]))
    np.testing.assert_array_equal(exact_product(a, b), exact_product(a[:, ::-1], b[::-1]))


def test_plain_products_do_depend_on_it() -> None:
    """The test above can fail: a product in float32 does."""
    a, b = matrices(64, 784, 300)
    assert np.count_nonzero(a @ b != a[:, ::-1] @ b[::-1])


@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_off_by_the_rounding_of_its_factors(shape: tuple[int, int, int]) -> None:
    """Each factor is rounded to half a step of 2**-b of its largest; the product is off by no more than follows."""
    (a, b), k = matrices(*shape), shape[1]
    bits = (53 - max(k - 1, 0).bit_length()) // 2
    true = a.astype(np.float64) @ b.astype(np.float64)
    steps = [2.0 ** np.ceil(np.log2(np.abs(x).max())) * 2.0**-bits for x in (a, b)]
    bound = k * (steps[0] * np.abs(b).max() + steps[1] * np.abs(a).max())
    found = exact_product(a, b)
    assert found.dtype == np.float32
    assert np.abs(found - true).max() <= bound
    spread = np.abs(true).max()
    assert np.abs(found - true).max() < 1e-4 * spread


def test_it_is_written_where_it_should_be() -> None:
    """Into the array that is given, as `numpy.matmul` does."""
    a, b = matrices(3, 5, 2)
    out = np.zeros((3, 2), np.float32)
    assert exact_product(a, b, out) is out
    np.testing.assert_array_equal(out, exact_product(a, b))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_stays_so(bad: float) -> None:
    """A group that diverges is to notice it."""
    a, b = matrices(3, 5, 2)
    a[0, 0] = bad
    with np.errstate(invalid="ignore"):  # as a group has it
        assert not np.isfinite(exact_product(a, b)[0]).any()


def test_nothing_times_anything() -> None:
    """Zeros, and matrices without a row, are no special case to the caller."""
    a, b = matrices(3, 5, 2)
    assert not exact_product(0 * a, b).any()
    assert exact_product(a[:0], b).shape == (0, 2)


@pytest.mark.parametrize("arithmetic", [FAST, EXACT])
def test_multiply_adds_are_counted(arithmetic: object) -> None:
    """By products, by outer products, and not by the arithmetic that nobody counts."""
    counted = counting(arithmetic)
    a, b = matrices(3, 5, 2)
    counted.product(a, b)
    counted.outer(a[:1].T, b[0][None])
    assert counted.spent() == 3 * 5 * 2 + 5 * 2
    assert arithmetic.spent() == 0
