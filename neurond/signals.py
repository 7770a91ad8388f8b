"""Signals that stop a run in good order: Ctrl-C in a script, and a terminal that is closed under it."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from types import FrameType


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


@contextmanager
def noted() -> Iterator[Callable[[], bool]]:
    """For what runs without an event loop and looks around between its steps: whether it has been told to stop.

    Ctrl-C, SIGTERM and a terminal that is closed are noted the first time. Once more, the former two raise
    KeyboardInterrupt wherever it is. Only the main thread can have signals; in another one nothing is ever noted.
    """
    first: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        if first and number in (signal.SIGINT, signal.SIGTERM):
            raise KeyboardInterrupt
        first.append(number)

    main = threading.current_thread() is threading.main_thread()
    numbers = (signal.SIGINT, signal.SIGTERM, *hangup()) if main else ()
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield lambda: bool(first)
    finally:
        for number, handler in before.items():
            if handler is not None:  # it was not set from Python
                signal.signal(number, handler)


def hangup() -> tuple[signal.Signals, ...]:
    """What a terminal tells that is closed; nothing on Windows, and where ``nohup`` has said not to listen."""
    number: signal.Signals | None = getattr(signal, "SIGHUP", None)
    return () if number is None or signal.getsignal(number) is signal.SIG_IGN else (number,)
