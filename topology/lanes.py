"""Where the lines of a drawn network run: lanes at the left of the names, one for each sender. Pure.

Each sender's links run down a lane, from the line under it to the arrows of those that it feeds. Every character says
which link it belongs to, so that a drawing may be coloured.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

Owner = tuple[str, str]
"""The (pre, post) of a link that a character belongs to; post is "" where it belongs to all of the sender's."""

Strokes = list[tuple[str, Owner]]
"""A row of a drawing, character by character."""

NOBODY: Owner = ("", "")

_ASCII = str.maketrans("│─└├┌┘┴┼▶", "|-`+.'++>")


def lanes(names: Sequence[str], pres: Mapping[str, Iterable[str]]) -> list[tuple[Strokes, str | None]]:
    """The rows of a drawing: the strokes left of each name, and the name; None under a sender.

    Args:
        names: top to bottom, each below those that feed it.
        pres: name -> who feeds it; all of them are in `names`.

    """
    last = _last_rows(names, pres)
    width = _needed(names, last)
    at: list[str | None] = [None] * width  # lane -> its sender; the last lane is next to the names
    rows: list[tuple[Strokes, str | None]] = []
    for row, name in enumerate(names):
        rows.append((_arrows(at, name, tuple(pres.get(name, ())), row, last), name))
        at = [None if lane is not None and last[lane] <= row else lane for lane in at]
        if name in last:
            lane = max(i for i in range(width) if at[i] is None)
            rows.append((_turn(at, lane, name), None))
            at[lane] = name
    return rows


def text(strokes: Strokes, *, ascii_only: bool = False) -> str:
    """The characters of a row."""
    drawn = "".join(character for character, _ in strokes)
    return in_ascii(drawn) if ascii_only else drawn


def in_ascii(drawn: str) -> str:
    """A drawing without anything but ASCII."""
    return drawn.translate(_ASCII)


def _last_rows(names: Sequence[str], pres: Mapping[str, Iterable[str]]) -> dict[str, int]:
    """Sender -> row of the last that it feeds."""
    return {pre: row for row, name in enumerate(names) for pre in pres.get(name, ())}


def _needed(names: Sequence[str], last: Mapping[str, int]) -> int:
    """Lanes in use at once, at most."""
    busy: list[int] = []
    most = 0
    for row, name in enumerate(names):
        busy = [end for end in busy if end > row]
        if name in last:
            busy.append(last[name])
        most = max(most, len(busy))
    return most


def _arrows(at: Sequence[str | None], name: str, pres: tuple[str, ...], row: int, last: Mapping[str, int]) -> Strokes:
    """The lanes at a receiver's line: each of its senders' lanes turns into the arrow."""
    drawn: Strokes = []
    way = NOBODY  # right of a lane that turned: the link whose way to the arrow it is
    for sender in at:
        inside = way != NOBODY
        if sender is None:
            drawn.append(("─" if inside else " ", way))
        elif sender not in pres:
            drawn.append(("│", (sender, "")))
        else:
            way = (sender, name)
            if last[sender] > row:
                drawn.append(("┼" if inside else "├", way))
            else:
                drawn.append(("┴" if inside else "└", way))
        drawn.append(("─" if way != NOBODY else " ", way))
    drawn.append(("▶" if way != NOBODY else " ", way))
    return drawn


def _turn(at: Sequence[str | None], lane: int, name: str) -> Strokes:
    """The line under a sender: from its name to its lane."""
    own = (name, "")
    drawn: Strokes = []
    for i, sender in enumerate(at):
        other = ("│", (sender or "", ""))
        if i < lane:
            drawn += [(" ", NOBODY) if sender is None else other, (" ", NOBODY)]
        elif i == lane:
            drawn += [("┌", own), ("─", own)]
        else:
            drawn += [("─", own) if sender is None else other, ("─", own)]
    return [*drawn, ("─", own), ("┘", own)]
