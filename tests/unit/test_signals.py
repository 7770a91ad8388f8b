"""Signals that stop a run, and what they do before and after it."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator

import pytest

from neurond.signals import noted, stopped_by

BOTH = [signal.SIGINT, signal.SIGHUP]


@pytest.fixture
def handled() -> Iterator[list[int]]:
    """Signals that the caller's own handlers got; the ones that were there come back."""
    seen: list[int] = []
    before = {number: signal.signal(number, lambda got, _: seen.append(got)) for number in BOTH}
    yield seen
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", BOTH)
async def test_a_signal_is_a_wish_to_stop(handled: list[int], number: signal.Signals) -> None:
    """While it lasts the signal sets the event alone; before and after, the caller's own handler hears of it."""
    stop = asyncio.Event()
    os.kill(os.getpid(), number)
    with stopped_by(number, stop):
        assert not stop.is_set()
        os.kill(os.getpid(), number)
        async with asyncio.timeout(30):
            await stop.wait()
    assert handled == [number]
    os.kill(os.getpid(), number)
    assert handled == [number, number]


def test_in_another_thread_nothing_changes(handled: list[int]) -> None:
    """Where signals cannot be had the caller's handler stays, and the work is done."""
    before = signal.getsignal(signal.SIGINT)
    found: list[object] = []

    async def work() -> None:
        with stopped_by(signal.SIGINT, asyncio.Event()):
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=lambda: asyncio.run(work()))
    thread.start()
    thread.join(30)
    assert found == [before]


def test_a_loop_without_events_notes_signals() -> None:
    """The first one is noted and nothing else; a hangup once more neither, but Ctrl-C then interrupts at once."""
    before = signal.getsignal(signal.SIGINT)
    with noted() as stopped:
        assert not stopped()
        signal.raise_signal(signal.SIGTERM)
        assert stopped()
        signal.raise_signal(signal.SIGHUP)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
