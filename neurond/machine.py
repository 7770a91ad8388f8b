"""What a machine is told and what it wants done: the words between a pure machine and its shell.

A machine has no socket, no clock and no event loop. The shell (`shell.py`), or a simulated network
(`virtual.py`), calls ``handle(event, now)`` and performs the actions that come back, in order. ``now`` is a number of
seconds on the caller's own clock, of which only differences are used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from neurond.restored import refuse_damaged
from topology import wire
from topology.plan import GroupPlan, SourcePlan

if TYPE_CHECKING:
    from neurond.settings import Settings


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame has come in on the inbox; nothing about its bytes is known to be true.

    `more`: another frame with spikes waits behind it, so that a group may put off firing and take both volleys in
    one product.
    """

    data: bytes
    more: bool = False


@dataclass(frozen=True, slots=True)
class Peers:
    """Who is alive, by the broker's roster: process name -> incarnation. No other incarnation is to be heard.

    `complete`: nobody is missing. `changes` differs from what it was if somebody has come or gone since, be it this
    process itself.
    """

    incarnations: Mapping[str, int]
    complete: bool = True
    changes: int = 0


@dataclass(frozen=True, slots=True)
class Start:
    """Every process of the plan can be reached: spikes may flow."""


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing more waits in the inbox: what was held back to be sent in bulk should go now."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Some time has passed (a few times a second): look at what has waited too long."""


@dataclass(frozen=True, slots=True)
class Request:
    """A command for this machine; `verb` is one that its docstring lists. Answered by an `Answer`."""

    id: str
    verb: str
    args: Mapping[str, Any] = field(default_factory=dict)


MachineEvent = Frame | Peers | Start | Idle | Tick | Request


@dataclass(frozen=True, slots=True)
class Send:
    """Put this frame on the way to a process; the outbox is bounded, so it may be dropped and counted there."""

    to: str
    frame: bytes


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell the broker, and through it the monitors, that something happened."""

    event: wire.Event


@dataclass(frozen=True, slots=True)
class Answer:
    """Reply to a `Request`."""

    reply: wire.Reply


Action = Send | Tell | Answer
State = dict[str, NDArray[Any]]


class Machine(Protocol):
    """What the shell runs: a group or the source."""

    name: str
    role: str
    incarnation: int
    progress: int
    settings: Settings

    @property
    def plan(self) -> GroupPlan | SourcePlan:
        """What the broker has told the process."""
        ...

    def handle(self, event: MachineEvent, now: float) -> Sequence[Action]:
        """Take one event in and say what is to be done about it; never raises on a peer's bytes."""
        ...

    def telemetry(self, now: float) -> wire.Telemetry:
        """Cumulative counters and gauges as they are now."""
        ...

    def state(self) -> State:
        """Everything that a checkpoint must hold, by name."""
        ...

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take up what `state` gave; ValueError when it belongs to another plan."""
        ...

    def durable(self) -> State:
        """What must outlive the process, by name, as it is now: arrays to be read at once, for they will change."""
        ...

    def recover(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take up what `durable` gave, before anything else; ValueError, and nothing is changed, for another plan."""
        ...


def counters_array(count: Mapping[str, int]) -> NDArray[np.int64]:
    """Counters as a checkpoint holds them: their values, in the order of their names."""
    return np.array(list(count.values()), np.int64)


def counters_from(names: Sequence[str], values: NDArray[Any]) -> dict[str, int]:
    """The inverse of `counters_array`; ValueError if the checkpoint counted other things."""
    if len(values) != len(names):
        raise ValueError("the checkpoint was written by another version of neurond")
    refuse_damaged("a counter", values)
    return dict(zip(names, map(int, values), strict=True))


def seed_of(seed: int, name: str, incarnation: int) -> np.random.SeedSequence:
    """The seed of one process: the same for the same seed of the run, name and incarnation, on any machine."""
    return np.random.SeedSequence([seed, incarnation, *name.encode()])
