"""The network in virtual time (`neurond.virtual`) with all that can go wrong: the faults of the tests, and a history.

The messenger may also double frames, let them overtake one another, and forge them. Processes can be cut off from
all others for a while, or in one direction alone; one that was killed may be none the less alive for a while; and
clocks may stand still or leap. Everybody hears of who comes and goes, each at a time of its own.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from neurond import virtual
from neurond.conditions import Conditions, Latency
from neurond.data import Dataset
from neurond.inbox import Inbox
from neurond.machine import Frame, Idle, Machine, Send, Tick
from tests.fault.history import History
from topology.plan import SOURCE, Plan


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


class Network(virtual.Network):
    """All processes of a plan, joined by a faulty messenger."""

    def __init__(
        self, plan: Plan, data: Dataset, seed: int = 0, faults: Faults | None = None, incarnation: int = 1
    ) -> None:
        self.faults = faults or Faults()
        self._rng = np.random.default_rng(seed)
        latency = Latency(self.faults.floor_s, self.faults.delay_s)
        conditions = Conditions(latency, loss=self.faults.drop)
        super().__init__(plan, data, self._rng, conditions, incarnation=incarnation)
        self._journal_s = self.faults.journal_s
        self.buried: list[Machine] = []
        """Those that were killed."""
        self.disasters = 0
        self.leaps = self.frozen = 0
        """How often clocks leapt and stood still."""
        self.undead = 0
        """Frames that were sent by those who had been replaced."""
        self.history = History(plan)
        """All that the processes reported and told."""
        self.on_report = lambda report: self.history.add(self.now, report)
        self.on_event = self._told
        self.doubled: Counter[tuple[str, str]] = Counter()
        self._deaf: set[str] = set()
        self._mute: set[str] = set()
        self._clocks = {name: _Clock() for name in self.machines}

    def run(self, limit_s: float = 600.0, confirmed: int | None = None) -> None:
        """Run on until the source has finished and nothing is under way, or until so many stimuli are confirmed."""
        while self.step():
            assert self.now < limit_s, f"hangs: {self.source.telemetry(self.now)}"
            if confirmed is not None and self.counters(SOURCE)["confirmed"] >= confirmed:
                return
        self.drain()

    def kill(self, name: str, down_s: float, wakes_s: float | None = None) -> None:
        """End a process as SIGKILL does: what it holds and what waits for it is gone. It is started again later.

        With `wakes_s` it was only stopped, and goes on so long after it was replaced: it has not heard of that.
        """
        self.disasters += 1
        self.buried.append(self.machines[name])
        if wakes_s is None:
            super().kill(name, down_s)
            return
        wakes = partial(self._wake, name, self.machines[name], self._inboxes[name])
        self._push(self.now + down_s + wakes_s, name, wakes)
        self._fall(name, down_s)

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
        self._push(self.now + cut_s, name, partial(self._heal, name))

    def leap(self, name: str, by_s: float) -> None:
        """The clock of a process is ahead from now on."""
        self.leaps += 1
        self._clocks[name].leap(by_s)

    def forge(self, at: float, to: str, frame: bytes) -> None:
        """A frame that nobody of the network has sent will come to a process at a time."""
        self._push(at, to, frame)

    def _told(self, event: object) -> None:
        self.events.append(event)
        self.history.add(self.now, event)

    def _gone(self) -> set[str]:
        return self._down | self._mute

    def _hears_news(self, name: str) -> bool:
        """Who is cut off hears of the roster when that is over."""
        return name not in self._down | self._deaf

    def _heal(self, name: str) -> None:
        self._deaf.discard(name)
        if name in self._mute:
            self._mute.discard(name)
            self._spread()
        else:
            self._push(self.now, name, partial(self._hear, name, self._peers()))  # what it was told meanwhile

    def _wake(self, name: str, machine: Machine, inbox: Inbox) -> None:
        """A zombie does all that it had to do, and looks at what has waited too long; no broker hears its words."""
        events: list[Frame | Idle | Tick] = []
        while (frame := inbox.take()) is not None:
            events.append(frame)
        actions = inbox.pending
        for event in (*events, Idle(), Tick()):
            actions += machine.handle(event, self._time(name))
        for action in actions:
            if isinstance(action, Send):
                self.undead += 1
                self._post(name, action.to, action.frame)

    @property
    def _mortal(self) -> bool:
        return bool(self.faults.kill)

    def _strike(self, name: str) -> None:
        faults, rng = self.faults, self._rng
        if faults.leap and rng.random() < faults.leap:
            self.leap(name, rng.exponential(faults.leap_s))
        if faults.freeze and rng.random() < faults.freeze:
            self._clocks[name].freeze(self.now + rng.exponential(faults.freeze_s))
            self.frozen += 1
        if name in self._deaf | self._mute or self.disasters >= faults.most:
            return
        if rng.random() < faults.kill:
            down_s = rng.exponential(faults.down_s)
            zombie = faults.zombie and rng.random() < faults.zombie
            self.kill(name, down_s, rng.exponential(faults.down_s) if zombie else None)
        elif rng.random() < faults.cut:
            one_way = rng.integers(2) if faults.one_way and rng.random() < faults.one_way else None
            self.cut(name, rng.exponential(faults.cut_s), hears=one_way == 0, heard=one_way == 1)

    def _time(self, name: str) -> float:
        """What the clock of a process says."""
        return self._clocks[name].at(self.now)

    def _loses(self, pair: tuple[str, str]) -> bool:
        return super()._loses(pair) or pair[0] in self._mute or pair[1] in self._deaf

    def _copies(self, pair: tuple[str, str]) -> int:
        if self._rng.random() >= self.faults.double:
            return 1
        self.doubled[pair] += 1
        return 2

    def _in_turn(self, pair: tuple[str, str], at: float) -> float:
        return at if self._rng.random() < self.faults.reorder else super()._in_turn(pair, at)

    def _news_s(self) -> float:
        return float(self._rng.exponential(self.faults.news_s))

    def _busy_s(self, name: str, multiplied: int) -> float:
        faults, rng = self.faults, self._rng
        work_s = rng.exponential(faults.work_s * faults.slow.get(name, 1.0))
        return float(work_s) + (faults.stall_s if rng.random() < faults.stall else 0.0)
