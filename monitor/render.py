"""A view as a person reads it: rich renderables, and plain lines for where there is no terminal. Pure.

Nothing is wrapped or cut in the middle from 40 columns on: a narrow terminal gets fewer figures in more rows, a
wide one longer bars, curves and names, and processes side by side. It reads without colour, and falls back to ASCII
where the terminal's encoding has no blocks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

from rich.console import Console, ConsoleOptions, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from monitor.columns import (
    CPU,
    MEMORY,
    NOTIFICATIONS,
    PID,
    QUEUE,
    SPIKES,
    STALENESS,
    STATES,
    STIMULI,
    UPDATES,
    Column,
    fitting,
)
from monitor.figures import compact, duration, number, percent, sparkline, times
from monitor.process import Line
from monitor.view import View

STYLES = {"good": "green", "warn": "yellow", "bad": "bold red"}

Shown = tuple[Column, Callable[[Line], str]]
"""A column of the table of processes, and what stands in it."""

NAME, STATE = 0, 1  # the first two columns: how a name is cut and a state is coloured is said where they are drawn
COLUMNS: tuple[Shown, ...] = (
    (Column("process", 12, 0, left=True), lambda line: line.name),
    (Column("state", 8, 0, left=True), lambda line: line.state),
    (PID.column(5), lambda line: PID.show(line.pid)),
    (STIMULI.column(0), lambda line: STIMULI.show(line.stimuli_per_s)),
    (SPIKES.column(3), lambda line: SPIKES.show(line.spike_share)),
    (NOTIFICATIONS.column(1), lambda line: NOTIFICATIONS.show(line.notifications)),
    (UPDATES.column(0), lambda line: UPDATES.show(line.updates)),
    (STALENESS.column(0), lambda line: STALENESS.show(line.staleness)),
    (QUEUE.column(2), lambda line: QUEUE.show(line.queue)),
    (CPU.column(4), lambda line: CPU.show(line.cpu)),
    (MEMORY.column(6), lambda line: MEMORY.show(line.rss_mib)),
)
Fields = Sequence[tuple[str, str]]
"""Labels and values, in the order of reading."""

MIN_BAR = 8
"""A shorter bar says nothing."""

TABLE_WIDTH = 80
"""Columns of the terminal for a table of processes, if they stand side by side."""

NOTES = 4
"""The latest notes that are shown; the display says how many there were before."""

SPARE_ROWS = 3
"""Rows of the terminal that are left alone: the command above, and the line below."""


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
        figures = [*_flow(self._learning(), width), *_flow(self._savings(), width), self._curves(width, ascii_only)]
        for row in figures:
            yield _one_line(row, ascii_only)
        heads = 2  # the one above, and that of the table
        notes, earlier = self.view.notes[-NOTES:], len(self.view.notes) - NOTES
        used = heads + len(figures) + len(notes) + (earlier > 0) + SPARE_ROWS
        rows = self.rows if self.rows is not None else max(3, console.height - used)
        lines = self.view.lines()
        tables = min(math.ceil(len(lines) / rows), max(1, width // TABLE_WIDTH))
        shown = lines if len(lines) <= rows * tables else lines[: (rows - 1) * tables]
        yield _side_by_side(shown, tables, width, ascii_only)
        if len(shown) < len(lines):
            yield Text(f" and {len(lines) - len(shown)} more processes", style="dim")
        if earlier > 0:
            yield Text(f" {earlier} more before these:", style="dim")
        for note in notes:
            yield _one_line(Text(f" {note}", style="bold red"), ascii_only)

    def _header(self, width: int) -> Table:
        """Name, bar and figures over the whole width; where that is small, without the bar, then with less."""
        view = self.view
        done, total = view.stimuli, view.gauge("total")
        share = done / total if done is not None and total else None
        name, done_percent = Text(f" {view.name or 'run'}", style="bold"), percent(share, 0).rjust(5)
        name.truncate(max(8, width // 3))
        count, eta = f"{compact(done)} / {compact(total)}", f"eta {duration(view.eta_s)}"
        long = f"{done_percent}  {count}  {duration(view.elapsed_s)}  {eta}"
        short = f"{done_percent}  {count}  {eta}"
        bar = width - len(name) - 2
        figures = long if bar - len(long) >= MIN_BAR else short
        parts: list[Text | str | ProgressBar] = [name]
        if (room := bar - len(figures)) >= MIN_BAR:
            parts += [ProgressBar(1.0, min(1.0, share or 0.0), room, complete_style="cyan"), figures]
        else:
            parts.append(figures if room >= -1 else f"{done_percent}  {eta}")
        grid = Table.grid(padding=(0, 1), expand=False)
        for _ in parts:
            grid.add_column(no_wrap=True)
        grid.add_row(*parts)
        return grid

    def _learning(self) -> Fields:
        view = self.view
        return (
            ("", f"{compact(view.stimuli_per_s)} stimuli/s"),
            ("loss", number(view.gauge("loss"))),
            ("train", percent(view.gauge("train_accuracy"))),
            ("test", percent(view.gauge("test_accuracy"))),
            ("epoch", number(view.gauge("epoch"), 1)),
        )

    def _savings(self) -> Fields:
        view = self.view
        return (
            ("saved: notifications", times(view.saved("notifications"))),
            ("updates", times(view.saved("updates"))),
            ("bytes", times(view.saved("bytes"))),
            ("staleness", number(view.staleness_mean, 1)),
        )

    def _curves(self, width: int, ascii_only: bool) -> Text:
        room = max(4, (width - len(" loss    accuracy  ")) // 2)
        loss = sparkline([y for _, y in self.view.losses], room, ascii_only=ascii_only)
        accuracy = sparkline([y for _, y in self.view.accuracies], room, ascii_only=ascii_only)
        return _flow((("loss", loss.ljust(room)), ("accuracy", accuracy)), width)[0]


def render(view: View, rows: int | None = None) -> Frame:
    """The live display of a view, as a rich renderable."""
    return Frame(view, rows)


def _flow(fields: Fields, width: int) -> list[Text]:
    """``label value   label value``, in as many rows as it takes: labels dim, values not."""
    rows: list[Text] = []
    for label, value in fields:
        field = Text(f"{label} " if label else "", style="dim") + Text(value, style="not dim")
        if rows and len(rows[-1]) + 3 + len(field) <= width:
            rows[-1] += Text("   ") + field
        else:
            rows.append(Text(" ") + field)
    return rows


def _one_line(text: Text, ascii_only: bool) -> Text:
    text.no_wrap = True
    text.overflow = "crop" if ascii_only else "ellipsis"  # rich's ellipsis is one character outside ASCII
    return text


def _side_by_side(lines: Sequence[Line], tables: int, width: int, ascii_only: bool) -> Table:
    """The processes in as many tables of one height as are asked for."""
    each = max(1, math.ceil(len(lines) / tables))
    grid = Table.grid(padding=0)
    grid.add_row(
        *(_processes(lines[i : i + each], width // tables, ascii_only) for i in range(0, max(1, len(lines)), each))
    )
    return grid


def _processes(lines: Sequence[Line], width: int, ascii_only: bool) -> Table:
    """A row a process, with the columns that there is room for."""
    overflow: Any = "crop" if ascii_only else "ellipsis"
    longest = max([COLUMNS[NAME][0].width, *(len(line.name) for line in lines)])
    columns = fitting(COLUMNS, width, lambda shown: shown[0].rank, _width)
    name = width - _width(columns[1:])
    table = Table(box=None, padding=(0, 1), collapse_padding=True, pad_edge=True, header_style="dim")
    for i, (column, _) in enumerate(columns):
        side: Literal["left", "right"] = "left" if column.left else "right"
        room = max(8, min(longest + 1, name)) if i == NAME else column.width  # with the edge's space
        table.add_column(column.head, justify=side, no_wrap=True, overflow=overflow, width=room)
    for line in lines:
        cells: list[Text | str] = [cell(line) for _, cell in columns]
        cells[STATE] = Text(line.state, style=STYLES.get(STATES.get(line.state, ""), "dim"))
        table.add_row(*cells)
    return table


def _width(columns: Sequence[Shown]) -> int:
    """Characters that columns take, with the space at the edge."""
    return 1 + sum(column.width + 1 for column, _ in columns)
