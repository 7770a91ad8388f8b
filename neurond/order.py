"""In which order the source presents the training part: what a saved run had under way, then epoch after epoch."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


class Order:
    """The rows that a run has yet to present for the first time.

    Each epoch has an order of its own, drawn from the seed and its number, so that a run that goes on takes up the
    order in which it was.

    Args:
        rows: of the training part.
        total: stimuli that the run presents; may be less or more than whole epochs.
        seed: of the run.

    """

    def __init__(self, rows: int, total: int, seed: int) -> None:
        self.total = total
        self.taken = 0
        """Stimuli taken from the epochs, in this run and in that which it goes on from."""
        self.again: list[int] = []
        """Rows that were under way when the run was saved."""
        self._rows = rows
        self._seed = seed
        self._epoch: tuple[int, NDArray[np.int64]] = (-1, np.zeros(0, np.int64))

    @property
    def left(self) -> int:
        """Stimuli that are yet to be taken."""
        return self.total - self.taken + len(self.again)

    @property
    def exhausted(self) -> bool:
        """Whether none is."""
        return self.taken >= self.total and not self.again

    def take(self, n: int) -> NDArray[np.int64]:
        """The next n rows; fewer where those of `again` end."""
        if self.again:
            rows, self.again = self.again[:n], self.again[n:]
            return np.array(rows, np.int64)
        parts: list[NDArray[np.int64]] = []
        while n:
            epoch, offset = divmod(self.taken, self._rows)
            if self._epoch[0] != epoch:
                rng = np.random.default_rng(np.random.SeedSequence([self._seed, epoch]))
                self._epoch = (epoch, rng.permutation(self._rows))
            part = self._epoch[1][offset : offset + n]
            parts.append(part)
            self.taken += len(part)
            n -= len(part)
        return np.concatenate(parts)

    def go_on(self, taken: int, again: Iterable[int]) -> None:
        """Go on where a saved run was; ValueError, and nothing is changed, if it had other rows."""
        rows = list(again)
        if rows and max(rows) >= self._rows:
            raise ValueError("the checkpoint of the source belongs to other data")
        self.taken, self.again = taken, rows
