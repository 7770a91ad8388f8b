"""The rule of a link as its group has it: one that may be changed while it is applied, and whose T may be steered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurond.arithmetic import FAST, Arithmetic
from neurond.restored import refuse_damaged
from neurond.rules import Floats, make_rule
from neurond.steering import make_steering
from topology.plan import NotifyPlan


class Notifier:
    """The rule of a link, as `make_rule` makes it; ValueError as there.

    `plan` is what it is now. Where it says `adapt`, T is steered (`steering.py`) so that on average `plan.target` of
    the gradients that it is given are sent.
    """

    def __init__(self, plan: NotifyPlan, width: int, rng: np.random.Generator, arithmetic: Arithmetic = FAST) -> None:
        self.plan = plan
        self._width, self._rng = width, rng
        self._rule = make_rule(plan, width, rng)
        self._steering = make_steering(plan, (width, 1), arithmetic=arithmetic)

    def __call__(self, g: Floats, share: float = 1.0) -> Floats:
        """What is sent of g; see `Rule`."""
        if self._steering is None:
            return self._rule(g, share)
        sent = self._rule(g, share * self._steering.factor)
        fired = int(np.count_nonzero(sent)) if self.plan.adapt == "link" else np.count_nonzero(sent, axis=0)
        self._steering.see(fired, len(g))
        return sent

    @property
    def steered(self) -> bool:
        """Whether T is steered."""
        return self._steering is not None

    @property
    def clipped(self) -> int:
        """Sums that the residual clip has cut."""
        return self._rule.clipped

    @property
    def threshold(self) -> float:
        """T now, before it cools; where each neuron has its own, the geometric mean."""
        return self.plan.threshold if self._steering is None else self._steering.mean(self.plan.threshold)

    def adjust(self, **changes: float) -> None:
        """Change values of the plan; what the rule keeps for later stays. ValueError as in `make_rule`.

        A threshold that is steered is steered on from the new one.
        """
        plan = replace(self.plan, **changes)  # type: ignore[arg-type]
        rule = make_rule(plan, self._width, self._rng)
        rule.restore(self._rule.state())
        self.plan, self._rule = plan, rule
        if self._steering is not None:
            self._steering.aim(plan.target)
            if "threshold" in changes:
                self._steering.begin()

    def state(self) -> dict[str, NDArray[Any]]:
        """What the rule keeps for later, and where T is; see `Rule`."""
        return self._rule.state() | self.durable()

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take up what `state` gave; see `Rule`. One whose T was not steered leaves T as it is."""
        for key, values in state.items():
            refuse_damaged(f"{key!r} of a rule", values)
        self._rule.restore({key: value for key, value in state.items() if key != "thresholds"})
        self.recover(state)

    def durable(self) -> dict[str, NDArray[Any]]:
        """Where T is, without what the rule keeps; nothing where it is not steered."""
        if self._steering is None:
            return {}
        return {"thresholds": self._steering.thresholds(self.plan.threshold)}

    def recover(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take up what `durable` gave, if it gave anything; ValueError for another number of neurons."""
        if self._steering is not None and "thresholds" in state:
            self._steering.restore(state["thresholds"], self.plan.threshold)
