"""Gradients to weight updates, for one weight matrix.

Three things happen between a notification and a changed weight. The gradients of some stimuli become one
gradient of the matrix. An optimizer makes a step of it. An update rule says when the step moves the weight
(`updates.py`):

    always      w += step, at once
    every n     gradients are summed; one step of the sum once n stimuli have closed
    threshold   steps are summed per connection, and a connection moves once its |sum| exceeds T

Speed is the point here. A volley that has passed a notification rule reaches few neurons, so most columns of
d are zero. `sgd` and `adagrad` leave a row of w and their own state alone where its gradient is zero, so only
the rows that d reaches are touched, and the result is the dense one. The state of `momentum`, `rmsprop` and
`adam` decays at every step, so these always work through the whole matrix. Passing over it in blocks that
fit the cache was tried and gained nothing from (300, 784) to (1000, 2000).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurond import steady
from neurond.arithmetic import FAST, Arithmetic
from neurond.updates import Floats, Rows, Threshold, few, is_sane, make_release, put, take
from topology.plan import OptimizerPlan, UpdatePlan

Flags = NDArray[np.bool_]


def schedule(plan: OptimizerPlan, stimuli: int) -> float:
    """What share of the learning rate the schedule leaves after this many stimuli of the group, from 1 down to 0.

    `constant`, or to zero over `plan.horizon` stimuli: `linear`, or `cosine` (Loshchilov and Hutter 2017,
    SGDR, arXiv:1608.03983, equation 5, one cycle). Zero after the horizon; a horizon of 0 is constant. `step`:
    `plan.factor` once for each share of the horizon in `plan.steps` that is over (He et al. 2016, arXiv:1512.03385,
    section 4.2, divide by 10 at a half and at three quarters).
    """
    if plan.schedule not in ("constant", "linear", "cosine", "step"):
        raise ValueError(f"unknown schedule {plan.schedule!r}: one of constant, linear, cosine, step")
    if plan.schedule == "constant" or plan.horizon <= 0:
        return 1.0
    progress = min(max(stimuli, 0) / plan.horizon, 1.0)
    if plan.schedule == "linear":
        return 1.0 - progress
    if plan.schedule == "step":
        return steady.power(plan.factor, sum(progress >= step for step in plan.steps))
    return steady.share_of_cosine(progress)


def learning_rate(plan: OptimizerPlan, stimuli: int) -> float:
    """The learning rate after this many stimuli of the group: by its `schedule`, after a warm-up.

    Over the first `plan.warmup` stimuli it rises in proportion from zero (Goyal et al. 2017, arXiv:1706.02677,
    section 2.2).
    """
    warm = min(1.0, stimuli / plan.warmup) if plan.warmup else 1.0
    return plan.lr * warm * schedule(plan, stimuli)


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
        self._optimizer = _Optimizer(optimizer, w.shape)
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

        Raises ValueError, before anything is changed, for an array that is missing or of another shape.
        """
        own = self.state(name)
        for key, array in own.items():
            if key not in state:
                raise ValueError(f"the checkpoint has no {key!r}")
            if state[key].shape != array.shape:
                raise ValueError(f"{key!r} has shape {state[key].shape} in the checkpoint, not {array.shape}")
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


class _Optimizer:
    """One optimizer's formula and the float32 sums it keeps, each of the shape of the weights."""

    def __init__(self, plan: OptimizerPlan, shape: tuple[int, ...]) -> None:
        if plan.kind not in OPTIMIZERS:
            raise ValueError(f"unknown optimizer {plan.kind!r}: one of {', '.join(OPTIMIZERS)}")
        self._plan = plan
        self._formula, names, self.sparse = OPTIMIZERS[plan.kind]
        self._sums = {name: np.zeros(shape, np.float32) for name in names}
        self._steps = 0

    def step(self, rows: Rows, g: Floats, lr: float) -> Floats:
        """The step of these rows for their gradient, in the gradient's own array; all rows unless `sparse`."""
        self._steps += 1
        sums = [take(array, rows) for array in self._sums.values()]
        step = self._formula(self._plan, self._steps, lr, g, sums)
        for array, values in zip(self._sums.values(), sums, strict=True):
            put(array, rows, values)
        return step

    def drift(self, lr: float) -> Floats | None:
        """The step that the velocity alone would make now, a fresh array; None for what has no velocity."""
        if self._plan.kind == "momentum":
            return np.multiply(self._sums["velocity"], np.float32(-lr))
        if self._plan.kind == "adam" and self._steps:
            return _adam_step(self._plan, self._steps, lr, self._sums["moment"], np.sqrt(self._sums["squares"]))
        return None

    def state(self) -> dict[str, NDArray[Any]]:
        return {**self._sums, "steps": np.array([self._steps])}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        for name, array in self._sums.items():
            array[:] = state[name]
        self._steps = int(state["steps"][0])


# Each formula takes (plan, number of this step from 1, lr, gradient, sums); it changes the sums and returns
# the step, in place.


def _sgd(_plan: OptimizerPlan, _t: int, lr: float, g: Floats, _sums: list[Floats]) -> Floats:
    """Step -lr g (Robbins and Monro 1951)."""
    g *= np.float32(-lr)
    return g


def _momentum(plan: OptimizerPlan, _t: int, lr: float, g: Floats, sums: list[Floats]) -> Floats:
    """The velocity is v = mu v + g, the step -lr v (Polyak 1964; lr outside of v: a schedule then acts at once)."""
    (velocity,) = sums
    velocity *= np.float32(plan.momentum)
    velocity += g
    return np.multiply(velocity, np.float32(-lr), out=g)


def _adagrad(plan: OptimizerPlan, _t: int, lr: float, g: Floats, sums: list[Floats]) -> Floats:
    """The squares are s = s + g^2, the step as in `_over_root` (Duchi, Hazan and Singer 2011, the diagonal form)."""
    (squares,) = sums
    scale = g * g
    squares += scale
    return _over_root(plan, lr, g, squares, scale)


def _rmsprop(plan: OptimizerPlan, _t: int, lr: float, g: Floats, sums: list[Floats]) -> Floats:
    """The squares are s = decay s + (1 - decay) g^2, the step as in `_over_root` (Tieleman and Hinton 2012)."""
    (squares,) = sums
    squares *= np.float32(plan.decay)
    scale = g * g
    scale *= np.float32(1.0 - plan.decay)
    squares += scale
    return _over_root(plan, lr, g, squares, scale)


def _over_root(plan: OptimizerPlan, lr: float, g: Floats, squares: Floats, room: Floats) -> Floats:
    """The step -lr g / (sqrt(s) + epsilon), in place of g; `room` is of its shape, and written over."""
    np.sqrt(squares, out=room)
    room += np.float32(plan.epsilon)
    g *= np.float32(-lr)
    g /= room
    return g


def _adam(plan: OptimizerPlan, t: int, lr: float, g: Floats, sums: list[Floats]) -> Floats:
    """Adam with bias correction (Kingma and Ba 2015, arXiv:1412.6980, algorithm 1).

    The sums are M = beta1 M + g and V = beta2 V + g^2, so that the paper's m is (1 - beta1) M and its v is
    (1 - beta2) V. With q^2 = (1 - beta2) / (1 - beta2^t) its step is then
    -lr (1 - beta1) / (1 - beta1^t) / q * M / (sqrt(V) + epsilon / q): two products a weight less.
    """
    moment, squares = sums
    moment *= np.float32(plan.beta1)
    moment += g
    squares *= np.float32(plan.beta2)
    np.multiply(g, g, out=g)
    squares += g
    return _adam_step(plan, t, lr, moment, np.sqrt(squares, out=g))


def _adam_step(plan: OptimizerPlan, t: int, lr: float, moment: Floats, root: Floats) -> Floats:
    """The step of `_adam`, in place of `root`, which is sqrt(V)."""
    q = math.sqrt((1.0 - plan.beta2) / (1.0 - steady.power(plan.beta2, t)))
    root += np.float32(plan.epsilon / q)
    np.divide(moment, root, out=root)
    root *= np.float32(-lr * (1.0 - plan.beta1) / (1.0 - steady.power(plan.beta1, t)) / q)
    return root


_Formula = Callable[[OptimizerPlan, int, float, Floats, list[Floats]], Floats]

OPTIMIZERS: dict[str, tuple[_Formula, tuple[str, ...], bool]] = {
    "sgd": (_sgd, (), True),
    "momentum": (_momentum, ("velocity",), False),
    "adagrad": (_adagrad, ("squares",), True),
    "rmsprop": (_rmsprop, ("squares",), False),
    "adam": (_adam, ("moment", "squares"), False),
}
"""Name -> formula, what it keeps, and whether a row without a gradient stays as it is, sums included."""
