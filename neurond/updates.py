"""Update rules: when the steps that an optimizer proposes become changes of the weights.

`always` adds every step. `threshold` sums the steps of each connection, and moves the weight once the sum is
large enough: what residual notifications do for neurons (`rules.py`), done for connections. The rule `every`
needs none of this: it sums gradients, not steps (`Synapses`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from topology.plan import UpdatePlan

Floats = NDArray[np.float32]
Rows = NDArray[np.intp] | None  # numbers of rows of a matrix; None is all of them

ENORMOUS = 1e6
"""Weights whose norm is beyond this have diverged: activations, and so useful weights, are of order one."""


def few(reached: NDArray[np.bool_]) -> Rows:
    """The numbers of the reached rows, or all rows where most are reached.

    Rows by number are copied out and back; from about a half on it costs less to take them all.
    """
    rows = reached.nonzero()[0]
    return rows if 2 * rows.size < reached.size else None


def take(array: Floats, rows: Rows) -> Floats:
    """These rows: the array itself for all of it, else a copy, to be `put` back."""
    return array if rows is None else array.take(rows, axis=0)


def put(array: Floats, rows: Rows, values: Floats) -> None:
    """Put back what `take` gave; nothing is left to do where that was the array itself."""
    if values is not array:
        array[slice(None) if rows is None else rows] = values


def is_sane(values: Floats) -> bool:
    """Whether the norm is a number and at most `ENORMOUS`; one pass in BLAS."""
    flat = values.ravel()
    return bool(np.dot(flat, flat) <= ENORMOUS**2)


class Release(Protocol):
    """Steps to updates."""

    def release(self, w: Floats, rows: Rows, step: Floats, share: float = 1.0) -> tuple[int, bool]:
        """Take in the step of these rows of w, float32 (rows, n_pre), whose array is used up.

        `share` of the threshold, above 0, is what it is now.

        Returns how many weights changed, and whether all that was touched is sane (see `ENORMOUS`).
        """
        ...

    def state(self) -> dict[str, NDArray[Any]]:
        """What is kept for later, by name; the arrays themselves."""
        ...

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take up what `state` gave."""
        ...


def make_release(plan: UpdatePlan, shape: tuple[int, ...]) -> Release:
    """The update rule for weights of that shape; ValueError if it is unknown.

    With T = 0 `threshold` is `always`, by either release.
    """
    if plan.rule not in ("always", "every", "threshold"):
        raise ValueError(f"unknown update rule {plan.rule!r}: one of always, every, threshold")
    if plan.rule != "threshold" or plan.threshold == 0:
        return _Always()
    if plan.release not in ("value", "quantum"):
        raise ValueError(f"unknown release {plan.release!r}: one of value, quantum")
    return _Threshold(plan, shape)


def with_threshold(release: Release, plan: UpdatePlan, shape: tuple[int, ...]) -> Release:
    """The same update rule with the threshold of `plan` from now on; what connections hold back stays."""
    if not isinstance(release, _Threshold):
        return make_release(plan, shape)
    release.threshold = np.float32(plan.threshold)
    return release


class _Always:
    """w += step."""

    def release(self, w: Floats, rows: Rows, step: Floats, share: float = 1.0) -> tuple[int, bool]:  # noqa: ARG002
        part = take(w, rows)
        part += step
        put(w, rows, part)
        return int(np.count_nonzero(step != 0)), is_sane(part)

    def state(self) -> dict[str, NDArray[Any]]:
        return {}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        pass


class _Threshold:
    """held += step; where |held| > T, the weight moves by held, or by the whole multiples of T in it.

    w + held is at all times the initial weight plus the sum of the steps.
    """

    def __init__(self, plan: UpdatePlan, shape: tuple[int, ...]) -> None:
        self.threshold = np.float32(plan.threshold)
        self._quantum = plan.release == "quantum"
        self._held = np.zeros(shape, np.float32)

    def release(self, w: Floats, rows: Rows, step: Floats, share: float = 1.0) -> tuple[int, bool]:
        threshold = self.threshold * np.float32(share)
        held = take(self._held, rows)
        held += step
        size = np.abs(held, out=step)
        largest = size.max(initial=0.0)
        changed, sane = 0, bool(largest < np.inf)  # false for NaN too
        if largest > threshold:
            # Few of many fire, so they are handled by number and not by a mask.
            fired = (size > threshold).ravel().nonzero()[0]
            moved = held.take(fired)
            if self._quantum:
                moved = np.trunc(moved / threshold) * threshold
            held.reshape(-1)[fired] -= moved
            row, column = np.divmod(fired, w.shape[1])
            if rows is not None:
                row = rows[row]
            weights = w[row, column] + moved
            w[row, column] = weights
            changed, sane = fired.size, sane and is_sane(weights)
        put(self._held, rows, held)
        return changed, sane

    def state(self) -> dict[str, NDArray[Any]]:
        return {"held": self._held}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        self._held[:] = state["held"]
