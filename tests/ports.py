"""Ports of this machine that nobody has."""

from __future__ import annotations

import random
import socket
from collections.abc import Sequence
from contextlib import ExitStack

TRIES = 1000
FIRST, LAST = 20_000, 32_000  # below those that the system gives out by itself: nobody gets one of them meanwhile


def free_ports(count: int = 3, hosts: Sequence[str] = ("127.0.0.1",)) -> int:
    """The first of so many free ports in a row, free at each of these addresses; by default those of a broker.

    By chance, so that suites that run beside one another do not reach for the same.
    """
    for _ in range(TRIES):
        first = random.randrange(FIRST, LAST)
        with ExitStack() as stack:
            try:
                for port in range(first, first + count):
                    for host in hosts:
                        stack.enter_context(socket.create_server((host, port)))
            except OSError:
                continue
            return first
    raise AssertionError("no free ports")
