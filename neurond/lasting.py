"""What of a group outlives its process: all of it in a checkpoint, and in a journal what that can keep up with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurond.dendrites import Dendrites
from neurond.ledger import COUNTERS
from neurond.literal import Literal
from neurond.machine import State, counters_array, counters_from
from neurond.memory import Memory
from neurond.notifier import Notifier
from neurond.readout import Readout
from neurond.restored import refuse_damaged


class Lasting:
    """The parts of a group that are put down, and taken up again, by name.

    Args:
        dendrites: its weights.
        count: its counters, `ledger.COUNTERS`.
        memory: of which two counts last, and no stimulus.
        rules: its notification rules, by pre process; that of the loss is ``loss``.
        readout: where it has a loss.
        literal: where it learns as the note has it.

    """

    def __init__(
        self,
        dendrites: Dendrites,
        count: dict[str, int],
        memory: Memory,
        rules: Mapping[str, Notifier],
        readout: Readout | None,
        literal: Literal | None,
    ) -> None:
        self._dendrites = dendrites
        self._count = count
        self._memory = memory
        self._rules = {f"rule.{pre}": rule for pre, rule in rules.items()}
        self._readout = readout
        self._literal = literal

    def state(self) -> State:
        """Weights as ``w.<pre process>`` and ``b``; beside them what the update and link rules hold back."""
        state = self._dendrites.state() | self._counts()
        if self._readout is not None:
            state |= self._readout.state()
        if self._literal is not None:
            state |= self._literal.state()
        for name, rule in self._rules.items():
            state |= {f"{name}/{key}": value for key, value in rule.state().items()}
        return state

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take up what `state` gave; ValueError when it belongs to another network."""
        self._dendrites.restore(state)
        self._count_on(*_counted(state))
        if self._readout is not None:
            self._readout.restore(state)
        if self._literal is not None:
            self._literal.restore(state)
        for name, rule in self._rules.items():
            rule.restore(_of(name, state))

    def durable(self) -> State:
        """Weights, counts and steered thresholds.

        What the rules of the links hold back is not in it: it may have been sent since.
        """
        state = self._dendrites.durable() | self._counts()
        for name, rule in self._rules.items():
            state |= {f"{name}/{key}": value for key, value in rule.durable().items()}
        return state if self._readout is None else state | self._readout.state()

    def recover(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take up what `durable` gave; ValueError, and nothing is changed, when it belongs to another network."""
        counts = _counted(state)
        self._dendrites.recover(state)
        self._count_on(*counts)
        if self._readout is not None:
            self._readout.restore(state)
        for name, rule in self._rules.items():
            rule.recover(_of(name, state))

    def _counts(self) -> State:
        forgotten = np.array([self._memory.expired, self._memory.late], np.int64)
        return {"counters": counters_array(self._count), "forgotten": forgotten}

    def _count_on(self, count: Mapping[str, int], expired: int, late: int) -> None:
        """A run's figures go on from here."""
        self._count |= count
        self._memory.expired, self._memory.late = expired, late


def _counted(state: Mapping[str, NDArray[Any]]) -> tuple[dict[str, int], int, int]:
    """Counters, stimuli that expired, and what came too late; ValueError if other things were counted."""
    refuse_damaged("a counter", state["forgotten"])
    expired, late = (int(n) for n in state["forgotten"])
    return counters_from(COUNTERS, state["counters"]), expired, late


def _of(name: str, state: Mapping[str, NDArray[Any]]) -> State:
    """What a state holds of one rule."""
    start = f"{name}/"
    return {key[len(start) :]: value for key, value in state.items() if key.startswith(start)}
