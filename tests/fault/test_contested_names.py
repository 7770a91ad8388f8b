"""Names that many processes want, die for and come back to: the broker's machine keeps one of them for each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from broker.machine import BrokerMachine, Send
from tests.fault.faults import Fault, Place, injects, seeds
from tests.fault.networks import build
from tests.simulated import Faults
from topology import wire

NAMES = ("b", "c", "out")
STEPS = 600
QUIET_S = 12.0  # of beats alone: longer than every deadline of the broker
BEAT_S = 0.5


@dataclass
class Claimant:
    """A process that wants a name."""

    name: str
    pid: int
    incarnation: int = 0
    alive: bool = True
    hangs: bool = False

    @property
    def route(self) -> bytes:
        """How the broker reaches it."""
        return f"{self.name}-{self.pid}".encode()

    def hello(self) -> wire.Hello:
        """How it registers."""
        return wire.Hello(self.name, "group", self.pid, f"ipc:///nowhere/{self.pid}", self.incarnation)


class Contest:
    """A broker's machine and all who want names of it."""

    def __init__(self, seed: int) -> None:
        self.now = 0.0
        self.claimants: dict[bytes, Claimant] = {}
        self.given: dict[str, list[tuple[int, int]]] = {name: [] for name in NAMES}  # incarnation and pid, as given
        self.refused = 0
        self._rng = np.random.default_rng(seed)
        self._plan = build(seed, Faults()).plan
        self._broker = BrokerMachine(self._plan, "/run", origin=1)

    def step(self) -> None:
        """One thing happens, by chance."""
        self.now += float(self._rng.exponential(0.05))
        chosen = [c for c in self.claimants.values() if c.alive]
        what = self._rng.random()
        if what < 0.1 or not chosen:
            claimant = Claimant(str(self._rng.choice(NAMES)), len(self.claimants) + 1)
            self.claimants[claimant.route] = claimant
            self._say(claimant, claimant.hello())
            return
        claimant = chosen[int(self._rng.integers(len(chosen)))]
        if what < 0.13:
            claimant.alive = False
        elif what < 0.16:
            claimant.hangs = not claimant.hangs
        elif what < 0.9:
            self.speak(claimant)
        else:
            self.orders(self._broker.tick(self.now))

    def speak(self, claimant: Claimant) -> None:
        """A process that lives and does not hang beats, or asks again."""
        if claimant.alive and not claimant.hangs:
            self._say(claimant, wire.Beat(1) if claimant.incarnation else claimant.hello())

    def quiet(self) -> None:
        """Nothing more happens: everybody who hung goes on, and time passes."""
        end = self.now + QUIET_S
        for claimant in self.claimants.values():
            claimant.hangs = False
        while self.now < end:
            self.now += BEAT_S
            for claimant in list(self.claimants.values()):
                self.speak(claimant)
            self.orders(self._broker.tick(self.now))

    def fenced(self, claimant: Claimant) -> bool:
        """Whether what a process reports of itself is passed on to nobody."""
        report = wire.Telemetry(claimant.name, "group", claimant.incarnation, 1, {}, {}, {})
        return not self._broker.telemetry(wire.pack(report))

    def _say(self, claimant: Claimant, message: wire.ControlMessage) -> None:
        self.orders(self._broker.control(claimant.route, wire.pack(message), self.now))

    def orders(self, orders: list) -> None:  # type: ignore[type-arg]
        """Carry out what the broker's machine wants done."""
        for order in orders:
            if isinstance(order, Send):
                self._hears(self.claimants[order.route], order.message)

    def _hears(self, claimant: Claimant, message: wire.ControlMessage) -> None:
        if not claimant.alive:
            self.orders(self._broker.unreachable(claimant.route, self.now))
        elif isinstance(message, wire.Welcome):
            if (message.incarnation, claimant.pid) not in self.given[claimant.name]:
                self.given[claimant.name].append((message.incarnation, claimant.pid))
            claimant.incarnation = message.incarnation
        elif isinstance(message, wire.Refused):
            claimant.alive = False
            self.refused += 1
        elif isinstance(message, wire.Unknown) and not claimant.hangs:
            self._say(claimant, claimant.hello())
        elif isinstance(message, wire.Command) and not claimant.hangs:
            self._say(claimant, wire.Reply(message.id, True))


@injects(Place.MACHINES, Fault.TWO_OF_A_NAME, Fault.ZOMBIE)
@pytest.mark.parametrize("block", seeds(2, 30))
def test_a_name_is_held_by_one(block: int) -> None:
    """Over 300 seeds no incarnation is given to two processes, and of all who want a name one is left, the newest."""
    refused = 0
    for seed in range(10 * block, 10 * block + 10):
        contest = Contest(seed)
        for _ in range(STEPS):
            contest.step()
        contest.quiet()
        for name, given in contest.given.items():
            incarnations = [incarnation for incarnation, _ in given]
            assert incarnations == sorted(set(incarnations)), f"seed {seed}: {name} was given as {given}"
            left = [c for c in contest.claimants.values() if c.alive and c.name == name]
            assert len(left) <= 1, f"seed {seed}: {left} all think that they are {name}"
            for claimant in left:
                assert claimant.incarnation == incarnations[-1], f"seed {seed}: {claimant} is not the last of {given}"
        for claimant in contest.claimants.values():
            last = contest.given[claimant.name][-1][0] if contest.given[claimant.name] else 0
            assert contest.fenced(claimant) or claimant.incarnation == last, f"seed {seed}: {claimant} is heard"
        refused += contest.refused
    assert refused > 50
