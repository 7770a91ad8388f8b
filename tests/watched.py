"""Views of a run that nobody runs: what a few processes might have said, twice a second."""

from __future__ import annotations

from typing import Any

from monitor.process import Process
from monitor.view import View
from topology.plan import LOSS_LINK, REPORT_S
from topology.wire import Event, Telemetry


def link(frames: int, bytes_: int, values: int, dense: int, gaps: int = 0) -> dict[str, int]:
    """One end of a link."""
    return {
        "sent": frames, "bytes": bytes_, "values": values, "dense": dense, "dense_bytes": 4 * dense,
        "received": frames, "gaps": gaps, "duplicates": 0, "fenced": 0,
    }  # fmt: skip


def chain(groups: int) -> list[str]:
    """The names of a chain: source, h1, h2, ..., out."""
    return ["source", *(f"h{i}" for i in range(1, groups)), "out"]


def reports(names: list[str], n: int) -> list[Telemetry]:
    """The n-th report of each process of a chain, n from 1; all has grown evenly since the start."""
    found = []
    for i, name in enumerate(names):
        pre, post = names[i - 1] if i else "", names[i + 1] if i + 1 < len(names) else ""
        links = {}
        if pre:
            links[f"{pre} -> {name}"] = link(40 * n, 1000 * n, 50 * n, 1000 * n, gaps=3 if name == "h1" else 0)
        if post:
            links[f"{name} -> {post}"] = link(60 * n, 30_000 * n, 600 * n, 1000 * n)
        if name == "source":
            links[LOSS_LINK] = link(60 * n, 3000 * n, 60 * n, 60 * n)
            counters = {"confirmed": 500 * n, "bytes": 30_000 * n, "bytes_dense": 100_000 * n}
            gauges = {
                "in_flight": 64.0, "total": 100_000.0, "loss": 1 / n, "train_accuracy": 1 - 0.5 / n, "rss_mib": 30.0,
                "cpu_s": 0.1 * n, "window": 64.0, "paused": 0.0,
            }  # fmt: skip
        else:
            if name == "out":
                links[LOSS_LINK] = link(60 * n, 600 * n, 60 * n, 60 * n)
            counters = {
                "stimuli": 500 * n, "spikes": 600 * n, "spikes_dense": 1000 * n, "notifications": 50 * n,
                "notifications_dense": 1000 * n, "updates": 10 * n, "updates_dense": 10_000 * n, "bytes": 31_000 * n,
                "bytes_dense": 200_000 * n, "staleness_sum": 120 * n, "staleness_count": 100 * n,
                "staleness_0": 50 * n, "staleness_1": 40 * n, "staleness_2": 10 * n, "staleness_4": 0,
            }  # fmt: skip
            gauges = {
                "queue": 2.0,
                "lr": 0.05,
                "weight_norm": 12.5,
                "gradient_norm": 0.25,
                "rss_mib": 36.0,
                "cpu_s": 0.2 * n,
            }
        role = "source" if name == "source" else "group"
        # Sixteen looks at 32 neurons, of which one spikes at a time: a slope.
        looks = [] if name == "source" else [1 << ((16 * n + i) % 32) for i in range(16)]
        found.append(Telemetry(name, role, 1, n, counters, gauges, links, looks))
    return found


def watched(names: list[str], seconds: float = 5.0, view: View | None = None) -> View:
    """A view of a chain that has been heard for so long, from 0 s on."""
    view = view or View(names, "chain", "runs/chain")
    for i, name in enumerate(names):
        joined = {"process": name, "incarnation": 1, "pid": 4000 + i}
        view.update(Event("broker", "joined", joined), 0.0)
    view.update(Event("broker", "running"), 0.0)
    for n in range(1, int(seconds / REPORT_S) + 1):
        for report in reports(names, n):
            view.update(report, n * REPORT_S)
    return view


def process(view: View, name: str) -> Process:
    """One process of a view."""
    return next(p for p in view.processes if p.name == name)


def rows(page: Any) -> list[str]:
    """A page as the text that it is, without its heads."""
    return ["".join(text for text, _ in row).rstrip() for row in page.rows]


def heads(page: Any) -> list[str]:
    """The heads of a page as text."""
    return ["".join(text for text, _ in row).rstrip() for row in page.heads]
