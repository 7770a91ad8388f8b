"""What every process of a run does alike: its event loop, its tether to whoever started it, its words for the log."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from topology import exits


def run(main: Coroutine[Any, Any, int]) -> int:
    """Run a process to its end, on uvloop where there is one; its exit status."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(main)


def tether(name: str, leave: Callable[[int], None]) -> None:
    """Call `leave` with an exit status when standard input ends, for then whoever started this process is gone."""
    loop, stdin = asyncio.get_running_loop(), sys.stdin.fileno()

    def look() -> None:
        with contextlib.suppress(OSError):
            if os.read(stdin, 4096):
                return
        loop.remove_reader(stdin)
        leave(exits.FAILED)  # before a word, for whoever read the log may be gone too
        say(f"{name}: whoever started this process is gone; leaving")

    loop.add_reader(stdin, look)


def say(line: str) -> None:
    """One line for the log. Nobody reading it (the other end of a pipe has died) is no reason to stop."""
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # not built for every platform; the loop of the standard library does the same
        return None
    return uvloop.new_event_loop
