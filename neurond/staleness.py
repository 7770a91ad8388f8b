"""How stale the gradients of a group are: its own updates between a stimulus' forward and backward pass, counted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BUCKETS = (0, *(1 << k for k in range(11)))
"""Least staleness of each bucket of the histogram: 0, 1, 2, 4, ... 1024. The last one holds all from there on."""
RECENT = 1000
"""Gradients that count as those of late, by whose staleness weights are foreseen."""
_EDGES = np.array(BUCKETS)


class Staleness:
    """Gradients by their staleness.

    `total` is the sum over all `count` of them, `largest` the most, `histogram` how many are in each of `BUCKETS`,
    and `of_late` the mean over the last `RECENT` or so.
    """

    __slots__ = ("_noted", "count", "histogram", "largest", "of_late", "total")

    def __init__(self) -> None:
        self.total = 0
        self.count = 0
        self.largest = 0
        self.histogram = [0] * len(BUCKETS)
        self.of_late = 0.0
        self._noted = 0  # gradients that `of_late` is of

    def note(self, staleness: NDArray[np.int64]) -> None:
        """Count the gradients of some stimuli, int64 (n,)."""
        n, total, most = len(staleness), int(np.add.reduce(staleness)), int(np.maximum.reduce(staleness))
        self.total += total
        self.count += n
        self.largest = max(self.largest, most)
        self._noted = min(self._noted + n, RECENT)
        self.of_late += min(1.0, n / self._noted) * (total / n - self.of_late)
        if most * n == total:  # the usual case: all of a volley fired together
            self.histogram[min(most.bit_length(), len(BUCKETS) - 1)] += n
            return
        found = np.bincount(np.searchsorted(_EDGES, staleness, side="right") - 1)
        for bucket in found.nonzero()[0].tolist():
            self.histogram[bucket] += int(found[bucket])

    def counters(self) -> dict[str, int]:
        """What telemetry tells of it."""
        buckets = {f"staleness_{least}": n for least, n in zip(BUCKETS, self.histogram, strict=True)}
        return {"staleness_sum": self.total, "staleness_count": self.count} | buckets
