"""What ends a process whose event loop does not come round any more: a hung process is started anew, if it ends.

The broker finds it by its missing beats, and the supervisor kills it. Where there is no supervisor (containers, each
process by hand) it must end itself, and say where it hung.

A thread counts how often it has looked since the loop last came round. It does not read a clock: a process that was
stopped for an hour (Ctrl-Z, a paused container) is not hung when it goes on, and `faulthandler.dump_traceback_later`
would end it there and then. The price: code that never lets go of the interpreter's lock is not found, and only the
broker's beat tells of that.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from topology import exits
from topology.process import say

LOOK_S = 0.5
LOOKS = 20  # without a sign of life: 10 s


class Watchdog:
    """A context in which the process is ended, with a traceback of every thread in its log, once its loop hangs.

    To be entered from the loop. Nothing is watched within `elsewhere`.

    Args:
        name: of the process, for its last words.
        look_s: between two looks.
        looks: in a row that find no sign of life, and the process is ended.

    """

    def __init__(self, name: str, look_s: float = LOOK_S, looks: int = LOOKS) -> None:
        self._name, self._look_s, self._looks = name, look_s, looks
        self._rounds = 0  # of the loop, so far; 0 while it is elsewhere
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> Self:
        """Begin to look."""
        self.comes_round()
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        """Look no more."""
        self._over.set()
        self._thread.join()

    def comes_round(self) -> None:
        """The loop is alive; to be called from it more than once in `looks`."""
        self._rounds += 1

    @contextmanager
    def elsewhere(self) -> Iterator[None]:
        """The loop is rightly busy for as long as it takes: reading data, writing a checkpoint."""
        before, self._rounds = self._rounds, 0
        try:
            yield
        finally:
            self._rounds = before + 1

    def _watch(self) -> None:
        seen = silent = 0
        while not self._over.wait(self._look_s):
            rounds = self._rounds
            silent = silent + 1 if rounds and rounds == seen else 0
            seen = rounds
            if silent == self._looks:
                say(f"{self._name}: it hangs: its loop has not come round for {self._looks * self._look_s:g} s")
                with contextlib.suppress(OSError, RuntimeError, ValueError):  # no stream to write it to
                    faulthandler.dump_traceback()
                os._exit(exits.FAILED)
