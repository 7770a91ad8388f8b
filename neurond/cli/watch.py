"""The console of a run that is supervised here: `neurond run --watch`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from neurond.cli.top import speaks_utf8

if TYPE_CHECKING:
    from monitor.client import Client
    from monitor.console.app import Console
    from monitor.view import View
    from neurond.api import Work
    from neurond.runs import Run


class Watching:
    """A console over a run, opened with the first view and closed by the user or with the run.

    Args:
        closed: called when the user has closed it, with "interrupted" where that was with Ctrl-C.

    """

    def __init__(self, closed: Callable[[str | None], None]) -> None:
        self._closed = closed
        self._client: Client | None = None
        self._console: Console | None = None
        self._shown: asyncio.Task[str | None] | None = None
        self._ending = False
        self.status: dict[str, Any] = {}
        self.answers = True
        self.view: View

    @property
    def open(self) -> bool:
        """Whether the console has the terminal."""
        return self._shown is not None and not self._shown.done()

    def __call__(self, view: View) -> bool:
        """Show the view; false if the user has closed the console."""
        self.view = view
        if self._shown is None:
            from monitor.console.app import Console  # the processes start meanwhile

            ask = None if self._client is None else self._client.command
            self._console = Console(self, time.monotonic, ask, ascii_only=not speaks_utf8(), over=True)
            self._shown = asyncio.create_task(self._console.take_terminal())
            self._shown.add_done_callback(self._left)
        return self.open

    def say(self, line: str) -> None:
        """A line of words in the console."""
        if self._console is not None:
            self._console.say(line)

    async def over(self, work: Work, stop: asyncio.Event) -> Run:
        """The run, with the console over it; the terminal is given back whatever becomes of the run."""
        try:
            return await work(stop=stop, on_client=self._meet)
        finally:
            self._ending = True
            if self._shown is not None and self._console is not None:
                if not self._shown.done():
                    self._console.exit()
                await asyncio.wait([self._shown])

    def _meet(self, client: Client) -> None:
        self._client = client

    def _left(self, shown: asyncio.Task[str | None]) -> None:
        if not self._ending and not shown.cancelled() and shown.exception() is None:
            self._closed(shown.result())
