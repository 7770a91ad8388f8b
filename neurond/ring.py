"""Which stimulus is in which slot: a ring that gives slots out side by side, and finds them again by arithmetic."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Slots = NDArray[np.intp] | slice
"""Slots by number, or as a slice where they lie side by side: a slice copies nothing."""
Ids = NDArray[np.int64]
Flags = NDArray[np.bool_]

_NONE: NDArray[np.intp] = np.zeros(0, np.intp)


class Ring:
    """Slots for `capacity` stimuli; when all are taken, the oldest stimulus makes room.

    Ids come nearly in order and a volley lies side by side, so for most stimuli id - slot is what it was for the
    last volley, or before the ring came round. That is tried first, and true only if the slots say so; otherwise all
    slots are looked through.
    """

    __slots__ = ("_head", "_newest", "_offsets", "capacity", "held", "owner")

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.owner: Ids = np.full(capacity, -1, np.int64)  # the stimulus in each slot; -1 is a free slot
        self.held = 0  # slots that are not free
        self._head = 0
        self._newest = -1  # no stimulus beyond this id was ever begun
        self._offsets = (0, 0)  # id - slot of the last volley, and what it was before

    def begin(self, ids: Ids) -> tuple[slice, int]:
        """The next slots, side by side, for stimuli that are not here, and how many others made room for them."""
        n = len(ids)
        if self._head + n > self.capacity:
            self._head = 0
        slots = slice(self._head, self._head + n)
        owner = self.owner[slots]
        gone = int(np.count_nonzero(owner >= 0))
        owner[:] = ids
        offset = int(ids[0]) - self._head
        if offset != self._offsets[0]:
            self._offsets = (offset, self._offsets[0])
        self._newest = max(self._newest, int(ids[-1]))
        self._head += n
        self.held += n - gone
        return slots, gone

    def find(self, ids: Ids) -> tuple[Slots, Flags | None]:
        """Slots of those of `ids`, which ascend, that are here, and which those are (None: all of them)."""
        n, first, last = len(ids), int(ids[0]), int(ids[-1])
        if first > self._newest:
            return _NONE, np.zeros(n, np.bool_)
        for offset in self._offsets:
            if first >= offset and last - offset < self.capacity:
                slots = slice(first - offset, last - offset + 1) if last - first == n - 1 else ids - offset
                if np.count_nonzero(self.owner[slots] == ids) == n:
                    return slots, None
        near = ((self.owner >= first) & (self.owner <= last)).nonzero()[0]
        if not len(near):
            return _NONE, np.zeros(n, np.bool_)
        near = near[np.argsort(self.owner[near])]
        owners = self.owner[near]
        at = np.minimum(np.searchsorted(owners, ids), len(near) - 1)
        known: Flags = owners[at] == ids
        return near[at[known]], None if np.count_nonzero(known) == n else known

    def forget(self, slots: Slots) -> None:
        """Give slots back that are held."""
        self.owner[slots] = -1
        self.held -= slots.stop - slots.start if isinstance(slots, slice) else len(slots)


def numbers(slots: Slots) -> NDArray[np.intp]:
    """The same slots by number."""
    return np.arange(slots.start, slots.stop) if isinstance(slots, slice) else slots


def side_by_side(parts: Sequence[Slots]) -> Slots:
    """Slots of some stimuli after those of others: a slice again where they are side by side."""
    start = stop = -1
    for part in parts:
        if not isinstance(part, slice) or stop not in (-1, part.start):
            return np.concatenate([numbers(part) for part in parts])
        start, stop = part.start if start < 0 else start, part.stop
    return slice(start, stop)
