"""exp, log, tanh, cosine and chance that are the same to the last bit on any machine.

What a library of mathematics, or NumPy's own loops for a processor, makes of these differs in the last bit from one
machine to the next. IEEE 754 leaves no choice for a sum, a product, a quotient, a square root, a rounding to whole
numbers and a scaling by a power of two, so nothing else is used here. All of it is float64 inside; each function
takes an array of any shape, or a number, and is within 3e-15 of the truth (absolute where that is below 1, else
relative).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]

_LN2_HIGH = 6.93147180369123816490e-01
"""ln 2 to 33 bits (those of fdlibm): its product with a whole number below 2**20 is exact."""
_LN2_LOW = 1.90821492927058770002e-10
_INVERSE_LN2 = 1.0 / 6.93147180559945286227e-01
_EXP = tuple(1.0 / math.factorial(k) for k in range(13, -1, -1))
_LOG = tuple(2.0 / k for k in range(23, 0, -2))
_COSINE = tuple((-1) ** k / math.factorial(2 * k) for k in range(11, -1, -1))
_ROOT_HALF = math.sqrt(0.5)
_BLOCK = 4096


def exp(x: Floats, out: Floats | None = None) -> Floats:
    """The exponential; 0 far below zero, infinity far above, NaN for NaN. Written to `out` where that is given."""
    z = np.clip(np.asarray(x, np.float64), -800.0, 800.0)
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        n = np.rint(z * _INVERSE_LN2)
        r = (z - n * _LN2_HIGH) - n * _LN2_LOW
        e = np.ldexp(_horner(_EXP, r), np.nan_to_num(n).astype(np.int32))
    return _given(e, out)


def log(x: Floats, out: Floats | None = None) -> Floats:
    """The natural logarithm of what is above zero."""
    m, e = np.frexp(np.asarray(x, np.float64))
    low = m < _ROOT_HALF
    m, e = np.where(low, m + m, m), e - low
    s = (m - 1.0) / (m + 1.0)
    return _given(e * _LN2_HIGH + (s * _horner(_LOG, s * s) + e * _LN2_LOW), out)


def tanh(x: Floats, out: Floats | None = None) -> Floats:
    """(e^x - e^-x) / (e^x + e^-x), from e^-2|x|, so that it cannot overflow."""
    z = np.asarray(x, np.float64)
    e = exp(-2.0 * np.abs(z))
    return _given(np.copysign((1.0 - e) / (1.0 + e), z), out)


def cosine(turns: Floats) -> Floats:
    """The cosine of so many whole turns, of 2 pi each."""
    t = np.asarray(turns, np.float64)
    t = np.abs(t - np.rint(t))  # 0 to 1/2 of a turn
    far = t > 0.25
    y = np.where(far, 0.5 - t, t) * (2.0 * math.pi)
    c = _horner(_COSINE, y * y)
    return np.where(far, -c, c)


def share_of_cosine(progress: float) -> float:
    """(1 + cos(pi progress)) / 2: from 1 down to 0 as progress goes from 0 to 1; plain numbers, for it is quick."""
    far = progress > 0.5
    y = (1.0 - progress if far else progress) * math.pi
    y, c = y * y, 0.0
    for a in _COSINE:
        c = c * y + a
    return 0.5 * (1.0 - c if far else 1.0 + c)


def power(x: float, n: int) -> float:
    """The n-th power of x, n not negative, by squaring."""
    found = 1.0
    while n:
        if n & 1:
            found *= x
        x *= x
        n >>= 1
    return found


def _horner(coefficients: tuple[float, ...], x: Floats) -> Floats:
    found = np.full_like(x, coefficients[0])
    for c in coefficients[1:]:
        found *= x
        found += c
    return found


def _given(found: Floats, out: Floats | None) -> Floats:
    if out is None:
        return found
    out[...] = found
    return out


class Generator(np.random.Generator):
    """NumPy's generator, whose normal numbers are made by this module: `standard_normal` is all that differs."""

    def standard_normal(self, size: Any = None, dtype: Any = np.float64, out: Any = None) -> Any:
        """Normal numbers with mean 0 and variance 1 (Box and Muller 1958)."""
        u = self.random((2, *(np.empty(size).shape if isinstance(size, int) else size or ())))
        normal = np.sqrt(-2.0 * log(1.0 - u[0])) * cosine(u[1])
        return normal.astype(dtype) if out is None else _given(normal, out)


def generator(seed: np.random.SeedSequence) -> Generator:
    """As `numpy.random.default_rng`."""
    return Generator(np.random.PCG64(seed))


class Chance:
    """Numbers by chance, one by one but made by the block."""

    def __init__(self, seed: np.random.SeedSequence) -> None:
        self._generator = generator(seed)
        self._uniform: list[float] = []
        self._exponential: list[float] = []

    def random(self) -> float:
        """Uniform from 0 to 1, below 1."""
        if not self._uniform:
            self._uniform = self._generator.random(_BLOCK).tolist()
        return self._uniform.pop()

    def exponential(self, scale: float) -> float:
        """Exponentially distributed, with this mean."""
        if not self._exponential:
            self._exponential = (-log(1.0 - self._generator.random(_BLOCK))).tolist()
        return scale * self._exponential.pop()
