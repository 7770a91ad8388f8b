"""What the broker's XPUB sends: ``[topic, message]`` for telemetry, ``[topic, message, mark]`` for events.

The topic of telemetry is the process' name, that of events is `EVENTS`, so one can subscribe to one process, to
events only, or to everything (""). A new subscriber is sent the last telemetry of each process and the events
so far; everybody gets those again, so a `Mark` says which events are known (`Heard`). An event that happens just
then can overtake the earlier ones: ZeroMQ lets a subscription count before it lets the broker know of it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from topology import wire

EVENTS = b"@event"
"""Topic of events; no process can have this name."""

_MARK = struct.Struct("<QQ")


@dataclass(frozen=True, slots=True)
class Mark:
    """The broker that numbered an event (a random number a start), and the number, from 1."""

    origin: int
    number: int


@dataclass(frozen=True, slots=True)
class Item:
    """One thing heard from the feed; `mark` is None for telemetry."""

    message: wire.Telemetry | wire.Event
    mark: Mark | None


class Heard:
    """Which events of the feed a subscriber has had, in whatever order they came.

    Args:
        most: numbers kept beyond a gap; then the gap is taken for lost.

    """

    def __init__(self, most: int = 4096) -> None:
        self._most = most
        self._origin: int | None = None
        self._all_to = 0  # every number up to here has come, or is lost
        self._beyond: set[int] = set()

    def is_new(self, mark: Mark) -> bool:
        """Note an event; false if it has come before. A new origin is a new broker, with its own numbers."""
        if mark.origin != self._origin:
            self._origin, self._all_to = mark.origin, 0
            self._beyond.clear()
        if mark.number <= self._all_to or mark.number in self._beyond:
            return False
        self._beyond.add(mark.number)
        if len(self._beyond) > self._most:
            self._all_to = min(self._beyond) - 1
        while self._all_to + 1 in self._beyond:
            self._all_to += 1
            self._beyond.remove(self._all_to)
        return True


def telemetry_frames(name: str, packed: bytes) -> list[bytes]:
    """Frames of the telemetry of a process, as it packed it."""
    return [name.encode(), packed]


def event_frames(event: wire.Event, mark: Mark) -> list[bytes]:
    """Frames of an event."""
    return [EVENTS, wire.pack(event), _MARK.pack(mark.origin, mark.number)]


def parse(frames: Sequence[bytes]) -> Item:
    """What some frames say; WireError if they are not of this feed."""
    if len(frames) not in (2, 3):
        raise wire.WireError(f"{len(frames)} frames are no item of the feed")
    message = wire.unpack(frames[1])
    if isinstance(message, wire.Telemetry) and len(frames) == 2:
        return Item(message, None)
    if isinstance(message, wire.Event) and len(frames) == 3 and len(frames[2]) == _MARK.size:
        return Item(message, Mark(*_MARK.unpack(frames[2])))
    raise wire.WireError(f"{type(message).__name__} in {len(frames)} frames is no item of the feed")
