"""Losses, one number a stimulus: nothing is averaged, for there is no batch to average over."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurond.arithmetic import FAST, Arithmetic

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]

Loss = Callable[[Floats, Floats], tuple[Floats, Floats, Flags]]
"""``loss(z, targets) -> (loss, gradient, hit)``.

z is the activation of the readout, float32 (n, k), and is left as it is; targets are float32, (n, 1) or
(n, k). Returned are the loss of each stimulus, float32 (n,); its gradient with respect to z, float32 (n, k),
fresh; and whether the output is right, bool (n,). A NaN in z gives a NaN loss and no hit, and never raises.
"""

KINDS = ("cross-entropy", "mse")


def make_loss(kind: str, arithmetic: Arithmetic = FAST) -> Loss:
    """The loss of that name; ValueError for a name that is not in `KINDS`."""
    match kind:
        case "cross-entropy":
            return partial(cross_entropy, exp=arithmetic.exp, log=arithmetic.log)
        case "mse":
            return squared_error
    raise ValueError(f"unknown loss {kind!r}: one of {', '.join(KINDS)}")


def cross_entropy(
    z: Floats, targets: Floats, exp: Callable[..., Any] = np.exp, log: Callable[..., Any] = np.log
) -> tuple[Floats, Floats, Flags]:
    """-log softmax(z)[target], with gradient softmax(z) - onehot(target).

    `targets` is (n, 1), a class index in [0, k) a row; `hit` is argmax(z) == target. Raises ValueError for an
    index outside of that. The largest z of a row is subtracted first, so exp cannot overflow (Goodfellow,
    Bengio and Courville, Deep Learning, 2016, section 4.1).
    """
    with np.errstate(invalid="ignore"):  # inf - inf and a NaN target are the caller's to see, not to catch
        target = targets[:, 0].astype(np.int64)
        p = z - np.maximum.reduce(z, axis=1, keepdims=True)
    rows = np.arange(len(z))
    # Seen as unsigned a negative index is huge, so one reduction checks both ends.
    if np.maximum.reduce(target.view(np.uint64), initial=0) >= z.shape[1]:
        raise ValueError(f"a class index is outside of 0..{z.shape[1] - 1}")
    loss = -p[rows, target]
    exp(p, out=p)
    total = np.add.reduce(p, axis=1)
    loss += log(total)
    p /= total[:, None]
    p[rows, target] -= 1.0
    hit = z.argmax(axis=1) == target
    hit &= loss == loss  # argmax finds a NaN "largest"
    return loss, p, hit


def squared_error(z: Floats, targets: Floats) -> tuple[Floats, Floats, Flags]:
    """Half the sum of (z - target)^2 over the outputs, with gradient z - target.

    `targets` is (n, k). `hit` is argmax(z) == argmax(target), and for one output |z - target| < 0.5.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        gradient = z - targets
        loss = np.add.reduce(gradient * gradient, axis=1)
    loss *= 0.5
    if z.shape[1] == 1:
        return loss, gradient, np.abs(gradient[:, 0]) < 0.5
    hit = z.argmax(axis=1) == targets.argmax(axis=1)
    hit &= loss == loss
    return loss, gradient, hit
