from math import inf

import pytest

from broker.registry import MOST_INCARNATIONS, RefusedError, Registry, TakenError
from topology.wire import Hello


def hello(name: str = "h1", pid: int = 10, incarnation: int = 0, endpoint: str = "ipc:///x/h1") -> Hello:
    """A group that registers."""
    return Hello(name, "group", pid, endpoint, incarnation)


@pytest.fixture
def registry() -> Registry:
    """The registry of a plan of two processes."""
    return Registry(("source", "h1"), beat_timeout_s=3.0, start_timeout_s=60.0)


def test_incarnations_grow(registry: Registry) -> None:
    """Each new process under a name has a higher incarnation than all before it."""
    seen = []
    for pid in range(3):
        seen.append(registry.hello(hello(pid=pid), b"route%d" % pid, now=float(pid)).incarnation)
        registry.dead("h1")
    assert seen == [1, 2, 3]


def test_hello_again_changes_nothing(registry: Registry) -> None:
    """The same process asking again gets the incarnation that it has."""
    first = registry.hello(hello(), b"r", 0.0)
    again = registry.hello(hello(), b"r", 1.0)
    after = registry.hello(hello(incarnation=1), b"another route of the same process", 2.0)
    assert first.incarnation == again.incarnation == after.incarnation == 1
    assert registry.by_route(b"r") is None


def test_unknown_name(registry: Registry) -> None:
    """A name that is not in the plan is refused with the names that are."""
    with pytest.raises(RefusedError, match="no process 'h9' in this plan; it has source, h1"):
        registry.hello(hello("h9"), b"r", 0.0)


def test_name_taken(registry: Registry) -> None:
    """A second live process under one name is told whose it is, and the first keeps it."""
    registry.hello(hello(pid=10), b"first", 0.0)
    with pytest.raises(TakenError, match="name 'h1' is taken by pid 10"):
        registry.hello(hello(pid=11), b"second", 1.0)
    member = registry.member("h1")
    assert member is not None
    assert (member.pid, member.route) == (10, b"first")


def test_survivor_of_a_lost_broker(registry: Registry) -> None:
    """A process that lived on while the broker was away keeps its incarnation, and the next one is above it."""
    assert registry.hello(hello(incarnation=4), b"r", 0.0).incarnation == 4
    registry.dead("h1")
    assert registry.hello(hello(pid=11), b"r2", 1.0).incarnation == 5


def test_superseded_incarnation(registry: Registry) -> None:
    """A process whose name has been taken over meanwhile is refused, whoever is alive now."""
    for pid in (1, 2):
        registry.hello(hello(pid=pid), b"r%d" % pid, 0.0)
        registry.dead("h1")
    with pytest.raises(RefusedError, match="incarnation 1 of 'h1' is over: 2 took its place"):
        registry.hello(hello(pid=1, incarnation=1), b"r1", 1.0)


def test_a_broker_that_takes_the_place_of_another() -> None:
    """It knows what was given before: who says so keeps it, a new process gets the next, an old one is refused."""
    registry = Registry(("source", "h1", "h2"), incarnations={"source": 1, "h1": 3, "h2": 2})
    assert registry.hello(hello("source", incarnation=1), b"s", 0.0).incarnation == 1
    assert registry.hello(hello("h2"), b"h2", 0.0).incarnation == 3
    with pytest.raises(RefusedError, match="incarnation 2 of 'h1' is over: 3 took its place"):
        registry.hello(hello("h1", incarnation=2), b"h1", 0.0)
    assert registry.hello(hello("h1", incarnation=3), b"h1", 0.0).incarnation == 3
    assert registry.incarnations == {"source": 1, "h1": 3, "h2": 3}


def test_an_incarnation_that_no_frame_could_hold_is_refused() -> None:
    """After so many starts of one name the next is refused in words."""
    registry = Registry(("h1",), incarnations={"h1": MOST_INCARNATIONS})
    with pytest.raises(RefusedError, match="'h1' has been started 65535 times"):
        registry.hello(hello(), b"r", 0.0)


def test_silence(registry: Registry) -> None:
    """A member is silent when its last beat is as old as the timeout, not a moment before, and `due` says when."""
    assert registry.due == inf
    h1 = registry.hello(hello(), b"r", 0.0)
    registry.beat(h1, 5, 10.0)
    assert registry.due == 13.0
    assert registry.silent(12.99) == []
    assert registry.silent(registry.due) == ["h1"]
    registry.beat(h1, 6, 13.5)
    assert registry.silent(14.0) == []
    source = registry.hello(hello("source", pid=2, endpoint="ipc:///x/source"), b"s", 15.0)
    registry.beat(source, 1, 15.0)
    assert registry.due == 16.5
    registry.dead("h1")
    assert registry.due == 18.0


def test_starting_takes_longer(registry: Registry) -> None:
    """A process that has not beaten yet may be loading its data: it has the longer start timeout."""
    registry.hello(hello(), b"r", 0.0)
    assert registry.silent(59.0) == []
    assert registry.silent(61.0) == ["h1"]


def test_late_beat_brings_back(registry: Registry) -> None:
    """A process that was taken for dead is alive again with its next beat."""
    h1 = registry.hello(hello(), b"r", 0.0)
    registry.dead("h1")
    assert registry.alive == ()
    registry.beat(h1, 1, 5.0)
    assert registry.alive == ("h1",)
    assert registry.by_route(b"r") is h1
    assert registry.by_route(b"nobody") is None
    assert registry.roster().changes == 3  # it came, went and came


def test_roster_is_complete_with_all(registry: Registry) -> None:
    """The roster names the living with endpoint and incarnation, and is complete when all of the plan live."""
    registry.hello(hello(), b"r", 0.0)
    assert registry.roster().peers == {"h1": ("ipc:///x/h1", 1)}
    assert not registry.roster().complete
    registry.hello(hello("source", pid=2, endpoint="ipc:///x/source"), b"s", 0.0)
    assert registry.roster().complete
    registry.dead("h1")
    assert not registry.roster().complete
    assert registry.missing == ("h1",)


def test_progress_is_seen(registry: Registry) -> None:
    """Status tells a process that beats without moving from one that works."""
    h1 = registry.hello(hello(), b"r", 0.0)
    registry.beat(h1, 7, 1.0)
    registry.beat(h1, 7, 2.0)
    status = registry.status(4.0)
    assert status["h1"]["heard_s_ago"] == 2.0
    assert status["h1"]["moved_s_ago"] == 3.0
    assert status["source"]["alive"] is False
