"""What monitors hear, and what a monitor that comes later is told first (pure).

Counters begin anew with each incarnation: of those that are over the last report is kept, and of those that followed
the first, which says what was taken up: who comes late counts as who was there all the time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from topology import feed, wire
from topology.lives import Lives
from topology.wire import Event, Telemetry

EVENTS_KEPT = 4096
"""Events kept for new subscribers; beyond that the oldest is forgotten."""


class Fanout:
    """The last telemetry of each incarnation of each process and the events so far, as frames of the feed.

    Args:
        origin: tells this broker's events from those of the one before it.

    """

    def __init__(self, origin: int) -> None:
        self._origin = origin
        self._events: deque[list[bytes]] = deque(maxlen=EVENTS_KEPT)
        self._count = 0
        self._last: dict[str, bytes] = {}  # process -> its telemetry, packed
        self._lives: dict[str, Lives] = {}

    def telemetry(self, message: Telemetry, packed: bytes) -> list[bytes]:
        """Keep the telemetry of a process; the frames to send."""
        lives = self._lives.setdefault(message.name, Lives())
        if lives.hear(message) and lives.is_latest(message):  # a recording repeats what is over
            self._last[message.name] = packed
        lives.leave_out()
        return feed.telemetry_frames(message.name, packed)

    def event(self, event: Event) -> list[bytes]:
        """Number and keep an event; the frames to send."""
        self._count += 1
        frames = feed.event_frames(event, feed.Mark(self._origin, self._count))
        self._events.append(frames)
        return frames

    def snapshot(self, topic: bytes) -> Iterator[list[bytes]]:
        """Everything kept that a subscription to `topic` covers, events first."""
        if feed.EVENTS.startswith(topic):
            yield from self._events
        for name, packed in self._last.items():
            if name.encode().startswith(topic):
                lives = [*self._lives[name]]
                over = [life.last for life in lives[:-1]]
                begun = [life.first for life in lives[1:]]  # told last: they are not the present
                for one in (*map(wire.pack, over), packed, *map(wire.pack, begun)):
                    yield feed.telemetry_frames(name, one)
