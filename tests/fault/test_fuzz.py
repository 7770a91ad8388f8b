"""A million frames that nobody should have sent: each is taken in or refused, and nothing else happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from broker.machine import BrokerMachine, Send
from neurond.group import GroupMachine
from neurond.machine import Frame, Idle, Machine, Peers, Start, Tick
from neurond.shell import resident_bytes
from neurond.source import SourceMachine
from tests.fault.faults import Fault, Place, injects, seeds
from tests.fault.fuzzer import Fuzzer
from tests.fault.networks import build
from tests.simulated import Faults, Network
from topology import feed, wire
from topology.plan import SOURCE, Plan

BLOCK = 20_000
BLOCKS = 50  # a million in all
SHARES = {"data": 0.6, "control": 0.25, "telemetry": 0.1, "feed": 0.05}
SETTLED = 2_000  # of a block, before memory is compared
GROWTH = 16 << 20  # bytes of resident memory that a block may leave behind: all that is remembered is bounded


class Tapped(Network):
    """A network whose frames are looked at."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        self.frames: dict[str, list[bytes]] = {}
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]

    def _post(self, sender: str, to: str, frame: bytes) -> None:
        self.frames.setdefault(to, []).append(frame)
        super()._post(sender, to, frame)


@pytest.fixture(scope="module")
def network() -> Tapped:
    """What was really sent in a run, and to whom."""
    plain = build(3, Faults(delay_s=0.01))
    tapped = Tapped(plain.plan, plain._data, 3, plain.faults)
    tapped.run(20_000)
    return tapped


def words(plan: Plan) -> list[wire.ControlMessage]:
    """Control messages as processes and clients send them."""
    counters = {"stimuli": 7, "wire_errors": 0}
    link = {"sent": 1, "received": 2}
    said: list[wire.ControlMessage] = [
        wire.Command("c1", "status"),
        wire.Command("c2", "pause", SOURCE),
        wire.Command("c3", "save", "", {"timeout_s": 1.0}),
        wire.Command("c4", "eval"),
        wire.Reply("c2", True, {"telemetry": {}}),
        wire.Reply("broker-1", False, {}, "no"),
        wire.Beat(5),
        wire.Event(SOURCE, "epoch", {"epoch": 1, "stimuli": 100}),
        wire.Event("b", "diverged", {"what": "x", "hint": "y"}),
        wire.Refused("no"),
        wire.Unknown(),
        wire.Roster({"b": ("ipc:///x", 1)}, True, 3),
        wire.Welcome(1, {"name": "b"}, "/run", True),
    ]
    for name in plan.processes:
        role = "source" if name == SOURCE else "group"
        said.append(wire.Hello(name, role, 1, f"ipc:///nowhere/{name}"))
        said.append(wire.Telemetry(name, role, 1, 1, counters, {"queue": 1.0}, {"a -> b": link}))
    return said


def machines(network: Network) -> dict[str, Machine]:
    """New machines that know one another and have begun."""
    plan, peers = network.plan, Peers(dict.fromkeys(network.plan.processes, 1), True, 1)
    made: dict[str, Machine] = {group.name: GroupMachine(group) for group in plan.groups}
    made[SOURCE] = SourceMachine(plan.source, network._data)
    for machine in made.values():
        machine.handle(peers, 0.0)
        machine.handle(Start(), 0.0)
    return made


def data_plane(seed: int, network: Tapped, count: int) -> Iterator[Callable[[], None]]:
    """Frames to every inbox: damaged, lying and true ones among each other, each decoded and handled."""
    made, now = machines(network), 0.0
    fuzzers = {
        name: Fuzzer(seed * 100 + k, frames) for k, (name, frames) in enumerate(sorted(network.frames.items()))
    }
    names = sorted(fuzzers)
    for n in range(count):
        name = names[n % len(names)]
        fuzzer, machine, now = fuzzers[name], made[name], now + 0.001
        true = network.frames[name][n // len(names) % len(network.frames[name])]
        frame = (fuzzer.damaged(true), fuzzer.lie(true), true)[n // len(names) % 3]

        def take(frame: bytes = frame, machine: Machine = machine, now: float = now, n: int = n) -> None:
            decoded(wire.decode, frame)
            machine.handle(Frame(frame, more=n % 5 == 0), now)
            if n % 50 == 0:
                machine.handle(Idle(), now)
                machine.handle(Tick(), now)
            if isinstance(machine, GroupMachine):
                assert len(machine.memory) <= machine.plan.memory

        yield take


def control_plane(seed: int, network: Network, count: int, telemetry: bool) -> Iterator[Callable[[], None]]:
    """Messages to a broker, of its members and of strangers, while time goes on; a run that has ended begins anew."""
    said = words(network.plan)
    fuzzer = Fuzzer(seed, [wire.pack(message) for message in said])
    broker, now = BrokerMachine(network.plan, "/run", origin=seed), 0.0
    routes = [name.encode() for name in network.plan.processes] + [b"client", b"\x00stranger"]
    for n in range(count):
        now += 0.01
        if n % 500 == 0:
            broker = BrokerMachine(network.plan, "/run", origin=seed + n)
            for name in network.plan.processes:
                role = "source" if name == SOURCE else "group"
                hello = wire.Hello(name, role, 1, f"ipc:///nowhere/{name}")
                assert broker.control(name.encode(), wire.pack(hello), now)
        message = said[n % len(said)]
        data = fuzzer.damaged(wire.pack(message)) if n % 2 else fuzzer.said(message)
        route = routes[n // len(said) % len(routes)]

        def take(broker: BrokerMachine = broker, data: bytes = data, route: bytes = route, now: float = now) -> None:
            decoded(wire.unpack, data)
            orders = broker.telemetry(data) if telemetry else broker.control(route, data, now)
            for order in orders:
                if isinstance(order, Send):
                    wire.pack(order.message)  # what it answers can travel
            broker.tick(now)

        yield take


def monitors(seed: int, network: Network, count: int) -> Iterator[Callable[[], None]]:
    """Items of the feed, as a monitor might be sent them: true ones, with a part damaged, lost, or one too many."""
    items = [
        feed.telemetry_frames(message.name, wire.pack(message))
        if isinstance(message, wire.Telemetry)
        else feed.event_frames(message, feed.Mark(seed, 7))
        for message in words(network.plan)
        if isinstance(message, wire.Telemetry | wire.Event)
    ]
    fuzzer = Fuzzer(seed, [part for item in items for part in item])
    for n in range(count):
        parts = list(items[n % len(items)])
        at = n % len(parts)
        match n // len(items) % 4:
            case 0:
                parts[at] = fuzzer.damaged(parts[at])
            case 1:
                parts.insert(at, fuzzer.pick())
            case 2:
                del parts[at]
        yield lambda parts=parts: decoded(feed.parse, parts)  # type: ignore[misc]


def decoded(read: Callable[..., object], data: object) -> None:
    """Whatever is read is read or refused."""
    try:
        read(data)
    except wire.WireError:
        return


def flood(seed: int, network: Tapped) -> Iterator[Callable[[], None]]:
    """A block of everything, in turns."""
    parts = {what: round(BLOCK * share) for what, share in SHARES.items()}
    sources = [
        data_plane(seed, network, parts["data"]),
        control_plane(seed, network, parts["control"], telemetry=False),
        control_plane(seed + 1000, network, parts["telemetry"], telemetry=True),
        monitors(seed, network, parts["feed"]),
    ]
    while sources:
        for source in list(sources):
            item = next(source, None)
            if item is None:
                sources.remove(source)
            else:
                yield item


@injects(Place.MACHINES, Fault.FUZZ, Fault.FOREIGN, Fault.FORGED, Fault.OVERSIZED)
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", seeds(1, BLOCKS))
def test_whatever_comes_is_taken_in_or_refused(seed: int, network: Tapped) -> None:
    """Of a million frames, damaged or lying, none raises anything but WireError from what decodes, and none stays."""
    done = settled = 0
    try:
        for take in flood(seed, network):
            take()
            done += 1
            if done == SETTLED:
                settled = resident_bytes()
    except Exception as error:
        raise AssertionError(f"seed {seed}, item {done}: {type(error).__name__}: {error}") from error
    assert done == BLOCK
    grown = resident_bytes() - settled
    assert grown < GROWTH, f"seed {seed}: {grown} bytes stayed"
