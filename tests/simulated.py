"""A seeded network in virtual time: the real machines, with a messenger that drops, delays, reorders and doubles.

Nothing here is a stand-in for the product's code: the machines, the wire format and the data are the real ones.
Only the sockets and the clock are replaced, by a heap of what happens when. Processes can be killed, and started
again from what their journals hold, or be cut off from all others for a while; everybody hears of it, each at a time
of its own. One that was killed may be none the less alive for a while, and clocks may stand still or leap.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from neurond.changes import Shadow
from neurond.data import Dataset
from neurond.group import GroupMachine
from neurond.machine import Action, Frame, Idle, Machine, Peers, Send, Start, Tell, Tick
from neurond.source import SourceMachine
from tests.fault.history import History
from topology import wire
from topology.plan import SOURCE, Plan

TICK_S = 0.25
REPORT_TICKS = 2  # as the real shell reports


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
    kill: float = 0.0  # chance of each process to be killed in a tick ...
    down_s: float = 0.5  # ... for so long, on average
    cut: float = 0.0  # chance of each process to be cut off in a tick ...
    cut_s: float = 2.0  # ... for so long, on average
    most: int = 20  # kills and cuts in all
    journal_s: float = 0.25  # between what is put down of a process
    news_s: float = 0.01  # mean time after which a process hears of the roster
    zombie: float = 0.0  # chance that one that was killed wakes once it was replaced, with all that it had
    one_way: float = 0.0  # share of the cuts in which a process is still heard, or still hears
    leap: float = 0.0  # chance of each process in a tick that its clock leaps ahead ...
    leap_s: float = 7200.0  # ... by so long
    freeze: float = 0.0  # chance of each process in a tick that its clock stands still ...
    freeze_s: float = 3.0  # ... for so long, and then tells the time again
    slow: dict[str, float] = field(default_factory=dict)  # process -> how many times longer it takes for a frame


@dataclass(frozen=True)
class _Free:
    """A process is done with what it did."""

    machine: Machine


@dataclass(frozen=True)
class _News:
    """A process hears who is there."""

    peers: Peers


@dataclass(frozen=True)
class _Back:
    """A process is started again, or the cut is healed."""

    killed: bool


@dataclass(frozen=True)
class _Wakes:
    """A process that was taken for dead goes on, from where it stood, with what had come to it."""

    machine: Machine
    inbox: _Inbox


class _Clock:
    """The clock of one process: it may stand still and leap ahead, but never goes back."""

    def __init__(self) -> None:
        self._ahead = 0.0
        self._frozen_until = 0.0
        self._last = 0.0

    def leap(self, by_s: float) -> None:
        self._ahead += by_s

    def freeze(self, until: float) -> None:
        self._frozen_until = until

    def at(self, now: float) -> float:
        if now >= self._frozen_until:
            self._last = now + self._ahead
        return self._last


_Happening = _Free | _News | _Back | _Wakes


class _Inbox:
    """A process' frames that have come in, taken in the order in which the real shell takes them."""

    def __init__(self) -> None:
        self.urgent: deque[bytes] = deque()
        self.forward: deque[bytes] = deque()
        self.working = False

    def __len__(self) -> int:
        return len(self.urgent) + len(self.forward)

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
        self._data = data
        self.machines: dict[str, Machine] = {
            name: self._make(name, incarnation) for name in (SOURCE, *(g.name for g in plan.groups))
        }
        self.buried: list[Machine] = []
        """Those that were killed."""
        self.lost_in_death = 0
        """Frames that were in the inbox of a process that was killed."""
        self.disasters = 0
        self.leaps = self.frozen = 0
        """How often clocks leapt and stood still."""
        self.undead = 0
        """Frames that were sent by those who had been replaced."""
        self.events: list[wire.Event] = []
        self.history = History(plan)
        """All that the processes reported and told."""
        self.longest: Counter[str] = Counter()
        """The most frames that waited in the inbox of each process."""
        self._down: set[str] = set()
        self._deaf: set[str] = set()
        self._mute: set[str] = set()
        self._clocks = {name: _Clock() for name in self.machines}
        self._ticks = 0
        self.journals: dict[str, tuple[float, Shadow]] = {}  # name -> (when, what was put down)
        self._started: set[str] = set()
        self._changes = 0
        self._heard = dict.fromkeys(self.machines, -1)
        self._tick_due = TICK_S
        self.dropped: Counter[tuple[str, str]] = Counter()
        self.doubled: Counter[tuple[str, str]] = Counter()
        self.sent: Counter[tuple[str, str]] = Counter()
        self._rng = np.random.default_rng(seed)
        self._heap: list[tuple[float, int, str, bytes | _Happening]] = []  # when, a tie breaker, to whom, what
        self._posted = 0
        self._inboxes = {name: _Inbox() for name in self.machines}
        self._in_order: dict[tuple[str, str], float] = {}

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

    def run(self, limit_s: float = 600.0, confirmed: int | None = None) -> None:
        """Run on until the source has finished and nothing is under way, or until so many stimuli are confirmed."""
        if not self._started:
            self._begin()
        while not self.finished or self._heap:
            if self._heap and self._heap[0][0] <= self._tick_due:
                self._next()
            else:
                self.now, self._tick_due = self._tick_due, self._tick_due + TICK_S
                self._tick()
            assert self.now < limit_s, f"hangs: {self.source.telemetry(self.now)}"
            if confirmed is not None and self.counters(SOURCE)["confirmed"] >= confirmed:
                return
        self._tick()  # what was held back to go in bulk
        while self._heap:
            self._next()
            if not self._heap:
                self._tick()
        self.report()

    def kill(self, name: str, down_s: float, wakes_s: float | None = None) -> None:
        """End a process as SIGKILL does: what it holds and what waits for it is gone. It is started again later.

        With `wakes_s` it was only stopped, and goes on so long after it was replaced: it has not heard of that.
        """
        inbox = self._inboxes[name]
        if wakes_s is None:
            self.lost_in_death += len(inbox)
        else:
            self._push(self.now + down_s + wakes_s, name, _Wakes(self.machines[name], inbox))
        self._inboxes[name] = _Inbox()
        self.disasters += 1
        self.buried.append(self.machines[name])
        self._down.add(name)
        self._push(self.now + down_s, name, _Back(killed=True))
        self._spread()

    def cut(self, name: str, cut_s: float, hears: bool = False, heard: bool = False) -> None:
        """Let nothing through to a process and from it, for a while; or in one direction alone.

        Who is not heard is not in the roster, for its beats are not heard either. Who does not hear is.
        """
        self.disasters += 1
        if not hears:
            self._deaf.add(name)
        if not heard:
            self._mute.add(name)
            self._spread()
        self._push(self.now + cut_s, name, _Back(killed=False))

    def leap(self, name: str, by_s: float) -> None:
        """The clock of a process is ahead from now on."""
        self.leaps += 1
        self._clocks[name].leap(by_s)

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

    def _begin(self) -> None:
        peers = self._peers()
        for name, machine in self.machines.items():
            self._perform(name, machine.handle(peers, self._time(name)))
            self._perform(name, machine.handle(Start(), self._time(name)))
            self._started.add(name)

    def _make(self, name: str, incarnation: int) -> Machine:
        if name == SOURCE:
            return SourceMachine(self.plan.source, self._data, incarnation)
        return GroupMachine(self.plan.group(name), incarnation)

    def _peers(self) -> Peers:
        gone = self._down | self._mute
        alive = {name: machine.incarnation for name, machine in self.machines.items() if name not in gone}
        return Peers(alive, not gone, self._changes)

    def _spread(self) -> None:
        """Everybody hears of the new roster, each after a time of its own; who is cut off, when that is over."""
        self._changes += 1
        news = _News(self._peers())
        for name in self.machines:
            if name not in self._down | self._deaf:
                self._push(self.now + self._rng.exponential(self.faults.news_s), name, news)

    def _hear(self, name: str, news: _News) -> None:
        if name in self._down or news.peers.changes <= self._heard[name]:
            return
        self._heard[name] = news.peers.changes
        machine = self.machines[name]
        self._perform(name, machine.handle(news.peers, self._time(name)))
        if name not in self._started and news.peers.complete:
            self._started.add(name)
            self._perform(name, machine.handle(Start(), self._time(name)))
            self._work(name)

    def _back(self, name: str, back: _Back) -> None:
        if back.killed:
            machine = self._make(name, self.machines[name].incarnation + 1)
            if name in self.journals:
                machine.recover(self.journals[name][1].arrays)
            self.machines[name] = machine
            self._down.discard(name)
            self._started.discard(name)
            self._heard[name] = -1
            self._spread()
            return
        self._deaf.discard(name)
        if name in self._mute:
            self._mute.discard(name)
            self._spread()
        else:
            self._push(self.now, name, _News(self._peers()))  # what it was told meanwhile

    def _wake(self, name: str, wakes: _Wakes) -> None:
        """A zombie does all that it had to do, and looks at what has waited too long; no broker hears its words."""
        events: list[Frame | Idle | Tick] = []
        while (frame := wakes.inbox.take()) is not None:
            events.append(frame)
        for event in (*events, Idle(), Tick()):
            for action in wakes.machine.handle(event, self._time(name)):
                if isinstance(action, Send):
                    self.undead += 1
                    self._post(name, action.to, action.frame)

    def _next(self) -> None:
        self.now, _, name, what = heapq.heappop(self._heap)
        match what:
            case _News():
                self._hear(name, what)
            case _Back():
                self._back(name, what)
            case _Wakes():
                self._wake(name, what)
            case _Free():
                if what.machine is self.machines[name] and name not in self._down:
                    self._inboxes[name].working = False
                    self._work(name)
            case _ if name in self._down:
                self.lost_in_death += 1
            case _:
                inbox = self._inboxes[name]
                inbox.put(what)
                self.longest[name] = max(self.longest[name], len(inbox))
                if not inbox.working and name in self._started:
                    self._work(name)

    def _work(self, name: str) -> None:
        faults, rng, inbox, machine = self.faults, self._rng, self._inboxes[name], self.machines[name]
        event = inbox.take()
        if event is None:
            self._perform(name, machine.handle(Idle(), self._time(name)))
            return
        self._perform(name, machine.handle(event, self._time(name)))
        inbox.working = True
        work_s = faults.work_s * faults.slow.get(name, 1.0)
        busy = rng.exponential(work_s) + (faults.stall_s if rng.random() < faults.stall else 0.0)
        self._push(self.now + busy, name, _Free(machine))

    def _tick(self) -> None:
        faults, rng = self.faults, self._rng
        for name, machine in list(self.machines.items()):
            if name in self._down:
                continue
            self._perform(name, machine.handle(Tick(), self._time(name)))
            if faults.kill:
                when, shadow = self.journals.get(name, (-faults.journal_s, Shadow()))
                if self.now >= when + faults.journal_s:
                    shadow.look(machine.durable())
                    self.journals[name] = (self.now, shadow)
            if self.finished:
                continue
            if faults.leap and rng.random() < faults.leap:
                self.leap(name, rng.exponential(faults.leap_s))
            if faults.freeze and rng.random() < faults.freeze:
                self._clocks[name].freeze(self.now + rng.exponential(faults.freeze_s))
                self.frozen += 1
            if name in self._deaf | self._mute or self.disasters >= faults.most:
                continue
            if rng.random() < faults.kill:
                down_s = rng.exponential(faults.down_s)
                zombie = faults.zombie and rng.random() < faults.zombie
                self.kill(name, down_s, rng.exponential(faults.down_s) if zombie else None)
            elif rng.random() < faults.cut:
                one_way = rng.integers(2) if faults.one_way and rng.random() < faults.one_way else None
                self.cut(name, rng.exponential(faults.cut_s), hears=one_way == 0, heard=one_way == 1)
        self._ticks += 1
        if self._ticks % REPORT_TICKS == 0:
            self.report()

    def report(self) -> None:
        """Every process that is alive reports into the history."""
        for name, machine in self.machines.items():
            if name not in self._down:
                self.history.add(self.now, machine.telemetry(self._time(name)))

    def _time(self, name: str) -> float:
        """What the clock of a process says."""
        return self._clocks[name].at(self.now)

    def _perform(self, name: str, actions: Sequence[Action]) -> None:
        for action in actions:
            if isinstance(action, Send):
                self._post(name, action.to, action.frame)
            elif isinstance(action, Tell):
                self.events.append(action.event)
                self.history.add(self.now, action.event)

    def _post(self, sender: str, to: str, frame: bytes) -> None:
        faults, rng, pair = self.faults, self._rng, (sender, to)
        self.sent[pair] += 1
        if rng.random() < faults.drop or sender in self._mute or to in self._deaf:
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

    def _push(self, at: float, name: str, what: bytes | _Happening) -> None:
        self._posted += 1
        heapq.heappush(self._heap, (at, self._posted, name, what))
