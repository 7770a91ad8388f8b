"""A sample of a group's spikes for those who watch: few neurons, few looks, next to no time."""

from __future__ import annotations

from collections import deque

import numpy as np

from neurond.memory import Floats
from topology.plan import REPORT_S

NEURONS = 32
"""Neurons that are looked at, at most."""
LOOKS = 16
"""Looks that one report holds, at most."""


class Raster:
    """What some neurons of a group did lately.

    Args:
        size: neurons of the group; up to `NEURONS` of them, evenly spaced, are looked at.

    """

    __slots__ = ("_looks", "_sample", "due")

    def __init__(self, size: int) -> None:
        self.due = float("-inf")
        """When the next look is to be taken, in seconds on the caller's clock."""
        n = min(size, NEURONS)
        self._sample = np.arange(n) * size // n
        self._looks: deque[tuple[float, int]] = deque(maxlen=LOOKS)

    def look(self, a: Floats, now: float) -> None:
        """Note which neurons of the sample spiked for one stimulus, given its activations, float32 (size,)."""
        bits = np.packbits(a[self._sample] != 0.0, bitorder="little")
        self._looks.append((now, int.from_bytes(bits.tobytes(), "little")))
        self.due = now + REPORT_S / LOOKS

    def of_late(self, now: float) -> list[int]:
        """The looks of the last `REPORT_S`, oldest first: bit i is whether the i-th neuron of the sample spiked."""
        return [bits for then, bits in self._looks if now - then < REPORT_S]
