"""The broker's machine: when it wants to be woken, and whom it takes for lost then."""

from __future__ import annotations

import pytest

from broker.machine import PROBE_S, STALLED_S, TICK_S, Broadcast, BrokerMachine, Order, Remember, Send
from broker.rights import BURST
from broker.words import SAVE_S
from tests.zoo import plan_of
from topology import feed, wire

BEAT_TIMEOUT_S = 3.0


@pytest.fixture
def machine() -> BrokerMachine:
    """A broker at whose network everybody has registered and beaten at 0 s."""
    plan = plan_of("xor")
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


def why(orders: list[Order]) -> list[str]:
    """Why processes are lost, as these orders tell the monitors."""
    told = [feed.parse(order.frames).message for order in orders if isinstance(order, Broadcast)]
    return [str(e.data["why"]) for e in told if isinstance(e, wire.Event) and e.kind == "lost"]


@pytest.mark.parametrize(
    ("verb", "says"), [("kill", "killed as it was asked to"), ("restart", "restarts as it was asked to")]
)
@pytest.mark.parametrize("answers", [True, False])
def test_who_leaves_as_it_was_asked_to(machine: BrokerMachine, verb: str, says: str, answers: bool) -> None:
    """A process that was told to go is lost for that, once, and not where it refuses, as its successor does."""
    orders = machine.control(b"client", wire.pack(wire.Command("q", verb, "hidden")), 0.1)
    (told,) = (o.message for o in orders if isinstance(o, Send) and o.route == b"hidden")
    assert isinstance(told, wire.Command)
    if answers:
        machine.control(b"hidden", wire.pack(wire.Reply(told.id, True)), 0.2)
    assert why(machine.unreachable(b"hidden", 0.3)) == [says]
    machine.control(b"heir", wire.pack(wire.Hello("hidden", "group", 9, "ipc:///x/heir")), 0.4)
    orders = machine.control(b"client", wire.pack(wire.Command("r", verb, "hidden")), 0.5)
    (told,) = (o.message for o in orders if isinstance(o, Send) and o.route == b"heir")
    assert isinstance(told, wire.Command)
    machine.control(b"heir", wire.pack(wire.Reply(told.id, False, error="still starting")), 0.6)
    assert why(machine.unreachable(b"heir", 0.7)) == ["its connection is gone"]


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


def lost_at(machine: BrokerMachine, now: float, end: float) -> dict[str, float]:
    """Who is lost when, if nobody says anything: followed from tick to tick."""
    found: dict[str, float] = {}
    while now < end:
        found |= dict.fromkeys(lost(machine.tick(now)), now)
        now = machine.next_tick(now)
    return found


def test_who_writes_a_checkpoint_need_not_beat(machine: BrokerMachine) -> None:
    """A process is not missed while it saves, for as long as a save may take, and is again once it has answered."""
    assert lost_at(machine, 0.0, 1.0) == {}
    orders = machine.control(b"client", wire.pack(wire.Command("q", "save")), 1.0)
    saves = {o.route.decode(): o.message for o in orders if isinstance(o, Send)}
    assert sorted(saves) == sorted(machine.registry.names)
    machine.control(b"hidden", wire.pack(wire.Beat(2)), 1.0)  # it was on its way
    hidden = saves["hidden"]
    assert isinstance(hidden, wire.Command)
    answered = 1.0 + SAVE_S - 0.5
    assert lost_at(machine, 1.0, answered) == {}
    machine.control(b"hidden", wire.pack(wire.Reply(hidden.id, True)), answered)
    assert lost_at(machine, answered, answered + BEAT_TIMEOUT_S + 1) == {
        "source": 1.0 + SAVE_S,
        "out": 1.0 + SAVE_S,
        "hidden": answered + BEAT_TIMEOUT_S,
    }


def hello(pid: int, incarnation: int = 0) -> bytes:
    """A process that asks for the name hidden."""
    return wire.pack(wire.Hello("hidden", "group", pid, f"ipc:///x/hidden-{pid}", incarnation))


def sent(orders: list[Order], route: bytes) -> list[wire.ControlMessage]:
    """What these orders send by a route, commands by their ids alone."""
    return [order.message for order in orders if isinstance(order, Send) and order.route == route]


def kinds(orders: list[Order], route: bytes) -> list[str]:
    """Of which kinds these messages are."""
    return [type(message).__name__ for message in sent(orders, route)]


def test_a_name_is_taken_over_at_once_where_its_holder_cannot_be_reached(machine: BrokerMachine) -> None:
    """The broker asks the holder; its route is gone, so the name goes to who asks, with the next incarnation."""
    asked = machine.control(b"new", hello(77), 1.0)
    assert (kinds(asked, b"hidden"), kinds(asked, b"new")) == (["Command"], [])
    orders = machine.unreachable(b"hidden", 1.0)
    assert lost(orders) == ["hidden"]
    assert Remember({"source": 1, "hidden": 2, "out": 1}) in orders
    welcome, roster = sent(orders, b"new")
    assert isinstance(welcome, wire.Welcome)
    assert (welcome.incarnation, welcome.recover, welcome.resume) == (2, True, False)
    assert isinstance(roster, wire.Roster)
    assert roster.complete
    assert kinds(orders, b"source") == ["Roster", "Roster"]  # without it, and with the new one


def test_a_name_is_taken_over_where_its_holder_does_not_answer(machine: BrokerMachine) -> None:
    """A holder that stands still has a second; who asks may ask again meanwhile."""
    machine.tick(0.9)
    machine.control(b"new", hello(77), 1.0)
    machine.control(b"new", hello(77), 1.3)
    assert machine.next_tick(1.3) <= 1.0 + PROBE_S
    assert lost(machine.tick(1.9)) == []
    orders = machine.tick(1.0 + PROBE_S)
    assert lost(orders) == ["hidden"]
    assert kinds(orders, b"new") == ["Welcome", "Roster"]


def test_a_name_is_kept_by_a_holder_that_answers(machine: BrokerMachine) -> None:
    """Who asks is refused, and the answer to the broker's own question goes to nobody else."""
    (question,) = sent(machine.control(b"new", hello(77), 1.0), b"hidden")
    assert isinstance(question, wire.Command)
    orders = machine.control(b"hidden", wire.pack(wire.Reply(question.id, True)), 1.1)
    (refused,) = sent(orders, b"new")
    assert refused == wire.Refused("name 'hidden' is taken by pid 2")
    assert lost(machine.tick(2.5)) == []
    assert kinds(machine.control(b"third", hello(78), 2.6), b"hidden") == ["Command"], "it is asked anew for the next"


def test_a_zombie_is_told_that_it_is_unknown_and_then_that_it_is_over(machine: BrokerMachine) -> None:
    """The beat of a process whose name was taken over is answered, and its hello refused."""
    machine.control(b"new", hello(77), 1.0)
    machine.unreachable(b"hidden", 1.0)
    assert sent(machine.control(b"hidden", wire.pack(wire.Beat(9)), 2.0), b"hidden") == [wire.Unknown()]
    orders = machine.control(b"hidden", hello(2, incarnation=1), 2.1)
    assert sent(orders, b"hidden") == [wire.Refused("incarnation 1 of 'hidden' is over: 2 took its place")]


def test_a_client_that_is_gone_is_nobody_s_loss(machine: BrokerMachine) -> None:
    """A route that belongs to no process, or to one that is lost already, means nothing."""
    assert machine.unreachable(b"a client", 1.0) == []
    assert lost(machine.unreachable(b"hidden", 1.0)) == ["hidden"]
    assert machine.unreachable(b"hidden", 1.0) == []


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


def told(orders: list[Order]) -> list[wire.ControlMessage]:
    """What these orders send to single peers."""
    return [order.message for order in orders if isinstance(order, Send)]


def test_a_key_speaks_for_its_name_alone(machine: BrokerMachine) -> None:
    """What a key may not say changes nothing, is counted, and answered in one line; telemetry is not answered."""
    hello = wire.pack(wire.Hello("hidden", "group", 9, "tcp://x:1"))
    refused = [wire.Refused("the key of 'out' is not that of 'hidden'")]
    assert told(machine.control(b"r", hello, 1.0, "out")) == refused
    assert told(machine.control(b"hidden", wire.pack(wire.Beat(2)), 1.0, "out")) == refused
    stop = machine.control(b"c", wire.pack(wire.Command("1", "stop")), 1.0, "hidden")
    assert told(stop) == [wire.Reply("1", False, error="the key of 'hidden' may not stop")]
    report = wire.pack(wire.Telemetry("hidden", "group", 1, 1, {}, {}, {}))
    assert machine.telemetry(report, "out") == []
    assert machine.telemetry(report, None) == []
    assert machine.impostors == 5
    assert machine.registry.member("hidden").pid == 2
    assert machine.telemetry(report, "hidden") != []
    (reply,) = told(machine.control(b"c", wire.pack(wire.Command("2", "status")), 1.0, "hidden"))
    assert reply.data["impostors"] == 5
    assert reply.data["state"] == "running"


def test_a_revoked_key_is_told_so(machine: BrokerMachine) -> None:
    """What comes on a connection whose key has been revoked counts for nothing, a beat included."""
    machine.control(b"hidden", wire.pack(wire.Beat(2)), 2.0, "hidden")
    assert told(machine.control(b"hidden", wire.pack(wire.Beat(3)), 4.0, None)) == [
        wire.Refused("a key that is revoked")
    ]
    assert "hidden" in lost(machine.tick(5.0))


def test_whoever_asks_too_often_waits(machine: BrokerMachine) -> None:
    """Beyond so many commands at once a peer is not answered, and it is counted; another one is."""
    status = [wire.pack(wire.Command(str(n), "status")) for n in range(1000)]
    answered = sum(len(told(machine.control(b"c", command, 1.0))) for command in status)
    assert answered == BURST
    assert machine.drops["asked too often"] == 1000 - BURST
    assert told(machine.control(b"d", wire.pack(wire.Command("other", "status")), 1.0))


def adopted(orders: list[Order]) -> list[dict[str, object]]:
    """What a process is told to adopt by these orders, after its welcome."""
    sent = [o.message for o in orders if isinstance(o, Send)]
    found = [m for m in sent if isinstance(m, wire.Command) and m.verb == "adopt"]
    assert all(isinstance(sent[sent.index(m) - 1], wire.Welcome) for m in found)
    return [dict(m.args["settings"]) for m in found]


def changed(machine: BrokerMachine, key: str, value: float) -> None:
    """`hidden` tells of a setting that was changed."""
    event = wire.Event("hidden", "set", {"key": key, "value": value, "before": 0.0})
    machine.control(b"hidden", wire.pack(event), 1.0)


def registers(machine: BrokerMachine, pid: int, incarnation: int = 0, **settings: float) -> list[Order]:
    """What follows when a process says that it is `hidden`."""
    said = wire.Hello("hidden", "group", pid, "ipc:///x/hidden", incarnation, settings)
    return machine.control(f"hidden-{pid}".encode(), wire.pack(said), 2.0)


def test_a_successor_is_told_what_the_one_before_had_been(machine: BrokerMachine) -> None:
    """Whoever takes the place of a process hears of every setting as it was last, and so does the next."""
    changed(machine, "lr", 0.5)
    changed(machine, "lr", 0.25)
    changed(machine, "delay.out", 0.1)
    machine.unreachable(b"hidden", 1.0)
    assert adopted(registers(machine, 77)) == [{"lr": 0.25, "delay.out": 0.1}]
    machine.unreachable(b"hidden-77", 2.0)
    assert adopted(registers(machine, 78)) == [{"lr": 0.25, "delay.out": 0.1}]


def test_settings_outlive_the_broker(machine: BrokerMachine) -> None:
    """A process that lived on tells a broker that has just come what it had been told, and its successor hears it."""
    machine.unreachable(b"hidden", 1.0)
    assert adopted(registers(machine, 77, incarnation=1, lr=0.5)) == []
    machine.unreachable(b"hidden-77", 2.0)
    assert adopted(registers(machine, 78)) == [{"lr": 0.5}]


def test_who_was_told_nothing_has_nothing_to_adopt(machine: BrokerMachine) -> None:
    """No settings, no message; and what another process says of one is not believed."""
    event = wire.Event("hidden", "set", {"key": "lr", "value": 9.0, "before": 0.0})
    machine.control(b"out", wire.pack(event), 1.0)
    machine.unreachable(b"hidden", 1.0)
    assert adopted(registers(machine, 77)) == []
