"""Everything that is known of one process or link, a fact a line. Pure."""

from __future__ import annotations

from itertools import zip_longest

from monitor.console.groups import state
from monitor.console.links import Way, all_links, faults
from monitor.console.page import Glyphs
from monitor.figures import compact, number, percent
from monitor.process import Process
from monitor.traffic import SUMMED, bucket, staleness_counts
from monitor.view import View

BAR = 24


def details(view: View, now: float, key: str, glyphs: Glyphs) -> list[str]:
    """The facts about a process or a link, by its key in a page; none where it is not known."""
    for process in view.processes:
        if process.name == key:
            return _process(process, now, glyphs)
    for link in all_links(view, now):
        if link.name == key:
            return [
                *_way(f"forward, from {link.pre}: spikes", link.forward),
                "",
                *_way(f"backward, from {link.post}: notifications and closes", link.backward),
            ]
    return []


def _process(process: Process, now: float, glyphs: Glyphs) -> list[str]:
    heard = "never" if process.heard is None else f"{max(0.0, now - process.heard):.1f} s ago"
    restarts = f"{process.restarts:,} restart{'' if process.restarts == 1 else 's'}"
    lines = [
        f"{process.role or 'process'}, {state(process, now)}, pid {process.pid or '-'}, "
        f"incarnation {process.incarnation}, {restarts}, heard {heard}",
        "",
    ]
    histogram = staleness(process)
    if histogram:
        lines.append("staleness of its gradients, in updates of its own")
        top = max(n for _, n in histogram) or 1
        for label, n in histogram:
            lines.append(f"  {label:>9} {compact(n):>7} {glyphs.pick('█', '#') * round(BAR * n / top)}".rstrip())
        lines.append("")
    lines.append("now")
    lines += [f"  {key:<24} {value:.6g}" for key, value in sorted(process.gauges.items())]
    lines += ["", "counted, over all its incarnations"]
    for key in sorted({*process.counters, *process.before} - {*SUMMED}):
        if bucket(key) is not None:
            continue
        rate = process.rate(key)
        lines.append(
            f"  {key:<24} {process.count(key) or 0:>16,}  {'' if not rate else f'{compact(rate)}/s'}".rstrip()
        )
    return lines


def staleness(process: Process) -> list[tuple[str, int]]:
    """The histogram of staleness: each bucket's range in words, and its count; up to the last that has any."""
    counts = staleness_counts([process])
    leasts = [*counts]
    found = []
    for low, following in zip_longest(leasts, leasts[1:]):
        high = None if following is None else following - 1
        label = f"{low} or more" if high is None else str(low) if high == low else f"{low} to {high}"
        found.append((label, counts[low]))
    while found and not found[-1][1]:
        found.pop()
    return found


def _way(title: str, way: Way) -> list[str]:
    kilo = None if way.bytes_per_s is None else way.bytes_per_s / 1000
    facts = (
        ("frames a second", number(way.frames_per_s, 1)),
        ("kB a second", number(kilo, 2)),
        ("share of dense traffic", percent(way.dense_share, 2)),
        ("frames lost", compact(way.gaps)),
        ("frames that came twice", compact(way.duplicates)),
        ("frames of an older incarnation", compact(way.fenced)),
        ("injected", faults(way) or "-"),
        ("seconds since a frame was sent", number(way.age_s, 1)),
    )
    return [title, *(f"  {label:<32} {value:>12}" for label, value in facts)]
