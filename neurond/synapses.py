"""The weights of one link, and how gradients become updates of them.

Three things happen between a notification and a changed weight. The gradients of some stimuli become one
gradient of the matrix. An optimizer makes a step of it (`optimizers.py`). An update rule says when the step moves the
weight (`updates.py`):

    always      w += step, at once
    every n     gradients are summed; one step of the sum once n stimuli have closed
    threshold   steps are summed per connection, and a connection moves once its |sum| exceeds T

Speed is the point here. A volley that has passed a notification rule reaches few neurons, so most columns of
d are zero. Where the optimizer leaves a row without a gradient alone, only the rows that d reaches are touched, and
the result is the dense one. Passing over the whole matrix in blocks that fit the cache was tried and gained nothing
from (300, 784) to (1000, 2000).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurond.arithmetic import FAST, Arithmetic
from neurond.optimizers import Optimizer
from neurond.restored import refuse_damaged
from neurond.updates import Floats, Rows, Threshold, few, is_sane, make_release, put, take
from topology.plan import OptimizerPlan, UpdatePlan

Flags = NDArray[np.bool_]


class Synapses:
    """The weights of one link, float32 (n_post, n_pre), and what has not become an update yet.

    A bias is a matrix with one column whose x is all ones. `w` is taken over and changed in place: it may be
    read at any time and must not be written by others. `finite` turns false, and stays so, once what a call
    touched is not a number, or beyond `updates.ENORMOUS`.
    """

    __slots__ = (
        "_arithmetic",
        "_closed",
        "_every",
        "_optimizer",
        "_pending",
        "_reached",
        "_release",
        "_unit",
        "finite",
        "w",
    )

    def __init__(
        self, w: Floats, optimizer: OptimizerPlan, update: UpdatePlan, arithmetic: Arithmetic = FAST
    ) -> None:
        if w.ndim != 2 or w.dtype != np.float32 or not w.flags.c_contiguous:
            raise ValueError("weights must be a C-contiguous float32 matrix")
        self.w = w
        self.finite = True
        self._arithmetic = arithmetic
        self._unit = optimizer.lr_unit
        self._optimizer = Optimizer(optimizer, w.shape)
        self._release = make_release(update, w.shape, self._unit, arithmetic)
        self._every = update.every if update.rule == "every" else 0
        self._pending: Floats = np.zeros(w.shape if self._every else (0, 0), np.float32)
        self._reached: Flags = np.zeros(len(w), np.bool_)  # rows of `_pending` that are not all zero
        self._closed = 0

    def learn(self, d: Floats, x: Floats, *, lr: float, stimuli: int = 0, share: float = 1.0) -> int:
        """Take in the gradients of some stimuli; the number of weights that changed.

        d is dLoss/dz, float32 (k, n_post); x is what fed the neurons then, float32 (k, n_pre); both are left
        as they are. The gradient of the matrix is g = sum_k d_k x_k^T / lr_unit. `lr` is the learning rate of the
        step (see `learning_rate`), and `share` of the threshold is what it is now.

        Under `always` and `threshold` a call with k > 0 is one step of the optimizer, and one with k = 0 is nothing.
        Under `every` n the gradients are summed. The first call by which n stimuli or more have closed since the last
        step takes one step of the sum, also where that is zero; `stimuli` is how many closed by this call. So with
        lr_unit = 1 a step is that of a mini-batch with a summed loss, and with lr_unit = n that of one with a mean
        loss. A weight counts once a call, if a step reached it.
        """
        # What overflows shows in `finite`; a warning for each operation would say no more.
        with np.errstate(over="ignore", invalid="ignore"):
            if self._every:
                return self._sum_up(d, x, lr, stimuli)
            if not len(d):
                return 0
            rows = few(np.logical_or.reduce(d, axis=0)) if self._optimizer.sparse else None
            return self._move(rows, self._gradient(rows, d, x), lr, share, len(d))

    def adjust(self, update: UpdatePlan, anew: bool) -> None:
        """Take the threshold and the target of `update`, which is the update rule as before in all else.

        `anew`: the threshold has been set, and is steered on from there if it is steered.
        """
        if isinstance(self._release, Threshold):
            self._release.adjust(update, anew)
        else:
            self._release = make_release(update, self.w.shape, self._unit, self._arithmetic)

    @property
    def held(self) -> Threshold | None:
        """What connections hold back, if the update rule has a threshold, and where T is."""
        return self._release if isinstance(self._release, Threshold) else None

    def ahead(self, steps: float, lr: float) -> Floats:
        """The weights as they are foreseen so many steps of the optimizer from now, float32 (n_post, n_pre).

        w plus `steps` times the step that the velocity alone would make now: w - s lr v for `momentum` (Chen et al.
        2018, SpecTrain, arXiv:1809.02839, weight prediction; Kosson et al. 2021, arXiv:2003.11666, linear weight
        prediction in its velocity form), and the like with the moments of `adam` (Guan et al. 2019, XPipe,
        arXiv:1911.04610). Other optimizers have no velocity: their weights are foreseen as they are. One pass over
        the matrix and its sums, and a matrix of room.
        """
        step = self._optimizer.drift(lr)
        if step is None:
            return self.w
        step *= np.float32(steps)
        step += self.w
        return step

    def state(self, name: str = "w") -> dict[str, NDArray[Any]]:
        """All that a checkpoint must hold, copied: the weights as `name`, the rest as `name/...`."""
        parts = {**self._optimizer.state(), **self._release.state()}
        if self._every:
            parts |= {"pending": self._pending, "closed": np.array([self._closed])}
        return {name: self.w.copy(), **{f"{name}/{part}": array.copy() for part, array in parts.items()}}

    def restore(self, state: Mapping[str, NDArray[Any]], name: str = "w") -> None:
        """Take up what `state` gave; other names in it are left alone.

        Raises ValueError, before anything is changed, for an array that is missing, of another shape or damaged.
        """
        own = self.state(name)
        for key, array in own.items():
            if key not in state:
                raise ValueError(f"the checkpoint has no {key!r}")
            if state[key].shape != array.shape:
                raise ValueError(f"{key!r} has shape {state[key].shape} in the checkpoint, not {array.shape}")
            if key != name:  # weights that are not finite have diverged, which is said elsewhere
                refuse_damaged(repr(key), state[key])
        self.w[:] = state[name]
        parts = {key.removeprefix(f"{name}/"): state[key] for key in own}
        self._optimizer.restore(parts)
        self._release.restore(parts)
        if self._every:
            self._pending[:] = parts["pending"]
            self._reached = np.any(self._pending, axis=1)
            self._closed = int(parts["closed"][0])
        self.finite = is_sane(self.w)

    def begin(self, w: Floats) -> None:
        """Let these be the initial weights, float32 of the shape of `w`."""
        self.w[:] = w
        self.finite = is_sane(w)

    def _sum_up(self, d: Floats, x: Floats, lr: float, stimuli: int) -> int:
        if len(d):
            reached = np.logical_or.reduce(d, axis=0)
            rows = few(reached)
            put(self._pending, rows, take(self._pending, rows) + self._gradient(rows, d, x))
            self._reached |= reached
        self._closed += stimuli
        if self._closed < self._every:
            return 0
        rows = few(self._reached) if self._optimizer.sparse else None
        changed = self._move(rows, take(self._pending, rows).copy(), lr)
        self._pending[self._reached] = 0.0
        self._reached[:] = False
        self._closed = 0
        return changed

    def _gradient(self, rows: Rows, d: Floats, x: Floats) -> Floats:
        """The gradient of these rows, a fresh float32 (rows, n_pre)."""
        if rows is not None:
            d = d.take(rows, axis=1)
        columns: Floats = (d * np.float32(1.0 / self._unit)).T
        # With one stimulus BLAS is several times slower than the plain outer product.
        return self._arithmetic.outer(columns, x) if len(x) == 1 else self._arithmetic.product(columns, x)

    def _move(self, rows: Rows, gradient: Floats, lr: float, share: float = 1.0, stimuli: int = 0) -> int:
        """One step of the optimizer, through the update rule; the gradient's array is used up."""
        step = self._optimizer.step(rows, gradient, lr)
        changed, sane = self._release.release(self.w, rows, step, share, stimuli)
        self.finite = self.finite and sane
        return changed
