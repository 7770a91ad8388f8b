"""A recorded run as its broker would tell it again: what is to be sent when, and what is answered. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from topology import wire
from topology.fanout import Fanout
from topology.plan import BROKER

if TYPE_CHECKING:
    from monitor.recording import Message


class Replay:
    """One recording, from its beginning to its end.

    Args:
        records: each message and when it came, as a `Recording` has them.
        speed: how many seconds of the run go by in one of ours.
        origin: a number that no other broker has.
        pid: of the process that plays it.

    """

    def __init__(self, records: Iterable[tuple[float, Message]], speed: float, origin: int, pid: int) -> None:
        self._records = iter(records)
        self._speed, self._pid = speed, pid
        self._fanout = Fanout(origin)
        self._status: dict[str, Any] = {}
        self._last: dict[str, wire.Telemetry] = {}
        self.over = False  # whether the run has ended; a recording may be shorter than that
        self.due: float | None = 0.0  # seconds of the run at which the next record comes; None when there is none
        self._next: Message | None = None
        self._advance()
        while isinstance(self._next, wire.Reply):  # so that the first question has its answer
            self._take()

    def play(self, t_s: float) -> Iterator[list[bytes]]:
        """The frames of the feed up to a time of the run, each to be sent before the next is asked for."""
        while self.due is not None and self.due <= t_s:
            frames = self._take()
            if frames:
                yield frames

    def subscribed(self, topic: bytes) -> list[list[bytes]]:
        """What a new subscriber is told of what it has missed."""
        return list(self._fanout.snapshot(topic))

    def answer(self, command: wire.Command) -> wire.Reply:
        """What the broker said at this time of the run. Nothing in a recording can be changed."""
        if command.verb != "status":
            return wire.Reply(command.id, False, error="this is a recording, which is only played")
        if not self._status:
            return wire.Reply(command.id, False, error="this recording does not say how the run stood")
        if not command.target:
            replay = {"speed": self._speed, "pid": self._pid, "ended": self.due is None}
            return wire.Reply(command.id, True, {**self._status, "replay": replay})
        told = self._last.get(command.target)
        if told is None:
            return wire.Reply(command.id, False, error=f"nothing is known of {command.target!r} yet")
        return wire.Reply(command.id, True, {command.target: {"telemetry": asdict(told)}})

    def _take(self) -> list[bytes]:
        message = self._next
        self._advance()
        match message:
            case wire.Telemetry():
                self._last[message.name] = message
                return self._fanout.telemetry(message, wire.pack(message))
            case wire.Event():
                if (message.name, message.kind) == (BROKER, "ended"):
                    self.over = True
                    # What was answered before is the last that the recording has, and would be of a run that goes on.
                    self._status = {**self._status, "state": "ended"} if self._status else {}
                return self._fanout.event(message)
            case wire.Reply():
                self._status = message.data
        return []

    def _advance(self) -> None:
        self.due, self._next = next(self._records, (None, None))
