"""What has come to a process of a simulated network and waits to be handled."""

from __future__ import annotations

from collections import deque

from neurond.machine import Action, Frame
from topology import wire


class Inbox:
    """A process' frames that have come in, taken in the order in which the real shell takes them.

    While it is `working`, all that it wants done is in `pending`, in order.
    """

    __slots__ = ("forward", "pending", "urgent", "working")

    def __init__(self) -> None:
        self.urgent: deque[bytes] = deque()
        self.forward: deque[bytes] = deque()
        self.working = False
        self.pending: list[Action] = []

    def __len__(self) -> int:
        """Frames that wait."""
        return len(self.urgent) + len(self.forward)

    def put(self, frame: bytes) -> None:
        """A frame has come."""
        (self.forward if wire.kind_of(frame) == wire.SPIKES else self.urgent).append(frame)

    def take(self) -> Frame | None:
        """The next to be handled; None if none waits."""
        if self.urgent:
            return Frame(self.urgent.popleft())
        if self.forward:
            frame = self.forward.popleft()
            return Frame(frame, more=bool(self.forward))
        return None
