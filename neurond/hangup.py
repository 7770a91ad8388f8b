"""SIGHUP: what a run makes of a terminal that is closed under it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stopped_by_hangup(stop: asyncio.Event) -> Iterator[None]:
    """A terminal that is closed stops the run in good order, unless it is to live on (nohup) or the caller cares."""
    hangup = getattr(signal, "SIGHUP", None)  # not on Windows
    if hangup is None or signal.getsignal(hangup) is not signal.SIG_DFL:
        yield
        return
    loop = asyncio.get_running_loop()
    try:
        loop.add_signal_handler(hangup, stop.set)
    except (NotImplementedError, RuntimeError, ValueError):  # not the main thread
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(hangup)
