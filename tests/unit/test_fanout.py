"""What the broker keeps of a run for those who come late, and what they make of it."""

from __future__ import annotations

import pytest

from monitor.view import View
from topology import feed, lives, wire
from topology.fanout import Fanout
from topology.wire import Event, Telemetry

LINK = "source -> h1"


def report(incarnation: int, seq: int, gaps: int, restored: float = 0.0) -> Telemetry:
    """A report of h1 that counts gaps, in all and on its link."""
    gauges = {"restored": restored, "cpu_s": 0.5}
    return Telemetry("h1", "group", incarnation, seq, {"gaps": gaps}, gauges, {LINK: {"gaps": gaps}}, [1, 3])


def told(fanout: Fanout) -> list[Telemetry | Event]:
    """What a new subscriber hears."""
    return [feed.parse(frames).message for frames in fanout.snapshot(b"")]


def history(restored: float, deaths: int = 3) -> list[Telemetry | Event]:
    """A process that dies again and again, each time with some gaps more."""
    found: list[Telemetry | Event] = []
    counted = 0
    for incarnation in range(1, deaths + 2):
        found.append(Event("h1", "joined", {"incarnation": incarnation}))
        counted = int(restored) * max(0, counted - 8)
        for seq in range(4):
            found.append(report(incarnation, seq, counted, restored if incarnation > 1 else 0.0))
            counted += 5
    return found


def tell(fanout: Fanout, messages: list[Telemetry | Event]) -> None:
    """Let the fan-out pass on what happens."""
    for message in messages:
        if isinstance(message, Event):
            fanout.event(message)
        else:
            fanout.telemetry(message, wire.pack(message))


def watched(messages: list[Telemetry | Event], *, late: bool = False) -> View:
    """A view that has heard these, half a second apart."""
    view = View(["h1"], late=late)
    for n, message in enumerate(messages):
        view.update(message, n * 0.5)
    return view


def figures(view: View) -> tuple[object, ...]:
    """All that earlier incarnations have a part in."""
    process = view.processes[0]
    return view.total("gaps"), process.link_counts(), process.cpu_s(), view.restarts, process.counters


@pytest.mark.parametrize("restored", [0.0, 1.0])
def test_who_comes_late_counts_as_who_was_there(restored: float) -> None:
    """However often a process died, and whether it goes on counting or begins anew, nothing lost is forgotten."""
    messages = history(restored)
    fanout = Fanout(1)
    tell(fanout, messages)
    whole = figures(watched(messages))
    assert whole[0] == 4 * 15
    assert figures(watched(told(fanout), late=True)) == whole


@pytest.mark.parametrize("restored", [0.0, 1.0])
def test_who_was_there_counts_nothing_twice(restored: float) -> None:
    """Everybody hears the past again whenever somebody subscribes; it changes no figure and no present."""
    messages = history(restored)
    fanout = Fanout(1)
    tell(fanout, messages)
    past = [one for one in told(fanout) if isinstance(one, Telemetry)]
    assert figures(watched(messages + past + past)) == figures(watched(messages))


def test_the_past_may_be_overtaken() -> None:
    """A report of the present that comes before the past, or within, changes nothing."""
    messages = history(1.0)
    fanout = Fanout(1)
    tell(fanout, messages)
    whole = figures(watched(messages))
    past = told(fanout)
    present = messages[-1]
    for at in range(len(past)):
        assert figures(watched([*past[:at], present, *past[at:]], late=True))[:3] == whole[:3], f"at {at}"


def test_the_past_is_told_again_by_who_heard_it() -> None:
    """A recording of a late listener, with repeats, is as good as the run: its fan-out tells the same."""
    messages = history(1.0)
    first, second = Fanout(1), Fanout(2)
    tell(first, messages)
    tell(second, told(first) + told(first))
    assert figures(watched(told(second), late=True)) == figures(watched(messages))


def test_the_present_is_told_before_how_it_began() -> None:
    """No subscriber takes an old report for the newest, and rasters are of the present."""
    fanout = Fanout(1)
    tell(fanout, history(0.0))
    reports = [one for one in told(fanout) if isinstance(one, Telemetry)]
    assert [(one.incarnation, one.seq) for one in reports] == [(1, 3), (2, 3), (3, 3), (4, 3), (2, 0), (3, 0), (4, 0)]
    assert [bool(one.raster) for one in reports] == [False] * 3 + [True] + [False] * 3
    assert [feed.parse(frames).message for frames in fanout.snapshot(feed.EVENTS)] == told(fanout)[:4]


def test_memory_of_the_past_is_bounded() -> None:
    """Of very many deaths the oldest are not told any more; who was there goes on counting them."""
    deaths = 3 * lives.KEPT
    messages = history(0.0, deaths)
    fanout = Fanout(1)
    tell(fanout, messages)
    assert sum(isinstance(one, Telemetry) for one in told(fanout)) == 2 * lives.KEPT - 1
    view = watched(messages + [one for one in told(fanout) if isinstance(one, Telemetry)])
    assert view.total("gaps") == (deaths + 1) * 15
    assert len(view.processes[0].lives) == lives.KEPT
