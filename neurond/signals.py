"""Signals that stop a run in good order: Ctrl-C in a script, and a terminal that is closed under it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager


@contextmanager
def heard(actions: Mapping[signal.Signals, Callable[[], object]]) -> Iterator[None]:
    """Let signals do this and nothing else; afterwards they do again what they did before.

    Only the main thread can have signals; in another one nothing changes.
    """
    before = {number: signal.getsignal(number) for number in actions}
    loop = asyncio.get_running_loop()
    try:
        for number, act in actions.items():
            loop.add_signal_handler(number, act)
    except (RuntimeError, ValueError):  # not the main thread
        yield
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            if handler is not None:  # it was not set from Python
                signal.signal(number, handler)


def stopped_by(number: signal.Signals, stop: asyncio.Event) -> AbstractContextManager[None]:
    """Let a signal set `stop`; see `heard`."""
    return heard({number: stop.set})


def hangup() -> tuple[signal.Signals, ...]:
    """What a terminal tells that is closed; nothing on Windows, and where ``nohup`` has said not to listen."""
    number: signal.Signals | None = getattr(signal, "SIGHUP", None)
    return () if number is None or signal.getsignal(number) is signal.SIG_IGN else (number,)
