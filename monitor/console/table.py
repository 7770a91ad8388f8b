"""A table that fits: the columns that there is room for, the rows that pass a filter, in order. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from monitor.columns import Column, fitting
from monitor.console.page import Glyphs, Look, Page, Spans, cut, matches

MAX_NAME = 28
MIN_CURVE = 10
"""Characters of a curve at least, where a table has any."""


class Cell(NamedTuple):
    """What stands in a column: the text, its role, and what it is sorted by (None comes last)."""

    text: str
    role: str = ""
    by: float | str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One thing: its key, a cell a column, and the curve that takes the room that is left."""

    key: str
    cells: Sequence[Cell]
    curve: Sequence[float] = ()


def page(
    columns: Sequence[Column], rows: Sequence[Row], width: int, glyphs: Glyphs, look: Look, curve: str = ""
) -> Page:
    """The table as a page.

    Args:
        columns: the first holds the names, and grows with them.
        rows: all there are, in the order of the plan.
        width: characters of the screen.
        glyphs: what it can show.
        look: filter and order.
        curve: head of the curves at the right; "" where rows have none.

    """
    found = [row for row in rows if matches(look.filter, [cell.text for cell in row.cells])]
    by = look.sort - 1
    if 0 <= by < len(columns):
        found = _sorted(found, by)
    longest = max([columns[0].width, *(len(row.cells[0].text) for row in rows)])
    spare = MIN_CURVE + 1 if curve else 0
    shown = fitting(list(enumerate(columns)), width - spare, lambda one: one[1].rank, _width)
    used = _width(shown)
    name = min(longest, MAX_NAME, columns[0].width + max(0, width - used - spare))
    room = width - used - (name - columns[0].width) - 1 if curve else 0
    heads: Spans = [(" ", "")]
    for i, column in shown:
        wide = name if i == 0 else column.width
        mark = glyphs.pick("▾", "v") if i == by else ""
        head = f"{column.head + mark:<{wide}} " if column.left else f"{column.head:>{wide}}{mark or ' '}"
        heads.append((head, "strong" if i == by else "head"))
    if room >= len(curve):
        heads.append((curve, "head"))
    return Page(
        [heads],
        [_row(row, shown, name, room, glyphs) for row in found],
        [row.key for row in found],
        len(columns),
    )


def _row(row: Row, shown: Sequence[tuple[int, Column]], name: int, room: int, glyphs: Glyphs) -> Spans:
    spans: Spans = [(" ", "")]
    for i, column in shown:
        cell, wide = row.cells[i], name if i == 0 else column.width
        text = cut(cell.text, wide, glyphs)
        spans.append((f"{text:<{wide}} " if column.left else f"{text:>{wide}} ", cell.role))
    if room > 0 and row.curve:
        spans.append((curve_of(row.curve, room, glyphs), "accent"))
    return spans


def curve_of(values: Sequence[float], room: int, glyphs: Glyphs) -> str:
    """The latest values, one a character, on a scale from zero to the largest of them."""
    latest = list(values)[-room:]
    top = max(latest, default=0.0)
    blocks = glyphs.blocks
    return "".join(blocks[round((len(blocks) - 1) * max(0.0, v) / top) if top > 0 else 0] for v in latest)


def _sorted(rows: Sequence[Row], by: int) -> list[Row]:
    """Words from a to z, numbers from the largest; what is not known comes last."""
    known = [row for row in rows if row.cells[by].by is not None]
    words = any(isinstance(row.cells[by].by, str) for row in known)
    if words:
        known.sort(key=lambda row: str(row.cells[by].by))
    else:
        known.sort(key=lambda row: -float(row.cells[by].by or 0.0))
    return known + [row for row in rows if row.cells[by].by is None]


def _width(shown: Sequence[tuple[int, Column]]) -> int:
    """Characters that columns take, with the space at the edge."""
    return 1 + sum(column.width + 1 for _, column in shown)
