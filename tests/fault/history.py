"""The checker of histories: what was seen of a run, simulated or real, against what neurond promises.

Each check gives a line for each violation, and `check` fails with all of them. What is checked never depends on how
the run was disturbed: a fault may cost time, never a promise.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from monitor.client import Client
from neurond.shell import OUTBOX, TAKE
from topology.keys import Keyring
from topology.plan import LOSS_LINK, SOURCE, Plan
from topology.wire import Event, Telemetry

HISTORY = ("confirmed", "presented", "eval_stimuli", "stimuli", "frames_in", "frames_out", "updates", "closes")
"""Counters of which each is looked at for going back."""


class Seen(NamedTuple):
    """Something that was heard of a run, and when, in seconds on one clock."""

    at: float
    what: Telemetry | Event


@dataclass(frozen=True)
class Mark:
    """A fault was over at a time (or there was none to wait for), and learning was to go on so soon after."""

    at: float
    what: str
    within_s: float


@dataclass
class History:
    """What was seen of one run, in order.

    Args:
        plan: what the processes were told.
        whole: whether it goes to the end of the run: then nothing is under way any more.
        clean: whether no frame can have been lost on the way: then none is at the end.

    """

    plan: Plan
    whole: bool = True
    clean: bool = False
    seen: list[Seen] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)

    def add(self, at: float, what: Telemetry | Event) -> None:
        """Note something; the last event of a run holds the last figures of each process."""
        self.seen.append(Seen(at, what))
        if isinstance(what, Event) and what.kind == "ended":
            self.seen += [Seen(at, Telemetry(**last)) for last in what.data.get("telemetry", [])]

    @property
    def reports(self) -> Iterator[tuple[float, Telemetry]]:
        """What the processes reported, in the order in which it was heard."""
        return ((seen.at, seen.what) for seen in self.seen if isinstance(seen.what, Telemetry))

    def events(self, kind: str) -> list[tuple[float, Event]]:
        """Events of a kind, in the order in which they were heard."""
        return [(s.at, s.what) for s in self.seen if isinstance(s.what, Event) and s.what.kind == kind]

    def last(self) -> dict[str, Telemetry]:
        """The last report of each process."""
        return {report.name: report for _, report in self.reports}


def check(history: History, total: int | None = None, wire_errors: int = 0) -> None:
    """Fail with a line for each promise that was not kept; the arguments are those of `broken`."""
    found = broken(history, total, wire_errors)
    assert not found, "\n".join(found)


def broken(history: History, total: int | None = None, wire_errors: int = 0) -> list[str]:
    """A line for each promise that was not kept.

    Args:
        history: what was seen.
        total: training stimuli that the run is to count, where it was to come to its end by itself.
        wire_errors: frames that were not to be understood, for somebody forged them.

    """
    return [
        *counted_once(history, total),
        *ledger(history),
        *one_incarnation(history),
        *only_forward(history),
        *bounded(history),
        *recovered(history),
        *nothing_strange(history, wire_errors),
    ]


def counted_once(history: History, total: int | None) -> Iterator[str]:
    """Every stimulus is presented until it is confirmed, and counts once."""
    most = None
    for at, report in history.reports:
        if report.name != SOURCE:
            continue
        confirmed, presented = report.counters["confirmed"], report.counters["presented"]
        if confirmed > presented:
            yield f"counted once: {confirmed} confirmed of {presented} presented, at {at:.3f} s"
        most = report
    if most is None:
        yield "counted once: the source was never heard"
        return
    if total is not None and most.counters["confirmed"] != total:
        yield f"counted once: {most.counters['confirmed']} stimuli confirmed of {total}"
    if not history.whole:
        return
    if most.gauges["in_flight"]:
        yield f"counted once: {most.gauges['in_flight']:.0f} stimuli are still under way at the end"
    said = {event.data.get("stimuli") for _, event in history.events("finished")}
    if not said:
        yield "counted once: the source never said that it has finished"
    elif most.counters["confirmed"] not in said:
        yield f"counted once: finished with {said}, and {most.counters['confirmed']} confirmed"


def ledger(history: History) -> Iterator[str]:
    """What was sent on a link is delivered, counted as lost, or on its way."""
    for at, report in history.reports:
        for link, end in report.links.items():
            if end["received"] + end["gaps"] != end["over"] + end["expected"]:
                yield (
                    f"ledger: {report.name} on {link} at {at:.3f} s: received {end['received']} + lost {end['gaps']}"
                    f" is not {end['over']} + {end['expected']}"
                )
    if not history.whole:
        return
    last = history.last()
    for link, pre, post in links(history.plan):
        for sender, receiver in ((pre, post), (post, pre)):
            if not {sender, receiver} <= last.keys():
                yield f"ledger: {link}: nothing was heard of {sender} or {receiver}"
                continue
            sent, received = last[sender].links[link], last[receiver].links[link]
            met = (sent["to"], received["from"]) == (last[receiver].incarnation, last[sender].incarnation)
            if not met:
                # A link over which nothing has come yet knows nobody.
                if sent["seq"] and received["from"]:
                    yield f"ledger: {link}: {sender} and {receiver} do not know each other's incarnation"
                continue
            under_way = sent["seq"] - received["expected"]
            if under_way < 0:
                yield f"ledger: {link}: {receiver} has {-under_way} frames more than {sender} sent"
            elif under_way > 0 and history.clean:
                yield f"ledger: {link}: {under_way} frames from {sender} to {receiver} are nowhere"


def one_incarnation(history: History) -> Iterator[str]:
    """A name is held by one process at a time, and who has been replaced is not heard any more."""
    heard: dict[str, int] = {}
    joined: dict[str, tuple[int, Any]] = {}
    for at, what in history.seen:
        if isinstance(what, Telemetry):
            if what.incarnation < heard.get(what.name, 0):
                yield f"one incarnation: {what.name} {what.incarnation} heard at {at:.3f} s, after {heard[what.name]}"
            heard[what.name] = max(what.incarnation, heard.get(what.name, 0))
        elif what.kind == "joined":
            name, incarnation, pid = (what.data[key] for key in ("process", "incarnation", "pid"))
            before, holder = joined.get(name, (0, None))
            if incarnation < before or (incarnation == before and pid != holder):
                yield f"one incarnation: {name} {incarnation} (pid {pid}) joined after {before} (pid {holder})"
            joined[name] = (incarnation, pid)


def only_forward(history: History) -> Iterator[str]:
    """Counters are cumulative: within an incarnation none of them ever goes back."""
    before: dict[tuple[str, int], Telemetry] = {}
    for at, report in history.reports:
        key = (report.name, report.incarnation)
        known = before.get(key)
        if known is not None:
            if report.seq < known.seq:
                continue  # a new subscriber is told the last report once more, and so are all others
            for counter in HISTORY:
                now, then = report.counters.get(counter, 0), known.counters.get(counter, 0)
                if now < then:
                    yield f"only forward: {counter} of {report.name} went from {then} to {now} at {at:.3f} s"
        before[key] = report


def bounded(history: History) -> Iterator[str]:
    """Whatever waits is bounded: stimuli under way, those remembered, frames in an inbox and in an outbox."""
    memory = {group.name: group.memory for group in history.plan.groups}
    limits = {"in_flight": history.plan.source.window, "queue": TAKE, "outbox": OUTBOX}
    for at, report in history.reports:
        for gauge, most in (limits | {"remembered": memory.get(report.name, 0)}).items():
            value = report.gauges.get(gauge, 0.0)
            if value > most:
                yield f"bounded: {gauge} of {report.name} is {value:.0f}, over {most}, at {at:.3f} s"


def recovered(history: History) -> Iterator[str]:
    """After each fault stimuli are confirmed again within the time that is stated for it."""
    confirmed = [(at, r.counters["confirmed"], r.incarnation) for at, r in history.reports if r.name == SOURCE]
    for mark in history.marks:
        before = [entry for entry in confirmed if entry[0] <= mark.at]
        count, incarnation = before[-1][1:] if before else (0, 0)
        # A source that was replaced goes on from its journal, which is a little behind: count from there.
        again = None
        for at, now, which in confirmed:
            if at <= mark.at:
                continue
            if which != incarnation:
                count, incarnation = now, which
            elif now > count:
                again = at
                break
        if again is None:
            yield f"recovered: no stimulus was confirmed after {mark.what}"
        elif again > mark.at + mark.within_s:
            yield f"recovered: {again - mark.at:.3f} s after {mark.what}, not within {mark.within_s:g} s"


def nothing_strange(history: History, wire_errors: int) -> Iterator[str]:
    """No process of ours sends what another cannot read, and no number grows without bound."""
    last = history.last().values()
    strange = sum(report.counters["wire_errors"] for report in last)
    if strange != wire_errors:
        yield f"nothing strange: {strange} frames could not be read, where {wire_errors} were forged"
    yield from (
        f"nothing strange: {report.name} counted numbers that are not finite"
        for report in last
        if report.counters.get("nonfinite")
    )


def links(plan: Plan) -> Iterator[tuple[str, str, str]]:
    """Every link by name, with the processes at its two ends."""
    for group in plan.groups:
        for link in group.links_in:
            yield link.name, link.pre, group.name
    yield LOSS_LINK, SOURCE, plan.source.readout


@asynccontextmanager
async def recording(broker_address: str, history: History, keys: Keyring | None = None) -> AsyncIterator[Client]:
    """Whatever a run's broker makes known goes into the history, for as long as the context lasts."""
    async with Client(broker_address, keys) as client:

        async def listen() -> None:
            loop = asyncio.get_running_loop()
            async for item in client.stream():
                history.add(loop.time(), item)

        listener = asyncio.create_task(listen())
        try:
            yield client
        finally:
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)
