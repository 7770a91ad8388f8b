"""What the broker's XPUB sends: ``[topic, message]`` for telemetry, ``[topic, message, mark]`` for events.

The topic of telemetry is the process' name, that of events is `EVENTS`, so one can subscribe to one process, to
events only, or to everything (""). A new subscriber is first sent the last telemetry of each process and the
events so far; everybody gets those again, so a `Mark` says which events are known.
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
