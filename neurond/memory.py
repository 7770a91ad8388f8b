"""What a group remembers of each stimulus until its gradient has come back.

The memory is a ring of a fixed number of slots (`ring.py`). A stimulus takes the next slot with its first spike and
gives it back when every post group has closed it. When the ring has come round to a stimulus that is still open, that
one expires: a bounded number of newer ones has come, and nobody waits for it any more. Volleys lie side by side in
the ring, so that most of what is done with them is done on slices.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from neurond.ring import Flags as Flags
from neurond.ring import Ids as Ids
from neurond.ring import Ring, numbers
from neurond.ring import Slots as Slots

Floats = NDArray[np.float32]


class Memory:
    """Slots for `capacity` stimuli, each with its inputs, activations and the gradient summed up so far.

    Args:
        capacity: stimuli remembered at most.
        size: neurons of the group.
        widths: inputs to be joined: neurons of each pre group (and, in a readout, the target's width). The first
            gets one more column, which is always 1: the bias is the weight of that.
        posts: post groups that must close a stimulus.

    `expired` counts the stimuli that were forgotten while they were open, `late` the inputs, notifications and closes
    that came too late or once more, each once a stimulus.

    """

    def __init__(self, capacity: int, size: int, widths: Sequence[int], posts: int) -> None:
        self.capacity = capacity
        self.inputs = [np.zeros((capacity, width + (k == 0)), np.float32) for k, width in enumerate(widths)]
        self.inputs[0][:, -1] = 1.0
        self._spikes = [x[:, :width] for x, width in zip(self.inputs, widths, strict=True)]
        self.activation: Floats = np.zeros((capacity, size), np.float32)
        self.gradient: Floats = np.zeros((capacity, size), np.float32)  # dLoss/dz of stimuli that are open still
        self.touched: Flags = np.zeros(capacity, np.bool_)  # rows of `gradient` that hold something
        self.version: NDArray[np.int64] = np.zeros(capacity, np.int64)  # the group's updates when it fired
        self.expired = 0
        self.late = 0
        self._ring = Ring(capacity)
        self._arrived: Flags = np.zeros((len(widths), capacity), np.bool_)
        self._closed: Flags = np.zeros((posts, capacity), np.bool_)
        self._presentation: NDArray[np.int32] = np.zeros(capacity, np.int32)
        self._whole: NDArray[np.int32] = np.zeros(capacity, np.int32)  # the same once all inputs are there, else -1

    def __len__(self) -> int:
        """Stimuli that are remembered now."""
        return self._ring.held

    def arrive(self, source: int, ids: Ids, presentation: int, values: Floats) -> tuple[Slots, Ids]:
        """Join one input of some stimuli; returns the slots and ids of those whose inputs are now all there.

        `ids` ascend and are at most half of the capacity. A higher presentation than the one remembered begins the
        stimulus anew; a lower one is late, and so is the same input a second time.
        """
        slots, known = self._ring.find(ids)
        if known is not None and not np.count_nonzero(known):  # the usual case for a first input
            slots = self._begin(ids, presentation)
        else:
            if known is not None:
                self._begin(ids[~known], presentation)
                slots, known = self._ring.find(ids)  # anew: beginning these may have come round to others of them
            on_time = self._on_time(source, slots, presentation)
            if on_time is not None:
                slots = self.pick(slots, on_time)
                known = on_time if known is None else _within(known, on_time)
            if known is not None:
                self.late += len(ids) - int(np.count_nonzero(known))
                ids, values = ids[known], values[known]
                if not len(ids):
                    return slots, ids
        self._spikes[source][slots] = values
        self._arrived[source, slots] = True
        if len(self.inputs) > 1:
            ready = np.logical_and.reduce(self._arrived[:, slots], axis=0)
            if np.count_nonzero(ready) < len(ids):
                slots, ids = self.pick(slots, ready), ids[ready]
        self._whole[slots] = presentation
        return slots, ids

    def find(self, ids: Ids, presentation: int) -> tuple[Slots, Flags | None]:
        """Slots of stimuli whose inputs are all there, and which of `ids` those are (None: all); the rest is late."""
        slots, known = self._ring.find(ids)
        fit = self._whole[slots] == presentation
        if np.count_nonzero(fit) < len(fit):
            slots = self.pick(slots, fit)
            known = fit if known is None else _within(known, fit)
        if known is not None:
            self.late += len(ids) - int(np.count_nonzero(known))
        return slots, known

    def holds(self, slots: Slots, ids: Ids, presentation: int) -> Flags:
        """Which of these slots still belong to these stimuli, in this presentation."""
        held: Flags = (self._ring.owner[slots] == ids) & (self._presentation[slots] == presentation)
        return held

    def pick(self, slots: Slots, which: Flags) -> Slots:
        """Those of some slots that `which` names."""
        return numbers(slots)[which]

    def close(self, post: int, slots: Slots) -> Flags:
        """Note that a post group closed these; returns which of them all post groups have closed now."""
        closed = self._closed[post]
        fresh: Flags = ~closed[slots]
        closed[slots] = True
        if len(self._closed) > 1:
            fresh &= np.logical_and.reduce(self._closed[:, slots], axis=0)
        return fresh

    def add(self, slots: Slots, d: Floats) -> None:
        """Keep d = dLoss/dz (n, size), which one post group has sent, until the others have closed these too."""
        self.gradient[slots] += d
        self.touched[slots] = True

    def settle(self, slots: Slots, last: Floats | None) -> tuple[Slots, Floats | None]:
        """All post groups have closed these: what was kept of them, which is then no longer kept.

        `last` is what came with the last close, (n, size). Returns the slots that have a gradient, and that
        gradient; None where no slot has one.
        """
        touched = self.touched[slots]
        if not np.count_nonzero(touched):
            return slots, last
        if last is None:
            slots = self.pick(slots, touched)
            last = self.gradient[slots]
        else:
            last = last + self.gradient[slots]
        self._untouch(slots)
        return slots, last

    def forget(self, slots: Slots) -> None:
        """Give the slots of stimuli back that are remembered."""
        self._ring.forget(slots)

    def _begin(self, ids: Ids, presentation: int) -> Slots:
        """Slots side by side for stimuli that are not remembered."""
        slots, gone = self._ring.begin(ids)
        self.expired += gone
        self._reset(slots, presentation)
        return slots

    def _reset(self, slots: Slots, presentation: int) -> None:
        self._presentation[slots] = presentation
        self._whole[slots] = -1
        self._arrived[:, slots] = False
        self._closed[:, slots] = False
        if np.count_nonzero(self.touched[slots]):
            self._untouch(slots)

    def _untouch(self, slots: Slots) -> None:
        self.gradient[slots] = 0.0
        self.touched[slots] = False

    def _on_time(self, source: int, slots: Slots, presentation: int) -> Flags | None:
        """Which of these, all of them remembered, do not have this input yet (None: all)."""
        shown = self._presentation[slots]
        older = shown < presentation
        if np.count_nonzero(older):
            self._reset(self.pick(slots, older), presentation)
        on_time: Flags = (shown <= presentation) & ~self._arrived[source, slots]
        return None if np.count_nonzero(on_time) == len(on_time) else on_time


def _within(known: Flags, fit: Flags) -> Flags:
    """Which of all are known and fit, where `fit` is about the known ones only."""
    both = known.copy()
    both[known] = fit
    return both
