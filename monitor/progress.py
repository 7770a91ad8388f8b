"""A run shown while it goes on: a live display on a terminal, plain lines elsewhere.

Both take the view whenever it has changed, as often as the caller likes, and decide themselves when to draw:
a display must never cost what the network needs (about 2 % of a core at 4 Hz).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, Self

from rich.console import Console
from rich.live import Live

from monitor.dense import AgainstDense, plain_against_dense
from monitor.render import plain, render
from monitor.view import View

LIVE_EVERY_S = 0.25
PLAIN_EVERY_S = 2.0


class Progress(Protocol):
    """What shows a run: a context that is called with the view, and at the end with the summary."""

    def __enter__(self) -> Self:
        """Take the terminal."""
        ...

    def __exit__(self, *raised: object) -> None:
        """Give the terminal back, whatever happened."""
        ...

    def __call__(self, view: View) -> None:
        """The view has changed; drawn if it is time."""
        ...

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Show the summary, after the context has ended."""
        ...


class LiveProgress:
    """The live display of `neurond run`: redrawn in place, at most every `LIVE_EVERY_S`.

    Args:
        console: writes to stderr, so that stdout stays data.
        clock: seconds, monotonic.

    """

    def __init__(self, console: Console, clock: Callable[[], float]) -> None:
        self._console = console
        self._clock = clock
        self._live = Live(console=console, auto_refresh=False, transient=False)
        self._drawn: float | None = None
        self._view: View | None = None

    def __enter__(self) -> Self:
        """Take the terminal."""
        self._live.start()
        return self

    def __exit__(self, *raised: object) -> None:
        """Draw the last state and give the terminal back."""
        if self._view is not None:
            self._live.update(render(self._view), refresh=True)
        self._live.stop()

    def __call__(self, view: View) -> None:
        """Draw if the last picture is old enough."""
        self._view = view
        now = self._clock()
        if self._drawn is None or now - self._drawn >= LIVE_EVERY_S:
            self._drawn = now
            self._live.update(render(view), refresh=True)

    def finish(self, summary: Mapping[str, Any]) -> None:
        """The table against the dense equivalent."""
        self._console.print(AgainstDense(summary))


class PlainProgress:
    """A line of words every `PLAIN_EVERY_S`, and each note as it comes: for logs, pipes, continuous integration.

    Args:
        write: takes one line without its end.
        clock: seconds, monotonic.

    """

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._write = write
        self._clock = clock
        self._written: float | None = None
        self._last = ""
        self._noted = 0
        self._view: View | None = None

    def __enter__(self) -> Self:
        """Nothing to take."""
        return self

    def __exit__(self, *raised: object) -> None:
        """Write the last state."""
        if self._view is not None:
            self._note(self._view)
            self._say(plain(self._view))

    def __call__(self, view: View) -> None:
        """Write a line if the last one is old enough."""
        self._view = view
        self._note(view)
        now = self._clock()
        if self._written is None:
            self._written = now  # the first line would only say that nothing has happened yet
        elif now - self._written >= PLAIN_EVERY_S:
            self._written = now
            self._say(plain(view))

    def _note(self, view: View) -> None:
        for note in view.notes[self._noted :]:
            self._write(note)
        self._noted = len(view.notes)

    def _say(self, line: str) -> None:
        if line != self._last:
            self._write(line)
            self._last = line

    def finish(self, summary: Mapping[str, Any]) -> None:
        """The comparison with the dense equivalent, in lines."""
        for line in plain_against_dense(summary):
            self._write(line)


class Silence:
    """Shows nothing: `--quiet`. Only that a save has failed is said, once, at the end.

    Args:
        write: takes one line without its end.

    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._view: View | None = None

    def __enter__(self) -> Self:
        """Nothing to take."""
        return self

    def __exit__(self, *raised: object) -> None:
        """Say what was not saved."""
        if self._view is not None and self._view.unsaved:
            self._write(self._view.unsaved)

    def __call__(self, view: View) -> None:
        """Nothing to draw."""
        self._view = view

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Nothing to say."""


def progress(console: Console, clock: Callable[[], float], *, quiet: bool = False) -> Progress:
    """The display that suits the console: live on a terminal, plain lines elsewhere, hardly any when `quiet`."""

    def write(line: str) -> None:
        console.print(line, soft_wrap=True, markup=False, highlight=False)

    if quiet:
        return Silence(write)
    if console.is_terminal and not console.is_dumb_terminal:
        return LiveProgress(console, clock)
    return PlainProgress(write, clock)
