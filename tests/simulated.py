"""A seeded network in virtual time: the real machines, with a messenger that drops, delays, reorders and doubles.

Nothing here is a stand-in for the product's code: the machines, the wire format and the data are the real ones.
Only the sockets and the clock are replaced, by a heap of what arrives when.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neurond.data import Dataset
from neurond.group import GroupMachine
from neurond.machine import Action, Frame, Idle, Machine, Request, Send, Start, Tell, Tick
from neurond.source import SourceMachine
from topology import wire
from topology.plan import SOURCE, Plan

TICK_S = 0.25


@dataclass(frozen=True)
class Faults:
    """What the messenger does to a frame: shares from 0 to 1, delays in virtual seconds."""

    drop: float = 0.0
    double: float = 0.0
    reorder: float = 0.0  # share of frames that later ones may overtake
    delay_s: float = 0.001  # mean of an exponential distribution
    floor_s: float = 0.0001


class Network:
    """All processes of a plan, joined by a faulty messenger."""

    def __init__(self, plan: Plan, data: Dataset, seed: int = 0, faults: Faults | None = None) -> None:
        self.plan = plan
        self.faults = faults or Faults()
        self.now = 0.0
        self.source = SourceMachine(plan.source, data)
        self.groups = {g.name: GroupMachine(g) for g in plan.groups}
        self.machines: dict[str, Machine] = {SOURCE: self.source, **self.groups}
        self.events: list[wire.Event] = []
        self.dropped: Counter[tuple[str, str]] = Counter()
        self.doubled: Counter[tuple[str, str]] = Counter()
        self.sent: Counter[tuple[str, str]] = Counter()
        self._rng = np.random.default_rng(seed)
        self._heap: list[tuple[float, int, str, bytes]] = []
        self._posted = 0
        self._in_order: dict[tuple[str, str], float] = {}

    def run(self, limit_s: float = 600.0) -> None:
        """Run until the source says it has finished, then until nothing is under way; fails after `limit_s`."""
        for name, machine in self.machines.items():
            self._perform(name, machine.handle(Start(), self.now))
        tick = TICK_S
        while not self.finished or self._heap:
            if self._heap and self._heap[0][0] <= tick:
                self.now, _, name, frame = heapq.heappop(self._heap)
                self._perform(name, self.machines[name].handle(Frame(frame), self.now))
                if not any(to == name and at <= self.now for at, _, to, _ in self._heap[:4]):
                    self._perform(name, self.machines[name].handle(Idle(), self.now))
            else:
                self.now, tick = tick, tick + TICK_S
                for name, machine in self.machines.items():
                    self._perform(name, machine.handle(Tick(), self.now))
            assert self.now < limit_s, f"hangs: {self.source.telemetry(self.now)}"
        for name, machine in self.machines.items():  # what was held back to go in bulk
            self._perform(name, machine.handle(Tick(), self.now))
        while self._heap:
            self.now, _, name, frame = heapq.heappop(self._heap)
            self._perform(name, self.machines[name].handle(Frame(frame), self.now))
            self._perform(name, self.machines[name].handle(Tick(), self.now))

    @property
    def finished(self) -> bool:
        """Whether the source has said so."""
        return any(e.kind == "finished" for e in self.events)

    def request(self, name: str, verb: str) -> None:
        """Give a machine a command."""
        self._perform(name, self.machines[name].handle(Request("1", verb), self.now))

    def counters(self, name: str) -> dict[str, int]:
        """Telemetry counters of one process."""
        return self.machines[name].telemetry(self.now).counters

    def weights(self) -> dict[str, dict[str, np.ndarray]]:
        """Weights and biases of every group process, as checkpoints name them."""
        return {
            name: {k: v for k, v in g.state().items() if k == "b" or (k.startswith("w.") and "/" not in k)}
            for name, g in self.groups.items()
        }

    def _perform(self, name: str, actions: Sequence[Action]) -> None:
        for action in actions:
            if isinstance(action, Send):
                self._post(name, action.to, action.frame)
            elif isinstance(action, Tell):
                self.events.append(action.event)

    def _post(self, sender: str, to: str, frame: bytes) -> None:
        faults, rng, pair = self.faults, self._rng, (sender, to)
        self.sent[pair] += 1
        if rng.random() < faults.drop:
            self.dropped[pair] += 1
            return
        copies = 1
        if rng.random() < faults.double:
            self.doubled[pair] += 1
            copies = 2
        for _ in range(copies):
            at = self.now + faults.floor_s + rng.exponential(faults.delay_s)
            if rng.random() >= faults.reorder:
                at = self._in_order[pair] = max(at, self._in_order.get(pair, 0.0))
            self._posted += 1
            heapq.heappush(self._heap, (at, self._posted, to, frame))
