"""What every process of a run does alike: its event loop, its tether to whoever started it, its words for the log.

The tether is standard input, a pipe whose other end only whoever started the process holds: when that one is gone,
however it went, it ends. A process that is stopped (SIGSTOP) would not find out, so on Linux the kernel is asked to
continue it then. Not to kill it, for what leaves by itself takes its sockets and locks with it; what hangs instead of
leaving is the watchdog's (`topology.watchdog`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from topology import exits

MOST_FILES = 65_536
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def run(main: Coroutine[Any, Any, int]) -> int:
    """Run a process to its end, on uvloop where there is one; its exit status."""
    _open_many_files()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(main)


def _open_many_files() -> None:
    """As many files as it may open: strangers at the doors hold some for seconds, and no save must fail for that."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if most == resource.RLIM_INFINITY else min(most, MOST_FILES)
    with contextlib.suppress(ValueError, OSError):  # then with what there is
        if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def take_turns() -> None:
    """Let a frame that wakes this process wait until whoever computes has done so (SCHED_BATCH, where it exists).

    Processes of a network that cut in at every frame cool each other's caches; and what has waited goes as one
    volley. Where processors are short this saves a twentieth of their time. A policy that somebody chose stands.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # a container may forbid it
            if os.sched_getscheduler(0) == os.SCHED_OTHER:
                os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def tether(name: str, leave: Callable[[int], None]) -> None:
    """Call `leave` with an exit status when standard input ends, for then whoever started this process is gone.

    That is so as well if it was gone before: the first look at standard input tells.
    """
    _continued_by_death()
    loop, stdin = asyncio.get_running_loop(), sys.stdin.fileno()

    def look() -> None:
        with contextlib.suppress(OSError):
            if os.read(stdin, 4096):
                return
        loop.remove_reader(stdin)
        leave(exits.FAILED)  # before a word, for whoever read the log may be gone too
        say(f"{name}: whoever started this process is gone; leaving")

    loop.add_reader(stdin, look)


def _continued_by_death() -> None:
    """Let Linux continue this process, if it is stopped, when whoever started it dies.

    To the kernel that is the *thread* that started it: for the supervisor the one whose event loop outlives all
    that it started.
    """
    if sys.platform == "linux":
        import ctypes  # late: a process that nobody holds needs none of it

        with contextlib.suppress(OSError, AttributeError):  # a C library without it: the tether alone
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGCONT, 0, 0, 0)


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
