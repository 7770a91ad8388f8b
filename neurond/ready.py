"""Stimuli that wait to be fired: volleys that came close together go on as one."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from neurond.ring import Ids, Slots, numbers, side_by_side
from topology import wire
from topology.frames import COALESCED


@dataclass(slots=True)
class Ready:
    """Stimuli whose inputs are all there and that have not fired yet; all of one presentation and one purpose."""

    presentation: int
    teach: bool
    slots: list[Slots]
    ids: list[Ids]
    stimuli: int

    def takes(self, message: wire.Spikes | wire.Targets) -> bool:
        """Whether the stimuli of a message may fire together with these."""
        alike = message.presentation == self.presentation and message.teach == self.teach
        parts = [message.ids, *self.ids]  # they go on in one frame
        near = max(ids[-1] for ids in parts) - min(ids[0] for ids in parts) < wire.MAX_SPAN
        # A larger product gains nothing, and what comes after it waits longer.
        return alike and near and self.stimuli + len(message.ids) <= COALESCED

    def add(self, slots: Slots, ids: Ids) -> None:
        """Take more stimuli in."""
        self.slots.append(slots)
        self.ids.append(ids)
        self.stimuli += len(ids)

    def joined(self) -> tuple[Slots, Ids]:
        """Slots and ids, in the order of the ids."""
        if len(self.ids) == 1:
            return self.slots[0], self.ids[0]
        slots, ids = side_by_side(self.slots), np.concatenate(self.ids)
        if any(a[-1] > b[0] for a, b in pairwise(self.ids)):
            order = np.argsort(ids)
            slots, ids = numbers(slots)[order], ids[order]
        return slots, ids
