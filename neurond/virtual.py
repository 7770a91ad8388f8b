"""A network in virtual time: the real machines and the real frames, with a seeded messenger in place of the sockets.

Only sockets and clocks are replaced, by a heap of what happens when; nothing here asks what time it is, and all
chance comes from one generator. So the same seed gives the same run, to the last bit, as far as the arithmetic
does (`arithmetic.py`).

A frame leaves when its sender is done with what it came of, and goes its way (`messenger.py`). Whoever gets it takes
what goes backward before what goes forward, as the shell does, and is then busy for a while. Processes may die, and
come back as the next incarnation with what their journal held.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurond.arithmetic import FAST, Arithmetic
from neurond.conditions import Conditions
from neurond.data import Dataset
from neurond.group import GroupMachine
from neurond.inbox import Inbox
from neurond.machine import Action, Idle, Machine, Peers, Request, Send, Start, State, Tell, Tick
from neurond.messenger import Chance, Messenger
from neurond.source import SourceMachine
from topology import wire
from topology.plan import SOURCE, Plan

TICK_S = 0.25
"""As a daemon looks around."""
REPORT_TICKS = 2
"""As a daemon reports."""
JOURNAL_S = 0.25
"""Between two looks of a journal, where the plan keeps none."""

_IDLE, _TICK = Idle(), Tick()


class Network(Messenger):
    """All processes of a plan, and all that is on its way between them.

    Args:
        plan: what the processes are told.
        data: the stimuli.
        chance: decides whatever is left to it.
        conditions: what links and processes are like.
        arithmetic: of the groups.
        incarnation: of all processes.

    """

    def __init__(
        self,
        plan: Plan,
        data: Dataset,
        chance: Chance,
        conditions: Conditions | None = None,
        arithmetic: Arithmetic = FAST,
        incarnation: int = 1,
    ) -> None:
        super().__init__(chance, conditions or Conditions())
        self.plan = plan
        self.events: list[wire.Event] = []
        """What the processes told."""
        self.on_event: Callable[[wire.Event], None] = self.events.append
        self.on_report: Callable[[wire.Telemetry], None] = _nobody
        self.on_roster: Callable[[str, int, bool], None] = _nobody
        """Given a process, its incarnation, and whether it is there now."""
        self.rounds = 0
        """How often all have reported."""
        self.counts_on: set[str] = set()
        """Processes that went on from what their journal held."""
        self.lost_in_death = 0
        """Frames delivered that no process has handled, for theirs had been killed."""
        self.deaths = 0
        self.finished = False
        """Whether the source has said so."""
        self.longest: Counter[str] = Counter()
        """The most frames that waited in the inbox of each process."""
        self.report_ticks = REPORT_TICKS
        self.journals: dict[str, State] = {}
        """Process -> what was put down of it last, if it may die."""
        self._data = data
        self._arithmetic = arithmetic
        self._plans = {group.name: group for group in plan.groups}
        self._moved: dict[str, tuple[int, int]] = {}  # incarnation and progress at the last tick
        self._written: dict[str, tuple[float, int]] = {}  # when a journal was written, and at what progress
        self._journal_s = plan.source.journal_s or JOURNAL_S
        self.machines: dict[str, Machine] = {name: self._make(name, incarnation) for name in (SOURCE, *self._plans)}
        """The process of each name, as it is now; one that is down, as it was."""
        self._down: set[str] = set()
        self._started: set[str] = set()
        self._changes = 0
        self._heard = dict.fromkeys(self.machines, -1)
        self._ticks = 0
        self._tick_due = TICK_S
        self._inboxes = {name: Inbox() for name in self.machines}
        self._dies_at = {name: self._life() for name in self.machines} if self.conditions.churn_s else {}

    # --- what is asked of it ----------------------------------------------------------------------------

    @property
    def source(self) -> SourceMachine:
        """The source, as it is now."""
        machine = self.machines[SOURCE]
        assert isinstance(machine, SourceMachine)
        return machine

    @property
    def groups(self) -> dict[str, GroupMachine]:
        """The groups, as they are now."""
        return {name: m for name, m in self.machines.items() if isinstance(m, GroupMachine)}

    def counters(self, name: str) -> dict[str, int]:
        """Telemetry counters of one process."""
        return self.machines[name].telemetry(self.now).counters

    def weights(self) -> dict[str, dict[str, NDArray[np.float32]]]:
        """Weights and biases of every group process, as checkpoints name them."""
        return {
            name: {k: v for k, v in g.state().items() if k == "b" or (k.startswith("w.") and "/" not in k)}
            for name, g in self.groups.items()
        }

    def digest(self) -> str:
        """SHA-256 (hex) of every delivery so far, when and to whom and its bytes, and of all weights as they are."""
        found = self._deliveries.copy()
        for name, arrays in sorted(self.weights().items()):
            for key, array in sorted(arrays.items()):
                found.update(f"{name}/{key} {array.shape}".encode())
                found.update(np.ascontiguousarray(array, "<f4").tobytes())
        return found.hexdigest()

    # --- what is done to it -----------------------------------------------------------------------------

    def step(self) -> bool:
        """Let the next thing happen: a frame comes, somebody is done, or all look around; false if the run is over.

        It is over when the source has finished and nothing is under way any more.
        """
        if not self._started:
            self._begin()
        if self.finished and not self._heap:
            return False
        if self._heap and self._heap[0][0] <= self._tick_due:
            self._next()
        else:
            self.now, self._tick_due = self._tick_due, self._tick_due + TICK_S
            self._tick()
        return True

    def drain(self) -> None:
        """After the last step: let that go which was held back to go in bulk, and everybody report."""
        self._tick()
        while self._heap:
            self._next()
            if not self._heap:
                self._tick()
        self.report()

    def ask(self, name: str, verb: str, **args: Any) -> None:
        """A command for one process, which gets it at once."""
        if name not in self._down:
            self._perform(name, self.machines[name].handle(Request(verb, verb, args), self._time(name)))

    def kill(self, name: str, down_s: float) -> None:
        """End a process as SIGKILL does: what it holds and what waits for it is gone. It is started again later."""
        self.lost_in_death += len(self._inboxes[name])
        self._fall(name, down_s)

    def report(self) -> None:
        """Every process that is alive reports."""
        self.rounds += 1
        for name, machine in self.machines.items():
            if name not in self._down:
                self.on_report(machine.telemetry(self._time(name)))

    # --- processes --------------------------------------------------------------------------------------

    def _make(self, name: str, incarnation: int) -> Machine:
        if name == SOURCE:
            return SourceMachine(self.plan.source, self._data, incarnation)
        return GroupMachine(self._plans[name], incarnation, self._arithmetic)

    def _begin(self) -> None:
        peers = self._peers()
        for name, machine in self.machines.items():
            self._perform(name, machine.handle(peers, self._time(name)))
            self._perform(name, machine.handle(Start(), self._time(name)))
            self._started.add(name)

    def _fall(self, name: str, down_s: float) -> None:
        self._inboxes[name] = Inbox()
        self.deaths += 1
        self._down.add(name)
        self._push(self.now + down_s, name, partial(self._rise, name))
        self.on_roster(name, self.machines[name].incarnation, False)
        self._spread()

    def _rise(self, name: str) -> None:
        machine = self._make(name, self.machines[name].incarnation + 1)
        if name in self.journals:
            machine.recover(self.journals[name])
            self.counts_on.add(name)
        self.machines[name] = machine
        self._down.discard(name)
        self._started.discard(name)
        self._heard[name] = -1
        if name in self._dies_at:
            self._dies_at[name] = self._life()
        self.on_roster(name, machine.incarnation, True)
        self._spread()

    def _gone(self) -> set[str]:
        """Those of whom the roster says that they are not there."""
        return self._down

    def _hears_news(self, name: str) -> bool:
        """Whether a process is told of the roster."""
        return name not in self._down

    def _peers(self) -> Peers:
        gone = self._gone()
        alive = {name: machine.incarnation for name, machine in self.machines.items() if name not in gone}
        return Peers(alive, not gone, self._changes)

    def _spread(self) -> None:
        """Everybody hears of the new roster, each after a time of its own."""
        self._changes += 1
        peers = self._peers()
        for name in self.machines:
            if self._hears_news(name):
                self._push(self.now + self._news_s(), name, partial(self._hear, name, peers))

    def _hear(self, name: str, peers: Peers) -> None:
        if name in self._down or peers.changes <= self._heard[name]:
            return
        self._heard[name] = peers.changes
        machine = self.machines[name]
        self._perform(name, machine.handle(peers, self._time(name)))
        if name not in self._started and peers.complete:
            self._started.add(name)
            self._perform(name, machine.handle(Start(), self._time(name)))
            self._work(name)

    def _work(self, name: str) -> None:
        """A process handles the next of its frames, and is busy with it; what it sends leaves when it is done."""
        inbox, machine = self._inboxes[name], self.machines[name]
        event = inbox.take()
        if event is None:
            self._perform(name, machine.handle(_IDLE, self._time(name)))
            return
        inbox.working = True
        before = self._arithmetic.spent()
        actions = machine.handle(event, self._time(name))
        busy_s = self._busy_s(name, self._arithmetic.spent() - before)
        self._perform(name, actions)
        self._push(self.now + busy_s, name, partial(self._done, name, inbox))

    def _done(self, name: str, inbox: Inbox) -> None:
        if inbox is self._inboxes[name]:  # it was not killed
            actions, inbox.pending, inbox.working = inbox.pending, [], False
            self._perform(name, actions)
            self._work(name)

    def _tick(self) -> None:
        for name, machine in list(self.machines.items()):
            if name in self._down:
                continue
            moved = (machine.incarnation, machine.progress)
            if name == SOURCE or moved != self._moved.get(name):  # a group that has heard nothing has nothing to do
                self._moved[name] = moved
                self._perform(name, machine.handle(_TICK, self._time(name)))
            if self._mortal:
                self._write_journal(name, machine)
            if not self.finished:
                self._strike(name)
        self._ticks += 1
        if self._ticks % self.report_ticks == 0:
            self.report()

    def _write_journal(self, name: str, machine: Machine) -> None:
        """Put down what is to outlive a process, if it is time and there is anything new."""
        written, progress = self._written.get(name, (-self._journal_s, -1))
        if self.now >= written + self._journal_s and (progress != machine.progress or name not in self.journals):
            self.journals[name] = {key: array.copy() for key, array in machine.durable().items()}
            self._written[name] = (self.now, machine.progress)

    # --- what they want done, and what comes to them ----------------------------------------------------

    def _perform(self, name: str, actions: Sequence[Action]) -> None:
        """Do what a process wants done, once it is done with what it works at: its loop does one thing at a time."""
        inbox = self._inboxes[name]
        if inbox.working:
            inbox.pending += actions
            return
        for action in actions:
            if isinstance(action, Send):
                self._post(name, action.to, action.frame)
            elif isinstance(action, Tell):
                self.finished |= action.event.kind == "finished"
                self.on_event(action.event)

    def _arrive(self, name: str, frame: bytes) -> None:
        if name in self._down:
            self.lost_in_death += 1
            return
        inbox = self._inboxes[name]
        inbox.put(frame)
        if len(inbox) > self.longest[name]:
            self.longest[name] = len(inbox)
        if not inbox.working and name in self._started:
            self._work(name)

    # --- what they are like -----------------------------------------------------------------------------

    @property
    def _mortal(self) -> bool:
        """Whether processes die, so that they need their journals."""
        return bool(self.conditions.churn_s)

    def _time(self, name: str) -> float:  # noqa: ARG002 - for those whose clocks differ
        """What the clock of a process says."""
        return self.now

    def _life(self) -> float:
        return self.now + self._chance.exponential(self.conditions.churn_s)

    def _strike(self, name: str) -> None:
        """What befalls a process: its time may have come."""
        if self._dies_at and self._dies_at[name] <= self.now:
            self.kill(name, self._chance.exponential(self.conditions.down_s))

    def _news_s(self) -> float:
        """How long it takes until a process hears of the roster."""
        latency = self.conditions.latency
        return latency.least_s + self._chance.exponential(latency.spread_s)

    def _busy_s(self, name: str, multiplied: int) -> float:
        """How long a process is busy with a frame, for which it has made so many multiply-adds."""
        return self.conditions.busy_s(name, multiplied)


def _nobody(*_: object) -> None:
    """Nobody hears it."""
