"""How a group computes: as fast as this machine can, or so that every machine finds the same bits.

    FAST    float32, BLAS and NumPy's own loops. They add up in an order, and with fused multiply-adds, that depend
            on the processor, so the last bits do too.
    EXACT   every product of two matrices is exact, so that no order matters; other functions are those of
            `steady.py`. What is not said here is elementwise +, -, *, / and roots, which IEEE 754 leaves no choice.

A product of (n, k) and (k, m) is made exact like this. The entries of each matrix are rounded to whole multiples of a
power of two, chosen by the largest of them such that these whole numbers are at most 2**b, with 2**(2b) k <= 2**53.
Then each product of two, and each sum of up to k of them, is a whole number that float64 holds exactly, whatever the
order (Ozaki et al. 2012, Error-free transformations of matrix multiplication, Numerical Algorithms 59, of which this
keeps the first slice). b is 22 for up to 2**9 terms, 20 for 2**13 and 18 for 2**17; float32 itself has 24 bits.
So an entry is off by at most 2**-b of the largest of its matrix, and nothing ever saturates.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurond import steady

Floats = NDArray[np.float32]
MANTISSA = 53
"""Bits of a float64."""


def _uncounted() -> int:
    return 0


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """What of a group's numerics may be done in one way or another.

    `product(a, b, out)` is the matrix product, float32 (n, k) by (k, m) into (n, m); `outer(a, b)` the one of (n, 1)
    by (1, m). `exp`, `log` and `tanh` take (x, out), elementwise, as NumPy's do. `generator` makes the source of
    chance of a seed. `spent` tells how many multiply-adds were made, if anybody counts them.
    """

    product: Callable[..., Floats]
    outer: Callable[..., Floats]
    exp: Callable[..., Any]
    log: Callable[..., Any]
    tanh: Callable[..., Any]
    generator: Callable[[np.random.SeedSequence], np.random.Generator]
    spent: Callable[[], int] = _uncounted


def exact_product(a: Floats, b: Floats, out: Floats | None = None) -> Floats:
    """The product of two matrices whose entries are rounded as the module says; its entries rounded to float32.

    Where an entry is not finite it is that of BLAS: the group that finds it is going to diverge.
    """
    terms = a.shape[1]
    bits = (MANTISSA - max(terms - 1, 0).bit_length()) // 2
    largest = _largest(a), _largest(b)
    if not math.isfinite(largest[0] + largest[1]):
        return np.matmul(a, b, out=out)
    up = [bits - math.frexp(x)[1] for x in largest]
    found = _whole(a, up[0]) @ _whole(b, up[1])
    found *= math.ldexp(1.0, -up[0] - up[1])
    if out is None:
        return found.astype(np.float32)
    out[...] = found
    return out


def _largest(a: Floats) -> float:
    """The largest |entry|; NaN if there is one."""
    return max(float(a.max()), -float(a.min())) if a.size else 0.0


def _whole(a: Floats, up: int) -> NDArray[np.float64]:
    """Whole numbers: the entries times 2**up, rounded to the nearest."""
    whole = a.astype(np.float64)  # and then in place: NumPy is slow where types are mixed
    whole *= math.ldexp(1.0, up)
    return np.rint(whole, out=whole)


def counting(arithmetic: Arithmetic) -> Arithmetic:
    """The same arithmetic, that counts its multiply-adds."""
    spent = 0

    def product(a: Floats, b: Floats, out: Floats | None = None) -> Floats:
        nonlocal spent
        spent += a.shape[0] * a.shape[1] * b.shape[1]
        return arithmetic.product(a, b, out)

    def outer(a: Floats, b: Floats) -> Floats:
        nonlocal spent
        spent += a.size * b.size
        return arithmetic.outer(a, b)

    return replace(arithmetic, product=product, outer=outer, spent=lambda: spent)


FAST = Arithmetic(np.matmul, np.multiply, np.exp, np.log, np.tanh, np.random.default_rng)
EXACT = Arithmetic(exact_product, np.multiply, steady.exp, steady.log, steady.tanh, steady.generator)
