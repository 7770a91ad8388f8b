"""A view as a person reads it: rich renderables, and plain lines for where there is no terminal. Pure.

Everything fits 80 columns without wrapping, reads without colour, and falls back to ASCII where the
terminal's encoding has no blocks.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from rich.console import Console, ConsoleOptions, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from monitor.figures import compact, duration, number, percent, sparkline, times
from monitor.process import Line
from monitor.view import View

STYLES = {
    "running": "green",
    "finished": "green",
    "paused": "yellow",
    "lost": "bold red",
    "failed": "bold red",
    "diverged": "bold red",
}
SPARK_WIDTH = 28
COLUMNS = (
    ("process", 7, 12),
    ("state", 8, 8),
    ("pid", 5, 7),
    ("stim/s", 6, 6),
    ("spikes", 6, 6),
    ("notif.", 6, 6),
    ("updates", 7, 7),
    ("stale", 5, 5),
    ("queue", 5, 6),
    ("cpu", 5, 5),
)
"""Head of a column, and its least and largest width: figures that grow must not move the others."""

FRAME_ROWS = 8
"""Rows of the display that are not processes."""


def plain(view: View) -> str:
    """The state of a run in one line of words, for logs and pipes."""
    stimuli, total = view.stimuli, view.gauge("total")
    if stimuli is None:
        heard = sum(line.state != "waiting" for line in view.lines())
        return f"waiting for processes: {heard} of {len(view.lines())}"
    words = [
        f"{stimuli:,}/{total:,.0f} stimuli" if total else f"{stimuli:,} stimuli",
        f"{compact(view.stimuli_per_s)}/s",
        f"loss {number(view.gauge('loss'))}",
        f"train {percent(view.gauge('train_accuracy'))}",
        f"test {percent(view.gauge('test_accuracy'))}",
        f"saved: notifications {times(view.saved('notifications'))}, updates {times(view.saved('updates'))}",
    ]
    return "  ".join(words)


class Frame:
    """One picture of the live display; draws itself for the width, height and encoding it is given.

    Args:
        view: read when drawn, never changed.
        rows: lines of processes at most; None takes what the height of the terminal leaves.

    """

    def __init__(self, view: View, rows: int | None = None) -> None:
        self.view = view
        self.rows = rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The rows: header, rates, savings, curves, processes."""
        ascii_only = options.ascii_only
        width = options.max_width
        yield self._header(width)
        yield _one_line(self._learning(), ascii_only)
        yield _one_line(self._savings(), ascii_only)
        yield _one_line(self._curves(width, ascii_only), ascii_only)
        lines = self.view.lines()
        rows = self.rows if self.rows is not None else max(3, console.height - FRAME_ROWS - len(self.view.notes))
        shown = lines if len(lines) <= rows else lines[: rows - 1]
        yield _processes(shown, ascii_only)
        if len(shown) < len(lines):
            yield Text(f" and {len(lines) - len(shown)} more processes", style="dim")
        for note in self.view.notes:
            yield _one_line(Text(f" {note}", style="bold red"), ascii_only)

    def _header(self, width: int) -> Table:
        view = self.view
        done, total = view.stimuli, view.gauge("total")
        grid = Table.grid(padding=(0, 1), expand=False)
        share = done / total if done is not None and total else None
        count = f"{compact(done)} / {compact(total)}"
        times_ = f"{duration(view.elapsed_s)}  eta {duration(view.eta_s)}"
        name = view.name or "run"
        room = width - len(name) - len(count) - len(times_) - 14
        for _ in range(5):
            grid.add_column(no_wrap=True)
        grid.add_row(
            Text(f" {name}", style="bold"),
            ProgressBar(1.0, min(1.0, share or 0.0), max(8, min(40, room)), complete_style="cyan"),
            Text(percent(share, 0).rjust(5)),
            Text(count),
            Text(times_, style="dim"),
        )
        return grid

    def _learning(self) -> Text:
        view = self.view
        return _fields(
            ("", f"{compact(view.stimuli_per_s)} stimuli/s"),
            ("loss", number(view.gauge("loss"))),
            ("train", percent(view.gauge("train_accuracy"))),
            ("test", percent(view.gauge("test_accuracy"))),
            ("epoch", number(view.gauge("epoch"), 1)),
        )

    def _savings(self) -> Text:
        view = self.view
        return _fields(
            ("saved: notifications", times(view.saved("notifications"))),
            ("updates", times(view.saved("updates"))),
            ("bytes", times(view.saved("bytes"))),
            ("staleness", number(view.staleness_mean, 1)),
        )

    def _curves(self, width: int, ascii_only: bool) -> Text:
        room = min(SPARK_WIDTH, max(4, (width - 24) // 2))
        loss = sparkline([y for _, y in self.view.losses], room, ascii_only=ascii_only)
        accuracy = sparkline([y for _, y in self.view.accuracies], room, ascii_only=ascii_only)
        return _fields(("loss", loss.ljust(room)), ("accuracy", accuracy.ljust(room)))


def render(view: View, rows: int | None = None) -> Frame:
    """The live display of a view, as a rich renderable."""
    return Frame(view, rows)


def _fields(*pairs: tuple[str, str]) -> Text:
    """``label value   label value``: labels dim, values not."""
    text = Text(" ")
    for i, (label, value) in enumerate(pairs):
        text.append("   " if i else "")
        text.append(f"{label} " if label else "", style="dim")
        text.append(value)
    return text


def _one_line(text: Text, ascii_only: bool) -> Text:
    text.no_wrap = True
    text.overflow = "crop" if ascii_only else "ellipsis"  # rich's ellipsis is one character outside ASCII
    return text


def _processes(lines: Iterable[Line], ascii_only: bool) -> Table:
    """A row a process; 79 columns at most."""
    overflow: Any = "crop" if ascii_only else "ellipsis"
    table = Table(box=None, padding=(0, 1), collapse_padding=True, pad_edge=True, header_style="dim")
    for head, least, most in COLUMNS:
        side: Literal["left", "right"] = "left" if head in ("process", "state") else "right"
        table.add_column(head, justify=side, no_wrap=True, overflow=overflow, min_width=least, max_width=most)
    for line in lines:
        table.add_row(
            line.name,
            Text(line.state, style=STYLES.get(line.state, "dim")),
            "-" if line.pid is None else str(line.pid),
            compact(line.stimuli_per_s),
            percent(line.spike_share, 0),
            compact(line.notifications),
            compact(line.updates),
            number(line.staleness, 1),
            compact(line.queue),
            percent(line.cpu, 0),
        )
    return table
