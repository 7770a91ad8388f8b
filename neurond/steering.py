"""Thresholds that are steered so that a wanted share of what stands before them fires.

Integral control in the logarithm of T, by counts alone: with c fired in s stimuli, each of which has n gradients that
the threshold stands before,

    log T += (c / (target n) - s) / span

so T rests where c = target n s on average, and nothing but stimuli drives it (after Andrew et al. 2021,
Differentially private learning with adaptive clipping, arXiv:1905.03871, section 2, whose geometric updates follow a
quantile so). That the share falls as T rises is all that is asked of a rule. The gain is small beside the steepness
of any of them: a `span` is SPAN stimuli, and more where fewer than EXPECTED are to fire in these. One look moves T by
a factor of two at most, and never beyond RANGE times what it began with, or below that part of it.

The stimuli are those whose gradients come here. To count all, so that a wanted share of a dense pass is sent, was
tried: T is then too high while errors are large, and falls to nothing once there are few, which costs accuracy.

To send a wanted share and not what passes a given threshold is Dryden et al. 2016, Communication quantization for
data-parallel training of deep neural networks, MLHPC; there the threshold is found anew in each step.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from neurond.arithmetic import FAST, Arithmetic
from topology.plan import NotifyPlan, UpdatePlan

Floats = NDArray[np.float32]

SPAN = 2048
EXPECTED = 32
RANGE = 1000.0
_FASTEST = math.log(2.0)


class Steering:
    """What becomes of some thresholds, as factors of those that they began with.

    Args:
        target: wanted share, above 0.
        cells: gradients, or weights, a stimulus that each threshold stands before; need not be whole.
        thresholds: how many there are.
        arithmetic: of logarithms and back.

    `factor` is what the first threshold is to be multiplied by now: a float where there is one (`thresholds` None),
    else float32 (thresholds,).

    """

    def __init__(
        self, target: float, cells: float, thresholds: int | None = None, arithmetic: Arithmetic = FAST
    ) -> None:
        self._exp, self._log_of = arithmetic.exp, arithmetic.log
        self._cells = cells
        self._one = thresholds is None
        self._log = np.zeros(thresholds or 1)
        self.factor: float | Floats = 1.0
        self.aim(target)
        self._settle()

    def aim(self, target: float) -> None:
        """From now on this share is wanted."""
        self._wanted = target * self._cells  # a stimulus
        self._span = max(SPAN, EXPECTED / self._wanted)

    def begin(self) -> None:
        """Let the first thresholds hold again."""
        self._log[:] = 0.0
        self._settle()

    def see(self, fired: int | NDArray[np.intp], stimuli: int) -> None:
        """So many have fired in so many stimuli; an array where each threshold has its own."""
        step = (np.asarray(fired) / self._wanted - stimuli) / self._span
        self._log += np.minimum(np.maximum(step, -_FASTEST), _FASTEST)
        self._settle()

    def thresholds(self, first: float) -> NDArray[np.float64]:
        """The thresholds now, if they began with this; (thresholds,)."""
        now: NDArray[np.float64] = first * self._exp(self._log)
        return now

    def mean(self, first: float) -> float:
        """Geometric mean of `thresholds`."""
        return first * float(self._exp(self._log.mean()))

    def restore(self, thresholds: NDArray[np.float64], first: float) -> None:
        """Take up what `thresholds` gave, within range of `first`; ValueError for another number of them, or none."""
        if thresholds.shape != self._log.shape:
            raise ValueError(f"expected {self._log.size} steered thresholds")
        if not ((thresholds >= 0.0) & (thresholds < np.inf)).all():  # nor is NaN
            raise ValueError("a steered threshold in the checkpoint is below 0, or not a finite number")
        self._log[:] = self._log_of(np.maximum(thresholds, np.finfo(float).tiny) / first)
        self._settle()

    def _settle(self) -> None:
        bound = math.log(RANGE)
        np.clip(self._log, -bound, bound, out=self._log)
        self.factor = float(self._exp(self._log[0])) if self._one else self._exp(self._log).astype(np.float32)


def make_steering(
    plan: NotifyPlan | UpdatePlan, shape: tuple[int, ...], unit: int = 1, arithmetic: Arithmetic = FAST
) -> Steering | None:
    """What steers the thresholds of a plan as its `adapt` says: none, one for the link, or one for each neuron.

    `shape` is that of what stands before them in `unit` stimuli, neurons first. ValueError for an unknown `adapt`.
    """
    neurons, each = shape
    match plan.adapt:
        case "off":
            return None
        case "link":
            return Steering(plan.target, neurons * each / unit, arithmetic=arithmetic)
        case "neuron":
            return Steering(plan.target, each / unit, neurons, arithmetic)
    raise ValueError(f"unknown adapt {plan.adapt!r}: one of off, link, neuron")
