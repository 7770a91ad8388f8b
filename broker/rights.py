"""Which key may say what to the broker (pure)."""

from __future__ import annotations

from collections import OrderedDict

from topology import wire
from topology.plan import MONITOR

RATE, BURST = 50.0, 100.0
"""Registrations and commands that one peer may ask for, a second and at once: each may cost an answer with a plan."""
REMEMBERED = 1024
"""Peers whose rate is known at most; the one that has been silent for longest is forgotten first."""


def may_say(owner: str, message: wire.ControlMessage, held: str | None) -> bool:
    """Whether the holder of a key may send a message; clients command, processes speak for themselves.

    Args:
        owner: whose key it is.
        message: what came over the connection that the key proved.
        held: the process that is registered on that connection, if one is.

    """
    match message:
        case wire.Hello():
            return message.name == owner
        case wire.Command():
            return owner == MONITOR or message.verb == "status"  # a container asks whether its process is alive
        case _:
            return held is None or held == owner


class Rates:
    """How often each peer asks, so that one that floods holds up nobody: a bucket of `BURST` that fills at `RATE`."""

    def __init__(self) -> None:
        self._left: OrderedDict[object, tuple[float, float]] = OrderedDict()  # peer -> (asks left, when that was, s)

    def allow(self, peer: object, now: float) -> bool:
        """Whether `peer` may ask once more at `now` (s)."""
        left, then = self._left.pop(peer, (BURST, now))
        left = min(BURST, left + RATE * (now - then))
        allowed = left >= 1.0
        self._left[peer] = (left - allowed, now)
        if len(self._left) > REMEMBERED:
            self._left.popitem(last=False)
        return allowed
