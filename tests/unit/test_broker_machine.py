"""The broker's machine: when it wants to be woken, and whom it takes for lost then."""

from __future__ import annotations

import pytest

from broker.machine import STALLED_S, TICK_S, Broadcast, BrokerMachine, Order
from neurond import data
from topology import feed, wire
from topology.load import load
from topology.resolve import DataShape, resolve

BEAT_TIMEOUT_S = 3.0


@pytest.fixture
def machine() -> BrokerMachine:
    """A broker at whose network everybody has registered and beaten at 0 s."""
    shape = data.describe("xor")
    plan = resolve(load("xor"), DataShape(shape.features, shape.classes, shape.targets, shape.train, shape.test))
    machine = BrokerMachine(plan, "run", origin=1, beat_timeout_s=BEAT_TIMEOUT_S)
    for pid, name in enumerate(plan.processes, 1):
        role = "source" if name == "source" else "group"
        machine.control(name.encode(), wire.pack(wire.Hello(name, role, pid, f"ipc:///x/{name}")), 0.0)
        machine.control(name.encode(), wire.pack(wire.Beat(1)), 0.0)
    return machine


def lost(orders: list[Order]) -> list[str]:
    """Processes that these orders tell the monitors to be lost."""
    told = [feed.parse(order.frames).message for order in orders if isinstance(order, Broadcast)]
    return [str(e.data["process"]) for e in told if isinstance(e, wire.Event) and e.kind == "lost"]


def test_it_wakes_when_somebody_falls_silent(machine: BrokerMachine) -> None:
    """Followed from tick to tick, the next tick comes at the moment at which a process is lost, and never late."""
    now = 0.0
    everyone = list(machine.registry.names)
    while not (found := lost(machine.tick(now))):
        assert now < machine.next_tick(now) <= now + TICK_S
        if now < BEAT_TIMEOUT_S - 0.9:  # one of them goes on beating for a while
            machine.control(b"source", wire.pack(wire.Beat(1)), now)
            source_silent_at = now + BEAT_TIMEOUT_S
        now = machine.next_tick(now)
    assert now == BEAT_TIMEOUT_S
    assert found == [name for name in everyone if name != "source"]
    while not (found := lost(machine.tick(now))):
        now = machine.next_tick(now)
    assert now == source_silent_at
    assert found == ["source"]


def test_a_broker_that_stood_still_blames_nobody(machine: BrokerMachine) -> None:
    """A tick that comes far too late tells of the broker, not of the others: they have their time anew."""
    machine.tick(0.0)
    late = TICK_S + STALLED_S + BEAT_TIMEOUT_S
    assert lost(machine.tick(late)) == []
    assert lost(machine.tick(late + TICK_S)) == []


def test_it_rests_when_it_is_over(machine: BrokerMachine) -> None:
    """After the end nobody's silence wakes it: the next tick lies ahead, whenever it is asked."""
    machine.stop(0.0)
    for now in (10.0, 20.0, 30.0, 40.0, 50.0):
        machine.tick(now)
        assert machine.next_tick(now) > now
    assert lost(machine.tick(60.0)) == []
