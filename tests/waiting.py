"""Waiting in tests: a condition is polled until it holds or the deadline has passed; nothing sleeps and hopes."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Iterator
from typing import Any

DEADLINE_S = 60.0  # of anything that is waited for; nothing is expected to take so long
PAUSE_S = 0.01


def until(condition: Callable[[], Any], what: str) -> Any:
    """Poll until the condition is truthy, and return it; fail when the deadline has passed."""
    for pause_s in _pauses(what):
        if found := condition():
            return found
        time.sleep(pause_s)
    raise AssertionError


async def comes(condition: Callable[[], Any], what: str) -> Any:
    """`until` for a running loop; the condition may be a coroutine function."""
    for pause_s in _pauses(what):
        found = condition()
        if found := await found if inspect.isawaitable(found) else found:
            return found
        await asyncio.sleep(pause_s)
    raise AssertionError


def _pauses(what: str) -> Iterator[float]:
    """A pause after each look at the condition; AssertionError when there is no time for another."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        yield PAUSE_S
    raise AssertionError(f"not within {DEADLINE_S:g} s: {what}")
