"""What a readout has beside a group: the loss, its notification rule, and a watch over how the loss goes."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurond.arithmetic import FAST, Arithmetic
from neurond.links import Inbound, Outbound
from neurond.losses import make_loss
from neurond.machine import State
from neurond.memory import Flags, Floats, Ids
from neurond.notifier import Notifier
from neurond.seen import Seen
from topology.plan import SOURCE, LossPlan

SPAN = 1000
"""Stimuli over which the loss is averaged when it is watched."""
GROWTH = 10.0
"""The loss has grown without bound when its mean is this many times what it was at the start."""
SMALL = 0.1
"""A loss that starts below this counts as this, for ten times next to nothing is still nothing."""


class Verdict(NamedTuple):
    """What the loss says of some stimuli."""

    loss: Floats  # (n,)
    hit: Flags  # (n,)
    e: Floats  # (n, size): dLoss/dActivation that passed the rule; zero for stimuli that do not teach
    pending: Flags  # (n,): rows of e that hold something
    again: int  # stimuli that had been confirmed before, and so do not teach


class Readout:
    """The loss as the readout's post group: the gradient passes a rule before anything else happens."""

    def __init__(self, plan: LossPlan, size: int, rng: np.random.Generator, arithmetic: Arithmetic = FAST) -> None:
        self.plan = plan
        self.rule = Notifier(plan.notify, size, rng, arithmetic)
        self.targets_in = Inbound()
        self.confirms_out = Outbound(SOURCE)
        self._loss = make_loss(plan.kind, arithmetic)
        self._size = size
        self._seen = Seen()
        self._mean = 0.0
        self._first: float | None = None

    def state(self) -> State:
        """What the watch over the loss knows; the rule's state is kept with those of the links."""
        return {"loss": np.array([np.nan if self._first is None else self._first, self._mean])}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take up what `state` gave."""
        if "loss" in state and not np.isnan(state["loss"][0]):
            self._first, self._mean = (float(x) for x in state["loss"])

    def fits(self, targets: Floats) -> bool:
        """Whether targets of the right width hold classes that the readout has."""
        if self.plan.kind != "cross-entropy":
            return True
        return bool(np.minimum.reduce(targets, axis=None) >= 0 and np.maximum.reduce(targets, axis=None) < self._size)

    def judge(self, a: Floats, targets: Floats, ids: Ids, teach: bool, share: float = 1.0) -> Verdict:
        """Compare activations (n, size) with targets; a stimulus that was confirmed before teaches nothing.

        `share` of the rule's threshold is what it is now.
        """
        loss, e, hit = self._loss(a, targets)
        if not teach:
            return Verdict(loss, hit, e, np.zeros(len(ids), np.bool_), 0)
        again = self._seen.add(ids)
        repeated = int(np.count_nonzero(again))
        if repeated:
            e[again] = 0.0
        e = self.rule(e, share)
        pending: Flags = np.logical_or.reduce(e != 0.0, axis=1)
        return Verdict(loss, hit, e, pending, repeated)

    def watch(self, loss: Floats) -> str | None:
        """Follow the loss of training stimuli; what is wrong with it, once something is."""
        now = float(np.add.reduce(loss)) / len(loss)
        if not isfinite(now):
            return "the loss is no longer a finite number"
        if self._first is None:
            self._first = self._mean = now
        self._mean += min(1.0, len(loss) / SPAN) * (now - self._mean)
        if self._mean > GROWTH * max(self._first, SMALL):
            return f"the loss has grown from {self._first:.3g} to {self._mean:.3g}"
        return None
