"""All ends of the links of one process, and what each roster means for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from neurond.links import Inbound, Outbound

MOST = 256
"""Frames kept that came before the roster which vouches for their sender; further ones are dropped."""
MOST_BYTES = 16 << 20
"""Bytes of them."""


class Ends:
    """Whom a process hears and whom it tells.

    A roster reaches each process at its own time, so frames of a new incarnation may come before the news of it.
    A few are kept until the next roster: else what was lost with the old incarnation would be lost again.

    Args:
        hears: each peer that sends to this process, with the end that receives it.
        tells: the ends that send.

    """

    def __init__(self, hears: Iterable[tuple[str, Inbound]], tells: Iterable[Outbound]) -> None:
        self._hears = tuple(hears)
        self._tells = tuple(tells)
        self._early: list[bytes] = []
        self._early_bytes = 0
        self._misdirected = 0
        self._overflowed = 0

    def meet(self, incarnations: Mapping[str, int]) -> list[bytes]:
        """Hear and tell only these from now on; the frames that came early, to be handled again."""
        for peer, inbound in self._hears:
            if peer in incarnations:
                inbound.meet(incarnations[peer])
        for outbound in self._tells:
            if outbound.to in incarnations:
                outbound.meet(incarnations[outbound.to])
        early, self._early, self._early_bytes = self._early, [], 0
        return early

    def is_mine(self, to: int, incarnation: int) -> bool:
        """Whether a frame to an incarnation is for this one of the process; others are counted, and to be dropped."""
        if to == incarnation:
            return True
        self._misdirected += 1
        return False

    def keep(self, frame: bytes) -> None:
        """Keep an early frame until the next roster, if there is room."""
        if len(self._early) < MOST and self._early_bytes + len(frame) <= MOST_BYTES:
            self._early.append(frame)
            self._early_bytes += len(frame)
        else:
            self._overflowed += 1

    @property
    def fenced(self) -> int:
        """Frames that were not heard for the incarnation of one of their ends; those that wait are among them."""
        here = self._misdirected + self._overflowed + len(self._early)
        return here + sum(inbound.fenced for _, inbound in self._hears)
