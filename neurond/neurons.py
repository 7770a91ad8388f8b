"""Activation models: from the weighted input z of a neuron to its activation a, and back.

The slope f'(z) is computed from the activation and not from z, so a group remembers one array a stimulus
instead of two. This holds for every model here because each is monotone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from neurond.arithmetic import FAST, Arithmetic

Floats = NDArray[np.float32]

KINDS = ("relu", "leaky_relu", "tanh", "sigmoid", "linear")


@dataclass(frozen=True, slots=True)
class Neuron:
    """An activation model a = f(z).

    `fire(z)` takes float32 of any shape and returns a of the same shape. It writes into z and returns it,
    so the caller gives z up. `slope(a)` returns f'(z) as float32 of the shape of a, or None where f' is one
    everywhere, so that the caller can skip the product; a is left as it is. NaN passes through `fire`.
    """

    kind: str
    fire: Callable[[Floats], Floats]
    slope: Callable[[Floats], Floats | None]


def make_neuron(kind: str, slope: float = 0.01, arithmetic: Arithmetic = FAST) -> Neuron:
    """The activation model of that name.

    `slope` is f' of a leaky_relu below zero and of no meaning elsewhere. It must not be negative: the sign
    of z could then not be read from a. Raises ValueError for that, and for a name that is not in `KINDS`.
    """
    match kind:
        case "relu":
            return Neuron(kind, lambda z: np.maximum(z, 0.0, out=z), lambda a: (a > 0).astype(np.float32))
        case "leaky_relu":
            return _leaky_relu(slope)
        case "tanh":
            return Neuron(kind, lambda z: arithmetic.tanh(z, out=z), lambda a: 1.0 - a * a)
        case "sigmoid":
            return Neuron(kind, partial(_sigmoid, tanh=arithmetic.tanh), lambda a: a * (1.0 - a))
        case "linear":
            return Neuron(kind, lambda z: z, lambda _: None)
    raise ValueError(f"unknown neuron {kind!r}: one of {', '.join(KINDS)}")


def _leaky_relu(slope: float) -> Neuron:
    if not slope >= 0:
        raise ValueError(f"the slope of a leaky_relu must be 0 or more, not {slope}")
    below = np.float32(slope)

    def fire(z: Floats) -> Floats:
        return np.multiply(z, below, out=z, where=z < 0)

    def slope_of(a: Floats) -> Floats:
        return np.where(a > 0, np.float32(1.0), below)

    return Neuron("leaky_relu", fire, slope_of)


def _sigmoid(z: Floats, tanh: Callable[..., Floats]) -> Floats:
    """1 / (1 + exp(-z)) as (1 + tanh(z / 2)) / 2, which cannot overflow."""
    z *= 0.5
    tanh(z, out=z)
    z += 1.0
    z *= 0.5
    return z
