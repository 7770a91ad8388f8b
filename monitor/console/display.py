"""What is on the console, and how the user wants to see it: the view, its filter and order, a frozen moment. Pure."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from monitor.console.head import progress, quality, tabs
from monitor.console.keys import hints
from monitor.console.page import Glyphs, Look, Page, Spans, cut
from monitor.console.views import VIEWS
from monitor.view import View

NAMES = tuple(VIEWS)
SAID_S = 8.0  # that a line of words stays


class Watched(Protocol):
    """A run that is followed: `monitor.follow.Follower`, or whoever holds a view."""

    view: View
    status: dict[str, Any]  # the broker's last answer
    answers: bool  # it has answered lately


class Display:
    """The state of a console, and what it draws.

    Args:
        watched: the run; read at each picture.
        clock: seconds, monotonic, the same as that of the view, which in a recording goes faster, or stands still.
        wall: seconds, monotonic, of whoever looks.
        glyphs: what the screen can show.
        reads_only: no key commands the run.

    """

    def __init__(
        self,
        watched: Watched,
        clock: Callable[[], float],
        wall: Callable[[], float],
        glyphs: Glyphs,
        *,
        reads_only: bool,
    ) -> None:
        self.glyphs = glyphs
        self.current = 0  # index of the view that is shown
        self._watched, self._clock, self._wall, self._reads_only = watched, clock, wall, reads_only
        self._looks = dict.fromkeys(NAMES, Look())
        self._frozen: tuple[View, float] | None = None
        self.typing = False  # the filter is on the screen already
        self._said: tuple[str, str, float] | None = None  # words, role, until when

    @property
    def name(self) -> str:
        """The view that is shown."""
        return NAMES[self.current]

    @property
    def look(self) -> Look:
        """How the user wants to see it."""
        return self._looks[self.name]

    @property
    def view(self) -> View:
        """The run as it is shown: as it is, or as it was when it was frozen."""
        return self._frozen[0] if self._frozen is not None else self._watched.view

    @property
    def now(self) -> float:
        """The time of what is shown, in seconds."""
        return self._frozen[1] if self._frozen is not None else self._clock()

    def filter(self, words: str) -> None:
        """Leave rows that hold these words."""
        self._looks[self.name] = replace(self.look, filter=words)

    def sort(self, columns: int) -> None:
        """Sort by the next of so many columns; behind the last, in the order of the plan again."""
        self._looks[self.name] = self.look.sorted_next(columns)

    def freeze(self) -> None:
        """Hold what is shown, or let it go on."""
        self._frozen = None if self._frozen else (copy.deepcopy(self._watched.view), self._clock())

    def say(self, words: str, role: str) -> None:
        """Show a line of words for a while."""
        self._said = (words, role, self._wall() + SAID_S)

    def hush(self) -> None:
        """Show the keys again."""
        self._said = None

    def page(self, width: int, height: int) -> Page:
        """The view, on a screen of so many characters."""
        page = VIEWS[self.name](self.view, self.now, width, height, self.glyphs, self.look)
        if not page.rows and self.look.filter:
            page = replace(page, rows=[[(f" nothing holds '{self.look.filter}'", "dim")]], keys=[""])
        return page

    def head(self, width: int) -> list[Spans]:
        """The lines above the view."""
        flags = ["frozen"] if self._frozen else []
        if (replay := self._watched.status.get("replay")) is not None:
            flags.append(f"replay {replay['speed']:g}x")
        elif self._reads_only:
            flags.append("read-only")
        return [
            progress(self.view, self._word(), width, self.glyphs),
            quality(self.view, width, self.glyphs),
            tabs(NAMES, self.current, flags, width, self.glyphs),
        ]

    def foot(self, width: int) -> Spans:
        """The line below it: what was said last, for a while; else the filter and the keys."""
        if self._said is not None and self._wall() < self._said[2]:
            words, role, _ = self._said
            return [(f" {cut(words, width - 2, self.glyphs)}", role)]
        reads_only = self._reads_only or "replay" in self._watched.status
        return hints("" if self.typing else self.look.filter, width, self.glyphs, reads_only=reads_only)

    def _word(self) -> str:
        """How the run stands now."""
        watched = self._watched
        replay = watched.status.get("replay")
        if replay is not None and (watched.view.ended or replay.get("ended")):
            return "recording ended"
        if not watched.answers and not watched.view.ended:
            return f"no word from the {'broker' if replay is None else 'player'}"
        return watched.view.standing(watched.status)
