"""How much memory bytes from outside can make us take, also when they are refused."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest

from topology.wire import WireError


def peak_memory(attempt: Callable[[], object]) -> int:
    """Bytes that were allocated at once at most."""
    tracemalloc.start()
    try:
        attempt()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def refuse(read: Callable[[bytes], object], data: bytes) -> Callable[[], None]:
    """An attempt to read bytes that must be refused."""

    def attempt() -> None:
        with pytest.raises(WireError):
            read(data)

    return attempt
