"""The view of processes: a row each, what it does now and how fast it did it lately. Pure."""

from __future__ import annotations

from monitor.columns import CPU, MEMORY, PID, QUEUE, SPIKES, STALENESS, STATES, STIMULI, Column
from monitor.console.page import Glyphs, Look, Page
from monitor.console.table import Cell, Row, page
from monitor.figures import compact
from monitor.process import GONE, Process
from monitor.view import View

SILENT_S = 3.0
"""A process that was not heard for so long is shown as silent, whatever it said last."""

COLUMNS = (
    Column("process", 8, 0, left=True),
    Column("state", 8, 0, left=True),
    PID.column(4),
    STIMULI.column(0),
    SPIKES.column(5),
    Column("notif/s", 7, 1),
    Column("upd/s", 6, 2),
    STALENESS.column(0),
    QUEUE.column(3),
    Column("gradient", 8, 10),
    Column("lr", 8, 9),
    CPU.column(6),
    MEMORY.column(7),
    Column("starts", 6, 11),
    Column("age", 5, 8),
)
CURVE = "stim/s now"


def groups(view: View, now: float, width: int, height: int, glyphs: Glyphs, look: Look) -> Page:  # noqa: ARG001
    """A row a process, in the order of the plan or as sorted."""
    return page(COLUMNS, rows(view, now), width, glyphs, look, CURVE)


def rows(view: View, now: float) -> list[Row]:
    """The processes as rows of a table."""
    return [_row(process, now) for process in view.processes]


def state(process: Process, now: float) -> str:
    """The state as it is shown: what the process said last, or that it says nothing."""
    silent = process.state in ("running", "paused") and process.heard is not None and now - process.heard > SILENT_S
    return "silent" if silent else process.state


def _row(process: Process, now: float) -> Row:
    line = process.line()
    word = state(process, now)
    still = word == "silent" or process.state in GONE
    role = STATES.get(word, "dim")
    rates = [None if still else process.rate(key) for key in ("notifications", "updates")]
    stale = None if still else process.recent("staleness_sum", "staleness_count")
    spikes = None if still else process.recent("spikes", "spikes_dense")
    age = None if process.heard is None else max(0.0, now - process.heard)
    work = None if still else line.stimuli_per_s
    cells = [
        Cell(process.name, "strong", process.name),
        Cell(word, role, word),
        Cell(PID.show(process.pid), "dim", process.pid),
        Cell(STIMULI.show(work), "", work),
        Cell(SPIKES.show(spikes), "", spikes),
        *(Cell(compact(rate), "", rate) for rate in rates),
        Cell(STALENESS.show(stale), "", stale),
        Cell(QUEUE.show(line.queue), "", line.queue),
        _gauge(process, "gradient_norm"),
        _gauge(process, "lr"),
        Cell(CPU.show(line.cpu), "", line.cpu),
        Cell(MEMORY.show(line.rss_mib), "", line.rss_mib),
        Cell("-" if not process.incarnation else str(process.restarts + 1), "", float(process.restarts)),
        Cell("-" if age is None else f"{age:.1f}", "bad" if word == "silent" else "dim", age),
    ]
    return Row(process.name, cells, process.rates)


def _gauge(process: Process, key: str) -> Cell:
    value = process.gauges.get(key)
    return Cell("-" if value is None else f"{value:.3g}", "", value)
