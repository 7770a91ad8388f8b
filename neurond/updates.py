"""Update rules: when the steps that an optimizer proposes become changes of the weights.

`always` adds every step. `threshold` sums the steps of each connection, and moves the weight once the sum is
large enough: what residual notifications do for neurons (`rules.py`), done for connections. The rule `every`
needs none of this: it sums gradients, not steps (`Synapses`).

What is said there of `residual_clip` and `flush` holds here for connections, which take their turns row by row. A
steered threshold (`steering.py`) has a share of the weights for its target, which is to change in `lr_unit` stimuli
with a gradient.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from neurond.arithmetic import FAST, Arithmetic
from neurond.steering import make_steering
from topology.plan import UpdatePlan

Floats = NDArray[np.float32]
Rows = NDArray[np.intp] | None  # numbers of rows of a matrix; None is all of them

_NONE: NDArray[np.intp] = np.zeros(0, np.intp)

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

    def release(self, w: Floats, rows: Rows, step: Floats, share: float = 1.0, stimuli: int = 0) -> tuple[int, bool]:
        """Take in the step of these rows of w, float32 (rows, n_pre), whose array is used up.

        `share` of the threshold, above 0, is what it is now. `stimuli` is how many gradients it is made of.

        Returns how many weights changed, and whether all that was touched is sane (see `ENORMOUS`).
        """
        ...

    def state(self) -> dict[str, NDArray[Any]]:
        """What is kept for later, by name; the arrays themselves."""
        ...

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take up what `state` gave."""
        ...


def make_release(plan: UpdatePlan, shape: tuple[int, ...], unit: int = 1, arithmetic: Arithmetic = FAST) -> Release:
    """The update rule for weights of that shape; ValueError if it is unknown. `unit` is the optimizer's `lr_unit`.

    With T = 0 `threshold` is `always`, by either release.
    """
    if plan.rule not in ("always", "every", "threshold"):
        raise ValueError(f"unknown update rule {plan.rule!r}: one of always, every, threshold")
    if plan.rule != "threshold" or plan.threshold == 0:
        return _Always()
    if plan.release not in ("value", "quantum"):
        raise ValueError(f"unknown release {plan.release!r}: one of value, quantum")
    return Threshold(plan, shape, unit, arithmetic)


class _Always:
    """w += step."""

    def release(
        self,
        w: Floats,
        rows: Rows,
        step: Floats,
        share: float = 1.0,  # noqa: ARG002 - there is no threshold
        stimuli: int = 0,  # noqa: ARG002
    ) -> tuple[int, bool]:
        part = take(w, rows)
        part += step
        put(w, rows, part)
        return int(np.count_nonzero(step != 0)), is_sane(part)

    def state(self) -> dict[str, NDArray[Any]]:
        return {}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        pass


class Threshold:
    """held += step; where |held| > T, the weight moves by held, or by the whole multiples of T in it.

    w + held, and what the clip has removed, is at all times the initial weight plus the sum of the steps.
    """

    def __init__(
        self, plan: UpdatePlan, shape: tuple[int, ...], unit: int = 1, arithmetic: Arithmetic = FAST
    ) -> None:
        self._first, self._threshold = plan.threshold, np.float32(plan.threshold)
        self._quantum = plan.release == "quantum"
        self._held = np.zeros(shape, np.float32)
        self._steering = make_steering(plan, shape, unit, arithmetic)
        self._by_row = plan.adapt == "neuron"
        self._clip = np.float32(plan.residual_clip)
        self._flush = plan.flush
        self._removed = 0.0
        self._counts = np.zeros(2, np.int64)  # sums that were clipped; stimuli since the first row's turn

    @property
    def clipped(self) -> int:
        """Sums that the residual clip has cut."""
        return int(self._counts[0])

    @property
    def thresholds(self) -> NDArray[np.float64]:
        """T now, before it cools; one, or one a row."""
        return np.array([self._first]) if self._steering is None else self._steering.thresholds(self._first)

    @property
    def threshold(self) -> float:
        """Their geometric mean."""
        return self._first if self._steering is None else self._steering.mean(self._first)

    def adjust(self, plan: UpdatePlan, anew: bool) -> None:
        """Take the threshold, which is steered from there if `anew`, and the target; what is held back stays."""
        if self._steering is not None:
            self._steering.aim(plan.target)
            if anew:
                self._steering.begin()
        self._first, self._threshold = plan.threshold, np.float32(plan.threshold)

    def release(self, w: Floats, rows: Rows, step: Floats, share: float = 1.0, stimuli: int = 0) -> tuple[int, bool]:
        """See `Release`."""
        threshold: Any = self._threshold * np.float32(share)
        least = threshold
        if self._steering is not None:
            threshold = self._steered(threshold, rows)
            least = np.min(threshold, initial=np.inf)
        held = take(self._held, rows)
        held += step
        if self._clip:
            self._cut(held, self._clip * threshold)
        size = np.abs(held, out=step)
        largest = size.max(initial=0.0)
        changed, sane = 0, bool(largest < np.inf)  # false for NaN too
        row: NDArray[np.intp] = _NONE
        if largest > least:
            # Few of many fire, so they are handled by number and not by a mask.
            fired = (size > threshold).ravel().nonzero()[0]
            moved = held.take(fired)
            row, column = np.divmod(fired, w.shape[1])
            if self._quantum:
                grain = threshold[row, 0] if self._by_row else threshold
                moved = np.trunc(moved / grain) * grain
            held.reshape(-1)[fired] -= moved
            if rows is not None:
                row = rows[row]
            weights = w[row, column] + moved
            w[row, column] = weights
            changed, sane = fired.size, sane and is_sane(weights)
        put(self._held, rows, held)
        if self._steering is not None:
            self._steering.see(np.bincount(row, minlength=len(w)) if self._by_row else changed, stimuli)
        if self._flush and stimuli:
            flushed, sound = self._let_go(w, stimuli)
            changed, sane = changed + flushed, sane and sound
        return changed, sane

    def state(self) -> dict[str, NDArray[Any]]:
        """What is kept for later; the arrays themselves."""
        state: dict[str, NDArray[Any]] = {"held": self._held}
        if self._clip or self._flush:
            state |= {"removed": np.array([self._removed]), "counts": self._counts}
        return state | self.durable()

    def durable(self) -> dict[str, NDArray[Any]]:
        """Where T is; nothing where it is not steered."""
        return {} if self._steering is None else {"thresholds": self.thresholds}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take up what `state` gave."""
        self._held[:] = state["held"]
        if self._clip or self._flush:
            self._removed = float(state["removed"][0])
            self._counts[:] = state["counts"]
            self._counts[1] %= self._flush or 1
        self.recover(state)

    def recover(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take up what `durable` gave, if it gave anything."""
        if self._steering is not None and "thresholds" in state:
            self._steering.restore(state["thresholds"], self._first)

    def _steered(self, threshold: Any, rows: Rows) -> Any:
        """The threshold, or a column of those of the rows."""
        assert self._steering is not None
        factor = self._steering.factor
        if isinstance(factor, float):
            return threshold * np.float32(factor)
        return threshold * take(factor, rows)[:, None]

    def _cut(self, held: Floats, most: Any) -> None:
        over = np.abs(held) > most
        cut = np.count_nonzero(over)
        if cut:
            self._counts[0] += cut
            before = held[over]
            np.copyto(held, np.copysign(most, held), where=over)
            self._removed += float(np.sum(before, dtype=np.float64) - np.sum(held[over], dtype=np.float64))

    def _let_go(self, w: Floats, stimuli: int) -> tuple[int, bool]:
        """The rows whose turn it is move by all that is held; in `flush` stimuli it is each one's, once."""
        at, n = int(self._counts[1]), len(w)
        self._counts[1] = (at + stimuli) % self._flush
        first, last = at * n // self._flush, (at + min(stimuli, self._flush)) * n // self._flush
        changed, sane = 0, True
        for turn in (slice(first, min(last, n)), slice(0, max(last - n, 0))):
            held = self._held[turn]
            w[turn] += held
            changed += int(np.count_nonzero(held))
            held[:] = 0.0
            sane = sane and is_sane(w[turn])
        return changed, sane
