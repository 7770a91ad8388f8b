"""The messenger of a simulated network: what is on its way between processes, how long it takes, and what is lost.

A frame waits until the link is free, takes the link's latency, and overtakes none before it. It may be lost, which is
counted; the source presents again what did not come home.
"""

from __future__ import annotations

import hashlib
import heapq
import struct
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from neurond.conditions import Conditions

_DELIVERY = struct.Struct("<d")


class Chance(Protocol):
    """Where all chance comes from: a `numpy.random.Generator` will do, and `steady.Chance` on any machine alike."""

    def random(self) -> float:
        """Uniform from 0 to 1, below 1."""
        ...

    def exponential(self, scale: float) -> float:
        """Above 0, with this mean."""
        ...


class Messenger(ABC):
    """All that is to happen in virtual time, in its order: frames that come, and what else was put there.

    Args:
        chance: decides whatever is left to it.
        conditions: what links are like.

    Invariant, for each pair of processes: sent + doubled = delivered + lost + in flight; `doubled` is for those who
    extend this, who may also let links lose, copy and order frames as they like.

    """

    def __init__(self, chance: Chance, conditions: Conditions) -> None:
        self.conditions = conditions
        self.now = 0.0
        self.sent: Counter[tuple[str, str]] = Counter()
        """Frames by (sender, receiver); so are those below."""
        self.dropped: Counter[tuple[str, str]] = Counter()
        """Lost on the way."""
        self.delivered: Counter[tuple[str, str]] = Counter()
        """Come to the receiver's inbox, or to where a dead one's was."""
        self._chance = chance
        self._posted = 0
        # (when, a tie breaker, to whom, what: a frame, or something to be done, by whom)
        self._heap: list[tuple[float, int, str, bytes | Callable[[], None], str]] = []
        self._in_order: dict[tuple[str, str], float] = {}
        self._free_at: dict[tuple[str, str], float] = {}
        self._deliveries = hashlib.sha256()

    @property
    def in_flight(self) -> Counter[tuple[str, str]]:
        """Frames on their way now."""
        return Counter((sender, to) for _, _, to, what, sender in self._heap if isinstance(what, bytes))

    @abstractmethod
    def _arrive(self, name: str, frame: bytes) -> None:
        """A frame has come to a process."""

    def _post(self, sender: str, to: str, frame: bytes) -> None:
        pair = (sender, to)
        self.sent[pair] += 1
        if self._loses(pair):
            self.dropped[pair] += 1
            return
        for _ in range(self._copies(pair)):
            come = self._through(pair, len(frame)) + self._latency_s(pair)
            self._push(self._in_turn(pair, come), to, frame, sender)

    def _push(self, at: float, name: str, what: bytes | Callable[[], None], sender: str = "") -> None:
        """Let a frame come to a process at a time, or something be done for it."""
        self._posted += 1
        heapq.heappush(self._heap, (at, self._posted, name, what, sender))

    def _next(self) -> None:
        """Time goes on to what is to happen next, and it happens."""
        self.now, _, name, what, sender = heapq.heappop(self._heap)
        if isinstance(what, bytes):
            self._deliver(name, what, sender)
        else:
            what()

    def _deliver(self, name: str, frame: bytes, sender: str) -> None:
        self.delivered[sender, name] += 1
        self._deliveries.update(_DELIVERY.pack(self.now) + f"{sender}>{name} {len(frame)}:".encode())
        self._deliveries.update(frame)
        self._arrive(name, frame)

    def _loses(self, pair: tuple[str, str]) -> bool:  # noqa: ARG002 - for those whose links differ
        """Whether a frame is lost that is sent now."""
        return self._chance.random() < self.conditions.loss

    def _copies(self, pair: tuple[str, str]) -> int:  # noqa: ARG002 - for those whose links differ
        """How many times a frame comes that is not lost."""
        return 1

    def _through(self, pair: tuple[str, str], size: int) -> float:
        """When a frame of so many bytes that is sent now has left, the frames before it having done so."""
        if not self.conditions.bytes_per_s:
            return self.now
        left = max(self.now, self._free_at.get(pair, 0.0)) + size / self.conditions.bytes_per_s
        self._free_at[pair] = left
        return left

    def _latency_s(self, pair: tuple[str, str]) -> float:
        """How long a frame is on its way that is sent now, in virtual seconds."""
        latency = self.conditions.between(pair)
        return latency.least_s + self._chance.exponential(latency.spread_s)

    def _in_turn(self, pair: tuple[str, str], at: float) -> float:
        """A frame comes no sooner than those before it on its way."""
        at = self._in_order[pair] = max(at, self._in_order.get(pair, 0.0))
        return at
