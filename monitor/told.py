"""What a run folder tells of its run, read and in one piece, for the pages and files that are made of it. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from monitor.traffic import both_ways
from topology.plan import Plan

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """A run that has ended, or that goes on, or that was killed; what it does not tell is empty."""

    name: str  # that of the folder
    path: str
    plan: Plan
    rows: Sequence[Row]  # of metrics.jsonl
    summary: Row  # empty unless it came to its end
    events: Sequence[Row] = ()
    changes: Sequence[Row] = ()  # settings that were changed
    topology: str = ""  # topology.yaml
    environment: Row = field(default_factory=dict)

    @property
    def figures(self) -> Row:
        """The summary, or the last row where there is none."""
        return self.summary or (self.rows[-1] if self.rows else {})

    @property
    def ended(self) -> bool:
        """Whether it came to its end."""
        return bool(self.summary)

    def figure(self, key: str) -> Any:
        """One figure of the run; None where it was not measured."""
        return self.figures.get(key)

    def curve(self, key: str) -> list[tuple[float, float]]:
        """A figure of the rows over the stimuli."""
        return [(r["stimuli"], r[key]) for r in self.rows if r.get(key) is not None and "stimuli" in r]

    def evaluations(self, key: str) -> list[tuple[float, float]]:
        """`test_accuracy` or `test_loss` over the stimuli, as each evaluation found it.

        Events say at how many stimuli that was; in a run without them, the rows tell when a figure changed.
        """
        told = [e["data"] for e in self.events if e.get("kind") == "evaluated"]
        found = [(d["stimuli"], d[key]) for d in told if d.get(key) is not None and "stimuli" in d]
        if found:
            return found
        curve = self.curve(key)
        return [p for i, p in enumerate(curve) if not i or p[1] != curve[i - 1][1]]

    def evaluated_at(self, key: str) -> list[tuple[float, float]]:
        """The same over the seconds of the run; only events tell."""
        told = zip(elapsed(self.events), self.events, strict=True)
        return [(t_s, e["data"][key]) for t_s, e in told if e.get("kind") == "evaluated" and key in e["data"]]

    def of_dense(self, counter: str) -> list[tuple[float, float]]:
        """A counter as a share of what a dense network would have counted, over the stimuli, since the beginning."""
        found = []
        for row in self.rows:
            sparse, dense = row.get(counter), row.get(f"{counter}_dense")
            if "stimuli" in row and sparse is not None and dense:
                found.append((row["stimuli"], sparse / dense))
        return found

    def of_process(self, process: str, key: str) -> list[tuple[float, float]]:
        """A figure of one process over the stimuli."""
        mine = ((r.get("stimuli"), r.get("processes", {}).get(process, {}).get(key)) for r in self.rows)
        return [(x, y) for x, y in mine if x is not None and y is not None]

    def of_link(self, link: str) -> list[tuple[float, float]]:
        """Bytes over one link, both ways, over the stimuli."""
        found: list[tuple[float, float]] = []
        for row in self.rows:
            told = row.get("links", {}).get(link, {})
            if "stimuli" in row and "bytes" in told:
                found.append((row["stimuli"], both_ways(told)))
        return found

    def stimuli_at(self, t_s: float) -> float | None:
        """How many stimuli there were at a time of the last part of the run; None before its first row.

        A run that was resumed has a clock that begins anew with each part.
        """
        rows = last_part(self.rows)
        times = [r["t_s"] for r in rows]
        i = bisect_left(times, t_s)
        if not times or (i == 0 and t_s < times[0]):
            return None
        found: float | None = rows[min(i, len(rows) - 1)].get("stimuli")
        return found


def elapsed(rows: Sequence[Row]) -> list[float]:
    """Seconds from the beginning to each row, or event: the parts of a run that was resumed, one after the other."""
    found, before, last = [], 0.0, 0.0
    for row in rows:
        t_s = float(row.get("t_s", 0.0))
        before += last if t_s < last else 0.0
        last = t_s
        found.append(before + t_s)
    return found


def last_part(rows: Sequence[Row]) -> Sequence[Row]:
    """The rows, or events, since the run was last resumed: `t_s` never goes back within them."""
    for i in range(len(rows) - 1, 0, -1):
        if rows[i].get("t_s", 0.0) < rows[i - 1].get("t_s", 0.0):
            return rows[i:]
    return rows
