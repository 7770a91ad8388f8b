"""The checker itself: a sound history passes, and one that breaks a promise is told which, each promise once."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from tests.fault.history import History, Mark, broken, check
from tests.fault.networks import build
from tests.simulated import Faults
from topology.plan import LOSS_LINK, SOURCE
from topology.wire import Event, Telemetry


@pytest.fixture(scope="module")
def whole() -> tuple[History, int]:
    """The history of a run that nothing disturbed, and how many stimuli it counted."""
    network = build(3, Faults(delay_s=0.01))
    network.run(20_000)
    network.history.clean = True
    return network.history, network.counters(SOURCE)["confirmed"]


@pytest.fixture
def history(whole: tuple[History, int]) -> History:
    """The same, to be spoilt."""
    return replace(whole[0], seen=deepcopy(whole[0].seen), marks=[])


def last(history: History, name: str) -> Telemetry:
    """The last report of a process, which the check is going to see."""
    return history.last()[name]


def set_counter(name: str, counter: str, by: int) -> Callable[[History], None]:
    """Spoils a counter of a process' last report."""

    def spoil(history: History) -> None:
        last(history, name).counters[counter] += by

    return spoil


def set_gauge(name: str, gauge: str, value: float) -> Callable[[History], None]:
    """Spoils a gauge of a process' last report."""

    def spoil(history: History) -> None:
        last(history, name).gauges[gauge] = value

    return spoil


def set_link(name: str, link: str, **by: int) -> Callable[[History], None]:
    """Spoils what one end of a link has counted."""

    def spoil(history: History) -> None:
        for counter, more in by.items():
            last(history, name).links[link][counter] += more

    return spoil


def unfinished(history: History) -> None:
    """The source never says that it has finished."""
    history.seen = [s for s in history.seen if not (isinstance(s.what, Event) and s.what.kind == "finished")]


def silent_source(history: History) -> None:
    """Nothing comes from the source."""
    history.seen = [s for s in history.seen if s.what.name != SOURCE]


def undead(history: History) -> None:
    """A process is heard after its successor."""
    report = last(history, "b")
    history.add(99.0, replace(report, incarnation=2))
    history.add(99.1, report)


def usurped(history: History) -> None:
    """Two processes join as one incarnation of one name."""
    for pid in (7, 8):
        history.add(float(pid), Event("broker", "joined", {"process": "b", "incarnation": 1, "pid": pid}))


def backward(history: History) -> None:
    """A counter goes back."""
    report = last(history, "b")
    counters = report.counters | {"stimuli": report.counters["stimuli"] - 1}
    history.add(99.0, replace(report, counters=counters, seq=report.seq + 1))


def marked(at: float, within_s: float) -> Callable[[History], None]:
    """A fault is said to have been over at a time."""

    def spoil(history: History) -> None:
        history.marks.append(Mark(at, "a fault", within_s))

    return spoil


BROKEN: dict[str, tuple[Callable[[History], Any], str]] = {
    "one too few": (set_counter(SOURCE, "confirmed", -1), r"counted once: \d+ stimuli confirmed of"),
    "one too many": (set_counter(SOURCE, "confirmed", 1), r"counted once: \d+ confirmed of \d+ presented"),
    "left under way": (set_gauge(SOURCE, "in_flight", 2), r"counted once: 2 stimuli are still under way"),
    "no end": (unfinished, "counted once: the source never said that it has finished"),
    "no source": (silent_source, "counted once: the source was never heard"),
    "a frame is nowhere": (
        set_link(SOURCE, LOSS_LINK, seq=1, sent=1),
        f"ledger: {LOSS_LINK}: 1 frames from source to out",
    ),
    "a frame from nowhere": (
        set_link("out", "b -> out", expected=1, received=1),
        "ledger: b -> out: out has 1 frames",
    ),
    "a loss not counted": (set_link("b", "b -> out", expected=1), "ledger: b on b -> out at .* is not"),
    "strangers": (set_link("b", "b -> out", to=1), "ledger: b -> out: b and out do not know each other"),
    "heard after its successor": (undead, "one incarnation: b 1 heard at 99.100 s, after 2"),
    "two of a name": (usurped, r"one incarnation: b 1 \(pid 8\) joined after 1 \(pid 7\)"),
    "back in time": (backward, "only forward: stimuli of b went from"),
    "flooded": (set_gauge("b", "queue", 1e5), "bounded: queue of b is 100000, over 128"),
    "window": (set_gauge(SOURCE, "in_flight", 1e5), "bounded: in_flight of source is 100000"),
    "outbox": (set_gauge("b", "outbox", 1e5), "bounded: outbox of b is 100000, over 4096"),
    "memory": (set_gauge("b", "remembered", 1e5), "bounded: remembered of b is 100000"),
    "never again": (marked(1e6, 1.0), "recovered: no stimulus was confirmed after a fault"),
    "too late": (marked(0.3, 1e-9), "recovered: .* s after a fault, not within 1e-09 s"),
    "unreadable": (set_counter("b", "wire_errors", 1), "nothing strange: 1 frames could not be read"),
    "nonfinite": (set_counter("b", "nonfinite", 1), "nothing strange: b counted numbers that are not finite"),
}


def test_a_sound_history_passes(whole: tuple[History, int]) -> None:
    """Nothing is found where nothing is wrong."""
    history, total = whole
    assert (history.whole, history.last()[SOURCE].counters["confirmed"]) == (True, total)
    assert broken(history, total) == []


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_history_is_found(history: History, whole: tuple[History, int], how: str) -> None:
    """Each promise that is broken is told in a line of its own."""
    spoil, line = BROKEN[how]
    spoil(history)
    with pytest.raises(AssertionError, match=line):
        check(history, whole[1])
