"""The end of a run: what it did against what a dense, synchronous twin would have done. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.box import ASCII, SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from monitor.figures import compact, count, number, percent, ratio, times

COMPARED = (
    ("notifications", "notifications", "notifications_dense"),
    ("weight updates", "updates", "updates_dense"),
    ("bytes", "bytes", "bytes_dense"),
    ("spikes", "spikes", "spikes_dense"),
)
FULL_WIDTH = 76
"""Columns of the terminal that counts in full may take; where there are fewer, they are shortened."""

COUNTED_LOSSES = (
    "restarts",
    "represented",
    "unclosed",
    "expired",
    "gaps",
    "duplicates",
    "fenced",
    "late",
    "drops",
    "injected",
    "control_drops",
    "feed_drops",
    "journal_failed",
    "wire_errors",
    "impostors",
    "denied",
    "nonfinite",
    "residual_clipped",
)


class AgainstDense:
    """What the run did against what a dense, synchronous network of the same shape would have done."""

    def __init__(self, summary: Mapping[str, Any]) -> None:
        self.summary = summary

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The table, then the result and what was lost on the way, in words."""
        s = self.summary
        wide = options.max_width >= FULL_WIDTH
        box = (ASCII if options.ascii_only else SIMPLE_HEAD) if wide else None
        table = Table(box=box, header_style="bold", pad_edge=not wide)
        table.add_column("training", no_wrap=True)
        for head in ("event-driven" if wide else "here", "dense", "saved"):
            table.add_column(head, justify="right", no_wrap=True)
        shown = count if wide else compact
        for words, key, dense in COMPARED:
            table.add_row(words, shown(s[key]), shown(s[dense]), times(ratio(s[key], s[dense])))
        yield table
        result, remark = outcome(s)
        yield _indented(result, "bold")
        yield _indented(remark)
        lost = losses(s)
        if lost:
            yield _indented(lost, "yellow")


def outcome(summary: Mapping[str, Any]) -> list[str]:
    """The result of a run in words: how well and how fast, then what helped and what hindered."""
    s = summary
    if s["test_accuracy"] is None and s["test_loss"] is not None:  # a regression
        first = [f"test loss {s['test_loss']:.4g}"]
    else:
        first = [f"test accuracy {percent(s['test_accuracy'], 2)}"]
    if s["stimuli"] is not None and s["train_s"] is not None:
        first.append(f"{s['stimuli']:,} stimuli in {s['train_s']:.1f} s ({count(s['stimuli_per_s'])}/s)")
    second = [f"staleness {number(s['staleness_mean'], 1)}"]
    if s["skipped_share"] is not None:
        second.append(f"{percent(s['skipped_share'], 0)} of the stimuli needed no backward pass")
    return [", ".join(first), ", ".join(second)]


def losses(summary: Mapping[str, Any]) -> str:
    """What was lost or repeated, in one line; empty when nothing was."""
    found = counted(summary)
    unheard = [f"no figures from {', '.join(summary['unheard'])}"] if summary.get("unheard") else []
    return f"counted on the way: {', '.join(found + unheard)}" if found or unheard else ""


def counted(figures: Mapping[str, Any]) -> list[str]:
    """Whatever of `COUNTED_LOSSES` there was, in words: ``16 gaps``."""
    return [f"{n:,} {_words(k, n)}" for k in COUNTED_LOSSES if (n := figures.get(k))]


def plain_against_dense(summary: Mapping[str, Any]) -> list[str]:
    """The same as `AgainstDense`, in plain lines."""
    rows = [
        f"{words}: {count(summary[key])} of {count(summary[dense])}, "
        f"saved {times(ratio(summary[key], summary[dense]))}"
        for words, key, dense in COMPARED
    ]
    lost = losses(summary)
    return [*rows, *outcome(summary), *([lost] if lost else [])]


def _indented(words: str, style: str = "") -> Padding:
    return Padding(Text(words, style=style), (0, 0, 0, 1))


CALLED = {"represented": "presented again", "injected": "dropped on purpose", "residual_clipped": "clipped residuals"}


def in_words(counter: str) -> str:
    """What a counter of losses is called."""
    return CALLED.get(counter, counter.replace("_", " "))


def _words(counter: str, n: int) -> str:
    words = in_words(counter)
    return words.removesuffix("s") if n == 1 else words
