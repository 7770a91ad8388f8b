"""What tables of processes have in common: their columns, how figures are written, and what has no room. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from monitor.figures import compact, number, percent

X = TypeVar("X")

STATES = {
    "joined": "good",
    "running": "good",
    "resumed": "good",
    "finished": "good",
    "ended": "good",
    "evaluated": "accent",
    "set": "warn",
    "paused": "warn",
    "left": "warn",
    "journal": "warn",
    "recording ended": "warn",
    "silent": "bad",
    "no word from the broker": "bad",
    "no word from the player": "bad",
    "died": "bad",
    "lost": "bad",
    "failed": "bad",
    "diverged": "bad",
}
"""State of a process or a run, or kind of an event -> its role: how that is; the others are dim."""


class Column(NamedTuple):
    """A column: figures that grow must not move the others, so its width is fixed."""

    head: str
    width: int
    rank: int  # the highest is left out first where there is no room; 0 never is
    left: bool = False


class Figure(NamedTuple):
    """A figure of a process: what it is called, how wide it may become, and how it is written."""

    head: str
    width: int
    show: Callable[[float | None], str]

    def column(self, rank: int) -> Column:
        """A column of it."""
        return Column(self.head, self.width, rank)


PID = Figure("pid", 7, lambda pid: "-" if pid is None else f"{pid:.0f}")
STIMULI = Figure("stim/s", 6, compact)
SPIKES = Figure("spikes", 6, lambda share: percent(share, 0))
STALENESS = Figure("stale", 5, lambda mean: number(mean, 1))
QUEUE = Figure("queue", 6, compact)
NOTIFICATIONS = Figure("notif.", 6, compact)
UPDATES = Figure("updates", 7, compact)
CPU = Figure("cpu", 5, lambda share: percent(share, 0))
MEMORY = Figure("MiB", 5, compact)


def fitting(items: Sequence[X], room: int, rank: Callable[[X], int], width: Callable[[Sequence[X]], int]) -> list[X]:
    """The items that there is room for beside each other: those of the highest ranks are left out first, 0 never.

    Args:
        items: in the order in which they are shown.
        room: characters.
        rank: of an item.
        width: characters that several of them take.

    """
    shown = list(items)
    while width(shown) > room:
        last = max(shown, key=rank)
        if not rank(last):
            break
        shown.remove(last)
    return shown
