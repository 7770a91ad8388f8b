"""Which stimuli a readout has confirmed, so that none is taught twice."""

from __future__ import annotations

import numpy as np

from neurond.ring import Flags, Ids


class Seen:
    """The stimuli that a readout has confirmed: a set of integers that costs a bit over one byte each at most.

    Ids come nearly in order, so they are kept in pages, and a page that is full is kept as its number alone.
    """

    PAGE = 1 << 14

    def __init__(self) -> None:
        self._pages: dict[int, Flags] = {}
        self._left: dict[int, int] = {}
        self._full: set[int] = set()

    def add(self, ids: Ids) -> Flags:
        """Add these ids, one or more, ascending; returns which of them were there before."""
        first, last = int(ids[0]) // self.PAGE, int(ids[-1]) // self.PAGE
        if first == last:
            return self._add(first, ids - first * self.PAGE)
        before = np.zeros(len(ids), np.bool_)
        numbers = ids // self.PAGE
        for number in np.unique(numbers).tolist():
            own = numbers == number
            before[own] = self._add(number, ids[own] - number * self.PAGE)
        return before

    def _add(self, number: int, at: Ids) -> Flags:
        page = self._pages.get(number)
        if page is None:
            if number in self._full:
                return np.ones(len(at), np.bool_)
            page = self._pages[number] = np.zeros(self.PAGE, np.bool_)
            self._left[number] = self.PAGE
        before: Flags = page[at]
        page[at] = True
        self._left[number] -= len(at) - int(np.count_nonzero(before))
        if not self._left[number]:
            del self._pages[number], self._left[number]
            self._full.add(number)
        return before
