"""Keeps the journal of a machine while it works: looks at regular intervals, and writes in a thread of its own.

The look is on the loop's thread, between two events, so what is written is a state that the machine was in. Learning
itself knows nothing of it. One write is under way at a time: a disk that is slower than the interval skips intervals,
which are counted, and the next write holds what they would have held.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from neurond.changes import Shadow
from neurond.journal import Journal
from neurond.machine import Machine
from topology import wire

TIMES = 20
"""The interval is at least this many times what a look costs, for a group of very many weights is to learn too."""


class Scribe:
    """The journal of a machine, from the first look until one of `close`, `abandon` and `discard`.

    Where the disk refuses, that is told once, and each interval tries again; so is told when it works again.

    Args:
        machine: whose state is to be kept.
        journal: where; the scribe's own from now on.
        interval_s: between two looks.
        tell: called with events for the broker.

    """

    def __init__(
        self, machine: Machine, journal: Journal, interval_s: float, tell: Callable[[wire.Event], None]
    ) -> None:
        self.counters = {"journal_bytes": 0, "journal_skipped": 0, "journal_failed": 0}
        self._machine = machine
        self._journal = journal
        self._interval_s = interval_s
        self._tell = tell
        self._shadow = Shadow()
        self._seen = -1  # the machine's progress at the last look
        self._failing = False
        self._thread = ThreadPoolExecutor(1, "journal")
        self._under_way: Future[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._turn()

    def close(self) -> None:
        """Write what has changed since the last look, and stop."""
        if self._stopped():
            return
        try:
            self._journal.write(self._shadow.look(self._machine.durable()), self._shadow)
        except OSError as error:
            self._failed(error)
        self._journal.close()

    def abandon(self) -> None:
        """Stop, and leave the journal at the last write: the machine is in the midst of something."""
        if not self._stopped():
            self._journal.close()

    def discard(self) -> None:
        """Stop, and remove the journal: nobody will need it."""
        if not self._stopped():
            self._journal.remove()

    def _turn(self) -> None:
        began = time.thread_time()
        self._look()
        pause_s = max(self._interval_s, TIMES * (time.thread_time() - began))
        self._timer = self._loop.call_later(pause_s, self._turn)

    def _look(self) -> None:
        if self._under_way is not None:
            self.counters["journal_skipped"] += 1
            return
        if self._machine.progress == self._seen and not self._failing:
            return  # what else may have changed makes no difference to whoever goes on from it
        self._seen = self._machine.progress
        changes = self._shadow.look(self._machine.durable())
        if not changes and not self._failing:
            return
        writing = self._under_way = self._thread.submit(self._journal.write, changes, self._shadow)
        writing.add_done_callback(lambda future: self._loop.call_soon_threadsafe(self._written, future))

    def _written(self, future: Future[None]) -> None:
        if future is not self._under_way:
            return  # stopped meanwhile
        self._under_way = None
        try:
            future.result()
        except OSError as error:
            self._failed(error)
            return
        self.counters["journal_bytes"] = self._journal.bytes
        if self._failing:
            self._failing = False
            self._say(True, "the journal goes on")

    def _failed(self, error: OSError) -> None:
        self.counters["journal_failed"] += 1
        if not self._failing:
            self._failing = True
            self._say(False, f"no journal is kept: {error.strerror or error}")

    def _say(self, ok: bool, why: str) -> None:
        self._tell(wire.Event(self._machine.name, "journal", {"ok": ok, "why": why}))

    def _stopped(self) -> bool:
        """Stop looking and wait for the write under way; whether that had been done before."""
        if self._timer is None:
            return True
        self._timer.cancel()
        self._timer = None
        self._thread.shutdown()
        if self._under_way is not None:
            self._written(self._under_way)
        return False
