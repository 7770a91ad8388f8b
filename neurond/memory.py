"""What a group remembers of each stimulus until its gradient has come back.

The memory is a ring of a fixed number of slots. A stimulus takes the next slot with its first spike and gives it
back when every post group has closed it. When the ring has come round to a stimulus that is still open, that one
expires: a bounded number of newer ones has come, and nobody waits for it any more. Volleys lie side by side in the
ring, so that most of what is done with them is done on slices.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Slots = NDArray[np.intp]
Ids = NDArray[np.int64]
Flags = NDArray[np.bool_]
Floats = NDArray[np.float32]


class Memory:
    """Slots for `capacity` stimuli, each with its inputs, activations and the gradient summed up so far.

    Args:
        capacity: stimuli remembered at most.
        size: neurons of the group.
        widths: inputs to be joined: neurons of each pre group (and, in a readout, the target's width). The first
            gets one more column, which is always 1: the bias is the weight of that.
        posts: post groups that must close a stimulus.

    """

    def __init__(self, capacity: int, size: int, widths: Sequence[int], posts: int) -> None:
        self.capacity = capacity
        self.inputs = [np.zeros((capacity, width + (k == 0)), np.float32) for k, width in enumerate(widths)]
        self.inputs[0][:, -1] = 1.0
        self._spikes = [x[:, :width] for x, width in zip(self.inputs, widths, strict=True)]
        self.activation: Floats = np.zeros((capacity, size), np.float32)
        self.gradient: Floats = np.zeros((capacity, size), np.float32)  # dLoss/dz, summed over post groups
        self.touched: Flags = np.zeros(capacity, np.bool_)  # rows of `gradient` that hold something
        self.version: NDArray[np.int64] = np.zeros(capacity, np.int64)  # the group's updates when it fired
        self.expired = 0
        self.late = 0
        self._arrived: Flags = np.zeros((len(widths), capacity), np.bool_)
        self._missing: NDArray[np.int32] = np.zeros(capacity, np.int32)
        self._closed: Flags = np.zeros((posts, capacity), np.bool_)
        self._open: NDArray[np.int32] = np.zeros(capacity, np.int32)
        self._presentation: NDArray[np.int32] = np.zeros(capacity, np.int32)
        self._owner: Ids = np.full(capacity, -1, np.int64)  # the stimulus in each slot; -1 is a free slot
        self._slot: dict[int, int] = {}  # its inverse
        self._head = 0
        self._all: Slots = np.arange(capacity, dtype=np.intp)

    def __len__(self) -> int:
        """Stimuli that are remembered now."""
        return len(self._slot)

    def arrive(self, source: int, ids: Ids, presentation: int, values: Floats) -> tuple[Slots, Ids]:
        """Join one input of some stimuli; returns the slots and ids of those whose inputs are now all there.

        `ids` ascend and are at most half of the capacity. A higher presentation than the one remembered begins the
        stimulus anew; a lower one is late, and so is the same input a second time.
        """
        listed = ids.tolist()
        if self._slot.keys().isdisjoint(listed):  # the usual case for a first input
            slots = self._begin(ids, listed, presentation)
        else:
            slots, late = self._look_up(source, ids, listed, presentation)
            if np.count_nonzero(late):
                self.late += int(late.sum())
                slots, ids, values = slots[~late], ids[~late], values[~late]
            if not len(ids):
                return slots, ids
        self._spikes[source][slots] = values
        self._arrived[source, slots] = True
        if len(self.inputs) == 1:
            self._missing[slots] = 0
            return slots, ids
        missing = self._missing[slots] - 1
        self._missing[slots] = missing
        ready = missing == 0
        return (slots, ids) if np.count_nonzero(ready) == len(ids) else (slots[ready], ids[ready])

    def find(self, ids: Ids, presentation: int) -> tuple[Slots, Flags | None]:
        """Slots of stimuli whose inputs are all there, and which of `ids` those are (None: all); the rest is late."""
        found = list(map(self._slot.get, ids.tolist()))
        known: Flags | None = None
        if None in found:
            known = np.array([at is not None for at in found])
            found = [at for at in found if at is not None]
        slots: Slots = np.array(found, np.intp)
        fit = (self._presentation[slots] == presentation) & (self._missing[slots] == 0)
        if np.count_nonzero(fit) < len(slots):
            if known is None:
                known = fit
            else:
                known[known] = fit
            slots = slots[fit]
        if known is not None:
            self.late += len(ids) - len(slots)
        return slots, known

    def holds(self, slots: Slots, ids: Ids, presentation: int) -> Flags:
        """Which of these slots still belong to these stimuli, in this presentation."""
        held: Flags = (self._owner[slots] == ids) & (self._presentation[slots] == presentation)
        return held

    def close(self, post: int, slots: Slots) -> Flags:
        """Note that a post group closed these; returns which of them all post groups have closed now."""
        fresh = ~self._closed[post, slots]
        self._closed[post, slots] = True
        left = self._open[slots] - fresh
        self._open[slots] = left
        done: Flags = fresh & (left == 0)
        return done

    def forget(self, slots: Slots, ids: Ids) -> None:
        """Give the slots of these stimuli back."""
        self._owner[slots] = -1
        for stimulus in ids.tolist():
            del self._slot[stimulus]

    def _begin(self, ids: Ids, listed: list[int], presentation: int) -> Slots:
        """The next slots of the ring, side by side, for stimuli that are not remembered."""
        n = len(ids)
        if self._head + n > self.capacity:
            self._head = 0
        slots = self._all[self._head : self._head + n]
        self._head += n
        owners = self._owner[slots]
        gone = owners[owners >= 0]
        if len(gone):
            self.expired += len(gone)
            for stimulus in gone.tolist():
                del self._slot[stimulus]
        self._owner[slots] = ids
        self._slot.update(zip(listed, slots.tolist(), strict=True))
        self._reset(slots, presentation)
        return slots

    def _reset(self, slots: Slots, presentation: int) -> None:
        self._presentation[slots] = presentation
        self._arrived[:, slots] = False
        self._missing[slots] = len(self.inputs)
        self._closed[:, slots] = False
        self._open[slots] = len(self._closed)
        touched = slots[self.touched[slots]]
        if len(touched):
            self.touched[touched] = False
            self.gradient[touched] = 0.0

    def _look_up(self, source: int, ids: Ids, listed: list[int], presentation: int) -> tuple[Slots, Flags]:
        """Slots of stimuli of which some are remembered, and which of them are late."""
        found = list(map(self._slot.get, listed))
        if None in found:
            new = np.array([at is None for at in found], np.bool_)
            self._begin(ids[new], ids[new].tolist(), presentation)
            found = [self._slot.get(stimulus, -1) for stimulus in listed]
        slots: Slots = np.array(found, np.intp)
        shown = self._presentation[slots]
        # A slot may be gone again (-1): beginning the unknown ones has come round to it.
        late: Flags = (slots < 0) | (shown > presentation) | self._arrived[source, slots]
        older = (shown < presentation) & (slots >= 0)
        if np.count_nonzero(older):
            self._reset(slots[older], presentation)
            late &= ~older
        return slots, late


def as_slice(slots: Slots) -> slice | Slots:
    """The same slots as a slice, which copies nothing, where they lie side by side."""
    first, last = int(slots[0]), int(slots[-1])
    steps = len(slots) - 1
    side_by_side = last - first == steps and np.count_nonzero(slots[1:] > slots[:-1]) == steps
    return slice(first, last + 1) if side_by_side else slots
