"""A seeded network in virtual time: the real machines, with a messenger that drops, delays, reorders and doubles.

Nothing here is a stand-in for the product's code: the machines, the wire format and the data are the real ones.
Only the sockets and the clock are replaced, by a heap of what arrives when.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neurond.data import Dataset
from neurond.group import GroupMachine
from neurond.machine import Action, Frame, Idle, Machine, Peers, Send, Start, Tell, Tick
from neurond.source import SourceMachine
from topology import wire
from topology.plan import SOURCE, Plan

TICK_S = 0.25


@dataclass(frozen=True)
class Faults:
    """What goes wrong: shares from 0 to 1, times in virtual seconds."""

    drop: float = 0.0
    double: float = 0.0
    reorder: float = 0.0  # share of frames that later ones may overtake
    delay_s: float = 0.001  # mean of an exponential distribution
    floor_s: float = 0.0001
    work_s: float = 0.0002  # mean time that a process is busy with one frame
    stall: float = 0.0  # share of frames after which a process stands still ...
    stall_s: float = 0.0  # ... for so long


class _Inbox:
    """A process' frames that have come in, taken in the order in which the real shell takes them."""

    def __init__(self) -> None:
        self.urgent: deque[bytes] = deque()
        self.forward: deque[bytes] = deque()
        self.working = False

    def put(self, frame: bytes) -> None:
        (self.forward if wire.kind_of(frame) == wire.SPIKES else self.urgent).append(frame)

    def take(self) -> Frame | None:
        if self.urgent:
            return Frame(self.urgent.popleft())
        if self.forward:
            frame = self.forward.popleft()
            return Frame(frame, more=bool(self.forward))
        return None


class Network:
    """All processes of a plan, joined by a faulty messenger."""

    def __init__(
        self, plan: Plan, data: Dataset, seed: int = 0, faults: Faults | None = None, incarnation: int = 1
    ) -> None:
        self.plan = plan
        self.faults = faults or Faults()
        self.now = 0.0
        self.source = SourceMachine(plan.source, data, incarnation)
        self.groups = {g.name: GroupMachine(g, incarnation) for g in plan.groups}
        self.machines: dict[str, Machine] = {SOURCE: self.source, **self.groups}
        self.events: list[wire.Event] = []
        self.dropped: Counter[tuple[str, str]] = Counter()
        self.doubled: Counter[tuple[str, str]] = Counter()
        self.sent: Counter[tuple[str, str]] = Counter()
        self._rng = np.random.default_rng(seed)
        self._heap: list[tuple[float, int, str, bytes | None]] = []  # a frame that arrives, or the end of work
        self._posted = 0
        self._inboxes = {name: _Inbox() for name in self.machines}
        self._in_order: dict[tuple[str, str], float] = {}

    def run(self, limit_s: float = 600.0, confirmed: int | None = None) -> None:
        """Run until the source has finished and nothing is under way, or until so many stimuli are confirmed."""
        peers = Peers({name: machine.incarnation for name, machine in self.machines.items()})
        for name, machine in self.machines.items():
            self._perform(name, machine.handle(peers, self.now))
            self._perform(name, machine.handle(Start(), self.now))
        tick = TICK_S
        while not self.finished or self._heap:
            if self._heap and self._heap[0][0] <= tick:
                self._next()
            else:
                self.now, tick = tick, tick + TICK_S
                self._tick()
            assert self.now < limit_s, f"hangs: {self.source.telemetry(self.now)}"
            if confirmed is not None and self.counters(SOURCE)["confirmed"] >= confirmed:
                return
        self._tick()  # what was held back to go in bulk
        while self._heap:
            self._next()
            if not self._heap:
                self._tick()

    def forge(self, at: float, to: str, frame: bytes) -> None:
        """A frame that nobody of the network has sent will come to a process at a time."""
        self._push(at, to, frame)

    @property
    def finished(self) -> bool:
        """Whether the source has said so."""
        return any(e.kind == "finished" for e in self.events)

    def counters(self, name: str) -> dict[str, int]:
        """Telemetry counters of one process."""
        return self.machines[name].telemetry(self.now).counters

    def weights(self) -> dict[str, dict[str, np.ndarray]]:
        """Weights and biases of every group process, as checkpoints name them."""
        return {
            name: {k: v for k, v in g.state().items() if k == "b" or (k.startswith("w.") and "/" not in k)}
            for name, g in self.groups.items()
        }

    def _next(self) -> None:
        self.now, _, name, frame = heapq.heappop(self._heap)
        inbox = self._inboxes[name]
        if frame is not None:
            inbox.put(frame)
            if not inbox.working:
                self._work(name)
        else:
            inbox.working = False
            self._work(name)

    def _work(self, name: str) -> None:
        faults, rng, inbox = self.faults, self._rng, self._inboxes[name]
        event = inbox.take()
        if event is None:
            self._perform(name, self.machines[name].handle(Idle(), self.now))
            return
        self._perform(name, self.machines[name].handle(event, self.now))
        inbox.working = True
        busy = rng.exponential(faults.work_s) + (faults.stall_s if rng.random() < faults.stall else 0.0)
        self._push(self.now + busy, name, None)

    def _tick(self) -> None:
        for name, machine in self.machines.items():
            self._perform(name, machine.handle(Tick(), self.now))

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
            self._push(at, to, frame)

    def _push(self, at: float, name: str, frame: bytes | None) -> None:
        self._posted += 1
        heapq.heappush(self._heap, (at, self._posted, name, frame))
