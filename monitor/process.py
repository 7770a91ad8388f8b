"""One process of a run as the monitor knows it: what it last said, its rates, and the line shown. Pure."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from monitor.before import Before, Links
from topology.lives import Lives
from topology.plan import REPORT_S
from topology.wire import Telemetry

RATE_WINDOW_S = 3.0
"""Rates are differences over this long: long enough to be readable, short enough to follow a stall."""

STATES = frozenset({"joined", "running", "finished", "diverged", "left", "lost", "failed"})
"""Kinds of event that say what a process is doing from now on; the word is shown as it is."""

ALIVE = frozenset({"waiting", "joined", "running", "paused"})
GONE = frozenset({"left", "lost", "failed"})

Mark = tuple[float, dict[str, int], float | None, Links]
"""When telemetry came, its counters, the CPU seconds used so far, and the links: rates are differences of two."""

WORK = {"source": "confirmed", "group": "stimuli"}
"""Role -> the counter of what it is there for."""

RATES = 240
"""Rates kept for a sparkline: two minutes of reports."""

LOOKS = 1024
"""Looks at the neurons kept for a raster: half a minute."""

LOST = -1
"""In place of a look that never came."""

EARLY_S, LATE_S = 0.9 * REPORT_S, 1.8 * REPORT_S
"""Reports come every `REPORT_S`: who joins late and hears two sooner than that had a copy of the first, which the
broker had kept, made nobody knows when; and after so long without one, one is missing."""

BURST_S = 0.1
"""Reports that come closer to each other have waited for us: nobody knows when they were made."""


@dataclass(frozen=True, slots=True)
class Line:
    """One process as it is shown; None where it has not said."""

    name: str
    role: str  # source | group | "" while unheard
    state: str  # waiting | joined | running | paused | finished | diverged | left | lost | failed
    pid: int | None
    stimuli_per_s: float | None
    spike_share: float | None  # spikes sent / spikes a dense forward pass would send, 0 to 1
    notifications: int | None
    updates: int | None
    staleness: float | None  # mean, in the group's own updates
    queue: float | None  # messages waiting; for the source, stimuli in flight
    cpu: float | None  # share of one core, 0 to 1
    rss_mib: float | None  # resident memory, in MiB

    def row(self) -> dict[str, Any]:
        """What of it goes into a row of `metrics.jsonl`; absent means not measured."""
        found = {
            "state": self.state,
            "stimuli_per_s": whole(self.stimuli_per_s),
            "spike_share": rounded(self.spike_share, 4),
            "notifications": self.notifications,
            "updates": self.updates,
            "staleness": rounded(self.staleness, 3),
            "queue": whole(self.queue),
            "cpu": rounded(self.cpu, 3),
            "rss_mib": rounded(self.rss_mib, 1),
        }
        return {k: v for k, v in found.items() if v is not None}


@dataclass(slots=True)
class Process:
    """What was heard of one process, over all its incarnations."""

    name: str
    late: bool = False  # it is followed from some time after its start
    role: str = ""
    state: str = "waiting"
    pid: int | None = None
    incarnation: int = 0
    seq: int = -1
    heard: float | None = None
    counters: dict[str, int] = field(default_factory=dict)
    counted: int = 0  # the incarnation whose counters, gauges and links these are
    before: dict[str, int] = field(default_factory=dict)  # counted by incarnations that are gone
    restarts: int = 0  # processes that have taken the place of the one before
    gauges: dict[str, float] = field(default_factory=dict)
    links: Links = field(default_factory=dict)  # as `counters`, for each end of a link
    links_before: Links = field(default_factory=dict)
    cpu_before_s: float = 0.0
    lives: Lives = field(default_factory=Lives)
    left_out: Before = field(default_factory=Before)  # of lives that are not kept any more
    marks: deque[Mark] = field(default_factory=deque)
    rates: deque[float] = field(default_factory=lambda: deque(maxlen=RATES))  # of its work, a second, oldest first
    looks: deque[int] = field(default_factory=lambda: deque(maxlen=LOOKS))  # bit i: neuron i of a sample spiked; LOST
    neurons: int = 0  # of the sample, as far as any has spiked
    sent_at: dict[str, float] = field(default_factory=dict)  # link -> when its end was last seen to have sent

    def hear(self, t: Telemetry, now: float) -> bool:
        """Take in telemetry; False if it is older than the present: what is over is counted."""
        new = self.lives.hear(t)
        if (t.incarnation, t.seq) < (self.incarnation, self.seq):
            if new:
                self._reckon()
            return False
        if t.incarnation > self.incarnation or self.seq < 0:
            self.counted = t.incarnation
            self._reckon()
            self.marks.clear()
            self.state = "running"
            self.begin(t.incarnation)
        self._look(t, now)
        for link, counts in t.links.items():
            if counts.get("sent", 0) != self.links.get(link, {}).get("sent", 0):
                self.sent_at[link] = now
        self.role, self.incarnation, self.seq, self.heard = t.role, t.incarnation, t.seq, now
        self.counters, self.links = dict(t.counters), t.links
        self.gauges = {k: float(v) for k, v in t.gauges.items() if math.isfinite(v)}
        if len(self.marks) == 1 and now - self.marks[0][0] < (EARLY_S if self.late else BURST_S):
            self.marks.pop()
        elif len(self.marks) > 1 and now - self.marks[-1][0] < BURST_S:
            self.marks.pop()  # the last of a burst stands for all of it
            if self.rates:
                self.rates.pop()
        self.marks.append((now, self.counters, self.gauges.get("cpu_s"), self.links))
        if len(self.marks) > 1 and (worked := self._since(self.marks[-2], WORK.get(self.role, ""))) is not None:
            self.rates.append(worked)
        while len(self.marks) > 2 and now - self.marks[0][0] > RATE_WINDOW_S:
            self.marks.popleft()
        if self.state in ALIVE:
            self.state = self._at_work()
        return True

    def _reckon(self) -> None:
        """Sum what was counted by the incarnations that are gone, in whatever order they were heard of."""
        while (gone := self.lives.leave_out()) is not None:
            self.left_out.add(gone, next(iter(self.lives)))
        before = self.left_out.copy()
        for life, after in pairwise([*self.lives, None]):
            if life is not None and life.last.incarnation != self.counted:
                before.add(life, after)
        self.before, self.links_before, self.cpu_before_s = before.counters, before.links, before.cpu_s

    def _at_work(self) -> str:
        return "paused" if self.gauges.get("paused") else "running"

    def _look(self, t: Telemetry, now: float) -> None:
        """Keep the looks of a report, behind as many lost ones as are missing by their time, and by their numbers.

        By their numbers alone it cannot be told: some reports are answers to somebody else.
        """
        if t.raster and self.looks and self.heard is not None and now - self.heard > LATE_S:
            missing = min(int((now - self.heard) / REPORT_S - 0.5), t.seq - max(self.seq, 0) - 1)
            self.looks.extend([LOST] * min(LOOKS, missing * len(t.raster)))
        self.looks.extend(t.raster)
        self.neurons = max([self.neurons, *(look.bit_length() for look in t.raster)])

    def join(self, incarnation: Any) -> None:
        """The broker says that a process of this incarnation has the name.

        That can be old news: a listener that comes late may hear a report before what happened until then.
        """
        if not isinstance(incarnation, int) or incarnation > self.incarnation:
            self.state = "joined"
            self.begin(incarnation if isinstance(incarnation, int) else self.incarnation)
        elif incarnation == self.incarnation:
            self.state = "joined" if self.seq < 0 else self._at_work()

    def begin(self, incarnation: int) -> None:
        """A process of this incarnation holds the name from now on; its counters are yet to be heard."""
        if incarnation > self.incarnation:
            self.restarts += self.incarnation > 0
            self.incarnation, self.seq = incarnation, -1

    def count(self, key: str) -> int | None:
        """A counter over all incarnations; None if never reported."""
        if key not in self.counters and key not in self.before:
            return None
        return self.counters.get(key, 0) + self.before.get(key, 0)

    def work(self) -> int | None:
        """Stimuli that it has worked on: the source counts those that were confirmed."""
        return self.count(WORK.get(self.role, "stimuli"))

    def work_per_s(self) -> float | None:
        """Such stimuli a second, lately."""
        return self.rate(WORK.get(self.role, "stimuli"))

    def link_counts(self) -> dict[str, dict[str, int]]:
        """The counters of its ends of links, over all incarnations."""
        counts = {link: dict(before) for link, before in self.links_before.items()}
        for link, counters in self.links.items():
            mine = counts.setdefault(link, {})
            for key, n in counters.items():
                mine[key] = mine.get(key, 0) + n
        return counts

    def cpu_s(self) -> float:
        """Seconds of CPU, over all incarnations."""
        return self.cpu_before_s + self.gauges.get("cpu_s", 0.0)

    def rate(self, key: str) -> float | None:
        """Counts a second over the last `RATE_WINDOW_S`; None before two reports."""
        return self._since(self.marks[0], key) if len(self.marks) > 1 else None

    def _since(self, mark: Mark, key: str) -> float | None:
        """Counts a second between a mark and the last one."""
        (t0, first, *_), (t1, last, *_) = mark, self.marks[-1]
        return (last[key] - first.get(key, 0)) / (t1 - t0) if t1 > t0 and key in last else None

    def recent(self, key: str, of: str) -> float | None:
        """What one counter grew by over what another did, in the last `RATE_WINDOW_S`; None if that stood still."""
        if len(self.marks) < 2 or key not in self.counters:
            return None
        first, last = self.marks[0][1], self.marks[-1][1]
        grown = last.get(of, 0) - first.get(of, 0)
        return (last[key] - first.get(key, 0)) / grown if grown > 0 else None

    def link_recent(self, link: str) -> tuple[float, dict[str, int]] | None:
        """Seconds, and what the counters of its end of a link grew by in them; None before two reports."""
        if len(self.marks) < 2:
            return None
        (t0, *_, first), (t1, *_, last) = self.marks[0], self.marks[-1]
        if link not in last or t1 <= t0:
            return None
        before = first.get(link, {})
        return t1 - t0, {key: n - before.get(key, 0) for key, n in last[link].items()}

    def cpu(self) -> float | None:
        """Share of one core over the last `RATE_WINDOW_S`."""
        if len(self.marks) < 2:
            return None
        (t0, _, c0, _), (t1, _, c1, _) = self.marks[0], self.marks[-1]
        return max(0.0, (c1 - c0) / (t1 - t0)) if c0 is not None and c1 is not None and t1 > t0 else None

    def line(self) -> Line:
        """The process as it is shown."""
        spikes, dense = self.count("spikes"), self.count("spikes_dense")
        stale, n = self.count("staleness_sum"), self.count("staleness_count")
        is_source, is_gone = self.role == "source", self.state in GONE
        return Line(
            name=self.name,
            role=self.role,
            state=self.state,
            pid=self.pid,
            stimuli_per_s=None if is_gone else self.work_per_s(),
            spike_share=spikes / dense if spikes is not None and dense else None,
            notifications=self.count("notifications"),
            updates=self.count("updates"),
            staleness=stale / n if stale is not None and n else None,
            queue=self.gauges.get("in_flight" if is_source else "queue"),
            cpu=None if is_gone else self.cpu(),
            rss_mib=self.gauges.get("rss_mib"),
        )


def rounded(value: float | None, digits: int) -> float | None:
    """`round`, that lets None pass."""
    return None if value is None else round(value, digits)


def whole(value: float | None) -> int | None:
    """The nearest whole number, that lets None pass."""
    return None if value is None else round(value)
