"""Optimizers: gradients to steps, for one weight matrix, and the learning rate that they go by.

`sgd` and `adagrad` leave a row of w and their own state alone where its gradient is zero. The state of `momentum`,
`rmsprop` and `adam` decays at every step, so these always work through the whole matrix.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurond import steady
from neurond.updates import Floats, Rows, put, take
from topology.plan import OptimizerPlan


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


class Optimizer:
    """One optimizer's formula and the float32 sums it keeps, each of the shape of the weights; ValueError if unknown.

    `sparse`: a row without a gradient stays as it is, sums included.
    """

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
        """The sums by name, themselves, and how many steps there were."""
        return {**self._sums, "steps": np.array([self._steps])}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take up what `state` gave."""
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
