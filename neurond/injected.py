"""Faults that are injected on the way to each peer: latency and loss, as a bad network has them (pure).

Frames keep their order, and are numbered before they are lost: what is missing is found and presented again as if the
network had lost it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from math import inf

from neurond.settings import Setting

MOST_S = 60.0
"""The longest latency."""
MOST_WAITING = 4096
"""Frames that wait for their time, for each peer; the oldest is dropped for the next."""


class _Way:
    """What is done to the frames for one peer."""

    def __init__(self) -> None:
        self.delay_s = 0.0
        self.loss = 0.0
        self.waiting: deque[tuple[float, bytes]] = deque()  # (since when, frame)

    @property
    def due(self) -> float:
        """When the next frame is to go. What waits is late by what holds now: so none overtakes another."""
        return self.waiting[0][0] + self.delay_s if self.waiting else inf

    def get_delay(self) -> float:
        return self.delay_s

    def get_loss(self) -> float:
        return self.loss

    def set_delay(self, seconds: float) -> None:
        self.delay_s = seconds

    def set_loss(self, share: float) -> None:
        self.loss = share


class Injected:
    """The faults of one process.

    Args:
        peers: to whom it sends.
        chance: gives a number from 0 to 1, below 1, for each frame that may be lost.

    """

    def __init__(self, peers: Iterable[str], chance: Callable[[], float]) -> None:
        self.lost = 0
        """Frames dropped on purpose."""
        self.overflowed = 0
        """Frames dropped because too many waited."""
        self._chance = chance
        self._ways = {peer: _Way() for peer in peers}
        self.disturbed: set[str] = set()
        """Peers to whose frames anything is done; while there are none, there is no need to ask."""

    def settings(self) -> dict[str, Setting]:
        """``delay.<peer>``: seconds by which a frame is late; ``loss.<peer>``: the share of frames that are lost."""
        found = {}
        for peer, way in self._ways.items():
            found[f"delay.{peer}"] = self._setting(peer, way.get_delay, way.set_delay, MOST_S)
            found[f"loss.{peer}"] = self._setting(peer, way.get_loss, way.set_loss, 1.0)
        return found

    def gauges(self) -> dict[str, float]:
        """Each fault that is injected now."""
        told = {}
        for peer in self.disturbed:
            way = self._ways[peer]
            if way.delay_s:
                told[f"delay_s.{peer}"] = way.delay_s
            if way.loss:
                told[f"loss.{peer}"] = way.loss
        return told

    def takes(self, peer: str, frame: bytes, now: float) -> bool:
        """Whether this frame is lost here, or kept until its time; if not, it is to be sent as ever."""
        if peer not in self.disturbed:
            return False
        way = self._ways[peer]
        if way.loss and self._chance() < way.loss:
            self.lost += 1
            return True
        if not way.delay_s and not way.waiting:
            return False
        if len(way.waiting) >= MOST_WAITING:
            way.waiting.popleft()
            self.overflowed += 1
        way.waiting.append((now, frame))
        return True

    def due(self, now: float) -> Iterator[tuple[str, bytes]]:
        """The frames whose time has come, and to whom they go."""
        for peer in tuple(self.disturbed):
            way = self._ways[peer]
            while way.due <= now:
                yield peer, way.waiting.popleft()[1]
            self._see(peer)

    @property
    def next_due(self) -> float:
        """When the next frame's time comes; infinity if none waits."""
        return min((self._ways[peer].due for peer in self.disturbed), default=inf)

    def forget(self, peer: str) -> int:
        """Drop what waits for a process that is gone; how many frames these were."""
        way = self._ways.get(peer)
        if way is None:
            return 0
        n = len(way.waiting)
        way.waiting.clear()
        self._see(peer)
        return n

    def _setting(self, peer: str, read: Callable[[], float], change: Callable[[float], None], most: float) -> Setting:
        def changed(value: float) -> None:
            change(float(value))
            self._see(peer)

        return Setting(read, changed, most=most)

    def _see(self, peer: str) -> None:
        """Note whether anything is done to the frames for a peer."""
        way = self._ways[peer]
        if way.delay_s or way.loss or way.waiting:
            self.disturbed.add(peer)
        else:
            self.disturbed.discard(peer)
