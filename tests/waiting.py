"""Waiting in tests: a condition is polled until it holds or the deadline has passed; nothing sleeps and hopes."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any

import psutil

DEADLINE_S = 30.0  # of anything that is waited for; nothing is expected to take so long
PAUSE_S = 0.01


def until(condition: Callable[[], Any], what: str, within_s: float = DEADLINE_S) -> Any:
    """Poll until the condition is truthy, and return it; fail when the deadline has passed."""
    deadline = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        time.sleep(PAUSE_S)
    return found


async def comes(condition: Callable[[], Any], what: str) -> Any:
    """`until` in a running loop; the condition may be a coroutine function."""
    deadline = time.monotonic() + DEADLINE_S
    while not (found := await _value(condition())):
        assert time.monotonic() < deadline, f"not within {DEADLINE_S:g} s: {what}"
        await asyncio.sleep(PAUSE_S)
    return found


async def _value(found: Any) -> Any:
    return await found if inspect.isawaitable(found) else found


def gone(process: psutil.Process) -> bool:
    """A process has ended, though perhaps nobody has asked how."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
