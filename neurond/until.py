"""When a run is good enough, long enough or hopeless: `--until acc>=0.97`, `--for 60s`, `--restarts 5`. Pure."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

from topology.errors import quote

METRICS = {
    "acc": "test_accuracy",
    "accuracy": "test_accuracy",
    "test_accuracy": "test_accuracy",
    "train_accuracy": "train_accuracy",
    "loss": "test_loss",
    "test_loss": "test_loss",
    "train_loss": "loss",
}
"""What people write, and the gauge that is meant. Held-out data decides unless they say `train_`."""

RESTARTS = 5
"""Restarts of one process within `broker.restart.PERIOD_S`, unless somebody says otherwise; then it is given up."""

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_TARGET = re.compile(r"\s*([a-z_]+)\s*(>=|<=|>|<)\s*([0-9]*\.?[0-9]+(?:e[-+]?[0-9]+)?)\s*(%?)\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Target:
    """A goal for one figure of a run, such as ``acc>=0.97``."""

    text: str  # as written
    gauge: str  # test_accuracy | test_loss | train_accuracy | loss
    sign: str  # >= | <= | > | <
    value: float

    def reached(self, figure: float | None) -> bool:
        """Whether the figure is there; one that was never measured is not."""
        return figure is not None and OPERATORS[self.sign](figure, self.value)


class Check:
    """Whether a goal is met by the network that will be saved, and not only by one that went on changing.

    A figure of held-out data that looks good during the training is measured once more while the weights stand
    still. `look` and `evaluated` return what is to be done: ``check`` (pause, and evaluate), ``resume``, ``stop``,
    or nothing.
    """

    def __init__(self, goal: Target) -> None:
        self.goal = goal
        self.reached = False
        self.checking = False  # until an evaluation at rest has come

    def look(self, figure: float | None) -> str:
        """Take in the figure as it is during the training."""
        if self.reached or self.checking or not self.goal.reached(figure):
            return ""
        if self.goal.gauge.startswith("test"):
            self.checking = True
            return "check"
        self.reached = True
        return "stop"

    def evaluated(self, figure: float | None, still: bool) -> str:
        """Take in what an evaluation found; `still`: no training stimulus was under way meanwhile."""
        if not self.checking or not still:
            return ""
        self.checking = False
        self.reached = self.goal.reached(figure)
        return "stop" if self.reached else "resume"

    def ended(self, figure: float | None) -> None:
        """The run has ended by itself; its last evaluation decides."""
        self.reached = self.reached or self.goal.reached(figure)


def parse_target(text: str) -> Target:
    """``acc>=0.97``, ``acc>97%``, ``loss<=0.1`` as a Target; ValueError with one line if it is none."""
    match = _TARGET.fullmatch(text)
    if match is None:
        raise ValueError(f"{quote(text)} is no target; write it as acc>=0.97 or loss<=0.1 (in quotes, for the shell)")
    name, sign, number, is_percent = match[1].lower(), match[2], float(match[3]), bool(match[4])
    if name not in METRICS:
        raise ValueError(f"{quote(name)} in {quote(text)} is not known; known: {', '.join(METRICS)}")
    value = number / 100 if is_percent else number
    gauge = METRICS[name]
    if not math.isfinite(value):
        raise ValueError(f"{quote(text)}: the number is too large")
    if gauge.endswith("accuracy"):
        if value > 1:
            raise ValueError(
                f"{quote(text)}: an accuracy is a share of one; did you mean {name}{sign}{value / 100:g}?"
            )
        if sign.startswith("<"):
            raise ValueError(f"{quote(text)}: accuracy grows, so write {name}>={number:g}{match[4]}")
    elif sign.startswith(">"):
        raise ValueError(f"{quote(text)}: a loss shrinks, so write {name}<={number:g}{match[4]}")
    return Target(text, gauge, sign, value)


def parse_for(text: str) -> float:
    """``60s``, ``1.5m`` or ``1h`` in seconds; ValueError with one line if it is no duration above zero."""
    from topology.section import seconds  # late: brings pydantic

    try:
        found = seconds(text.strip())
    except ValueError:
        hint = (
            f"did you mean {text}s?" if re.fullmatch(r"[0-9.]{1,9}", text.strip()) else "write 500ms, 60s, 5m or 1h"
        )
        raise ValueError(f"{quote(text)} is no duration; {hint}") from None
    if found <= 0:
        raise ValueError(f"{quote(text)} is no time at all; write 500ms, 60s, 5m or 1h")
    return found
