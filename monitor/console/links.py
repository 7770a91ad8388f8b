"""The view of links: what goes forward and backward on each, against what a dense pass would send. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from monitor.columns import Column
from monitor.console.page import Glyphs, Look, Page
from monitor.console.table import Cell, Row, page
from monitor.figures import compact, percent
from monitor.process import Process
from monitor.traffic import LOST, ends
from monitor.view import View

COLUMNS = (
    Column("link", 14, 0, left=True),
    Column("fwd/s", 6, 1),
    Column("kB/s", 6, 3),
    Column("dense", 6, 0),
    Column("back/s", 6, 2),
    Column("kB/s", 6, 4),
    Column("dense", 6, 0),
    Column("lost", 5, 0),
    Column("twice", 5, 7),
    Column("fenced", 6, 8),
    Column("injected", 8, 6),
    Column("age", 5, 5),
)


@dataclass(frozen=True, slots=True)
class Way:
    """One direction of a link, as its ends have counted it; None where no end has said so."""

    sender: str
    frames_per_s: float | None = None
    bytes_per_s: float | None = None
    dense_share: float | None = None  # values sent over those that a dense pass would have sent, lately
    gaps: int | None = None  # frames that never came, by the receiver's count
    duplicates: int | None = None
    fenced: int | None = None
    delay_s: float | None = None  # latency injected by the sender on purpose
    loss: float | None = None  # share of frames dropped by the sender on purpose, 0 to 1
    age_s: float | None = None  # since the sender was last seen to have sent a frame


@dataclass(frozen=True, slots=True)
class Link:
    """A link with its two directions."""

    name: str
    pre: str
    post: str
    forward: Way
    backward: Way

    @property
    def bytes_per_s(self) -> float | None:
        """Of both directions."""
        known = [way.bytes_per_s for way in (self.forward, self.backward) if way.bytes_per_s is not None]
        return sum(known) if known else None


def all_links(view: View, now: float) -> list[Link]:
    """Every link that a process has told of, in the order in which their pre processes come in the plan."""
    found = []
    for name, its in _members(view).items():
        pre, post = _ends(name, its)
        sender, receiver = its.get(pre), its.get(post)
        found.append(
            Link(name, pre, post, _way(pre, sender, receiver, name, now), _way(post, receiver, sender, name, now))
        )
    return found


def all_ends(view: View) -> dict[str, tuple[str, str]]:
    """Link -> the processes at its ends, pre and post, in the order of `all_links`."""
    return {name: _ends(name, its) for name, its in _members(view).items()}


def _members(view: View) -> dict[str, dict[str, Process]]:
    """Link -> the processes that have told of it, by their names."""
    members: dict[str, dict[str, Process]] = {}
    for process in view.processes:
        for name in {**process.links_before, **process.links}:
            members.setdefault(name, {})[process.name] = process
    return members


def _ends(name: str, its: Mapping[str, Process]) -> tuple[str, str]:
    pre, post = ends(name)
    # The loss is no process of its own: its end is the readout's.
    return pre, next((process for process in its if process != pre), post)


def links(view: View, now: float, width: int, height: int, glyphs: Glyphs, look: Look) -> Page:  # noqa: ARG001
    """A row a link."""
    return page(COLUMNS, rows(view, now), width, glyphs, look)


def rows(view: View, now: float) -> list[Row]:
    """The links as rows of a table."""
    return [_row(link) for link in all_links(view, now)]


def _way(name: str, sender: Process | None, receiver: Process | None, link: str, now: float) -> Way:
    counts = {} if receiver is None else receiver.link_counts().get(link, {})
    lost = {key: counts.get(key) for key in LOST}
    if sender is None:
        return Way(name, **lost)
    grown = sender.link_recent(link)
    sent_at = sender.sent_at.get(link)
    frames = sent_bytes = share = None
    if grown is not None:
        seconds, counts = grown
        frames, sent_bytes = counts.get("sent", 0) / seconds, counts.get("bytes", 0) / seconds
        dense = counts.get("dense", 0)
        share = counts["values"] / dense if dense > 0 and "values" in counts else None
    age = None if sent_at is None else max(0.0, now - sent_at)
    peer = receiver.name if receiver is not None else ""
    delay_s, loss = (sender.gauges.get(f"{fault}.{peer}") for fault in ("delay_s", "loss"))
    return Way(name, frames, sent_bytes, share, **lost, delay_s=delay_s, loss=loss, age_s=age)


def faults(way: Way) -> str:
    """What a sender does to a direction on purpose, such as ``50ms`` or ``50ms,10%``; "" for nothing."""
    delay = f"{1000 * way.delay_s:.3g}ms" if way.delay_s else ""
    loss = f"{100 * way.loss:.3g}%" if way.loss else ""
    return ",".join(filter(None, (delay, loss)))


def _share(share: float | None) -> str:
    return percent(share, 0 if share is not None and share >= 0.9995 else 1)


def _row(link: Link) -> Row:
    ways = (link.forward, link.backward)
    cells = [Cell(link.name, "strong", link.name)]
    for way in ways:
        kilo = None if way.bytes_per_s is None else way.bytes_per_s / 1000
        cells += [
            Cell(compact(way.frames_per_s), "", way.frames_per_s),
            Cell(compact(kilo), "", kilo),
            Cell(_share(way.dense_share), "", way.dense_share),
        ]
    for counts, role in (
        ([way.gaps for way in ways], "bad"),
        ([way.duplicates for way in ways], "warn"),
        ([way.fenced for way in ways], "warn"),
    ):
        known = [n for n in counts if n is not None]
        total = sum(known) if known else None
        cells.append(Cell(compact(total), role if total else "dim", total))
    injected = " ".join(filter(None, map(faults, ways)))
    cells.append(Cell(injected or "-", "warn" if injected else "dim", injected or None))
    ages = [way.age_s for way in ways if way.age_s is not None]
    age = min(ages, default=None)
    cells.append(Cell("-" if age is None else f"{age:.1f}", "dim", age))
    return Row(link.name, cells)
