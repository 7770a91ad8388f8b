"""Signals that stop a run in good order: Ctrl-C in a script, and a terminal that is closed under it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stopped_by(number: signal.Signals, stop: asyncio.Event) -> Iterator[None]:
    """Let a signal set `stop` and do nothing else; afterwards it does again what it did before.

    Only the main thread can have signals; in another one nothing changes.
    """
    before = signal.getsignal(number)
    loop = asyncio.get_running_loop()
    try:
        loop.add_signal_handler(number, stop.set)
    except (RuntimeError, ValueError):  # not the main thread
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(number)
        if before is not None:  # it was not set from Python
            signal.signal(number, before)
