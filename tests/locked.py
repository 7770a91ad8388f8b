"""The right to bind an endpoint, for the time of a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from topology.address import bind_lock


@contextmanager
def locked(endpoint: str) -> Iterator[None]:
    """The lock of an endpoint, for as long as the context lasts."""
    lock = bind_lock(endpoint)
    try:
        yield
    finally:
        lock.release()
