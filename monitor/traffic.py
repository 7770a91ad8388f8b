"""What has gone over each link, and how stale gradients were, put together from the processes' counters. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from monitor.process import Process

CARRIED = {"sent": "frames", "bytes": "bytes", "values": "values", "dense": "dense", "dense_bytes": "dense_bytes"}
"""Counters of the sending end, and what they are called here; `values` are spikes on the way forward, notifications
on the way back, and `dense` those that a dense pass would have sent."""

LOST = ("gaps", "duplicates", "fenced")
"""Counters of the receiving end."""

SUMMED = ("staleness_sum", "staleness_count")
"""Counters that a histogram of staleness comes with; its buckets are `bucket`s."""

COUNTED = (
    "spikes",
    "spikes_dense",
    "notifications",
    "notifications_dense",
    "updates",
    "updates_dense",
    "bytes",
    "bytes_dense",
    "eval_bytes",
    "skipped",
    "represented",
    "unclosed",
    "mixed",
    "unsent",
    "expired",
    "late",
    "duplicates",
    "gaps",
    "fenced",
    "drops",
    "injected",
    "control_drops",
    "wire_errors",
    "impostors",
    "denied",
    "nonfinite",
    "residual_clipped",
    "journal_bytes",
    "journal_skipped",
    "journal_failed",
)
"""Counters that a summary or row has summed over all processes."""

_BUCKET = re.compile(r"staleness_([0-9]+)")


def ends(link: str) -> tuple[str, str]:
    """The pre and the post process of a link, or groups of one, by its name."""
    pre, _, post = link.partition(" -> ")
    return pre, post


def both_ways(counts: Mapping[str, int]) -> int:
    """Bytes that went over a link forward and back, of its counts as `traffic` has them."""
    return counts.get("bytes", 0) + counts.get("back_bytes", 0)


def traffic(processes: Iterable[Process], lost: bool = True) -> dict[str, dict[str, int]]:
    """Link -> what went over it in training and evaluations: `bytes` forward, `back_bytes` backward, and so on.

    Each end of a link counts what it sent, and what it missed of what the other end sent, which is left out unless
    `lost`. A counter that an end has not reported is absent.
    """
    links: dict[str, dict[str, int]] = {}
    for process in processes:
        for link, counts in process.link_counts().items():
            forward = ends(link)[0] == process.name
            sends, hears = ("", "back_") if forward else ("back_", "")
            mine = links.setdefault(link, {})
            mine |= {sends + name: counts[key] for key, name in CARRIED.items() if key in counts}
            mine |= {hears + key: counts[key] for key in LOST if lost and key in counts}
    return links


def bucket(counter: str) -> int | None:
    """The least staleness that a counter of the histogram stands for; None for any other counter."""
    match = _BUCKET.fullmatch(counter)
    return None if match is None else int(match[1])


def staleness_counts(processes: Iterable[Process]) -> dict[int, int]:
    """Least staleness of a bucket -> gradients in it, over all processes, in order; empty if nobody counts."""
    found: dict[int, int] = {}
    for process in processes:
        for counter in {*process.counters, *process.before}:
            least = bucket(counter)
            if least is not None:
                found[least] = found.get(least, 0) + (process.count(counter) or 0)
    return dict(sorted(found.items()))
