"""What the source keeps of the stimuli that are under way."""

from __future__ import annotations

import heapq
from bisect import bisect_right, insort
from collections.abc import Iterator
from math import inf

import numpy as np
from numpy.typing import NDArray

from neurond.score import LATE
from topology.wire import EVALUATION

Ids = NDArray[np.int64]
Flags = NDArray[np.bool_]
Places = NDArray[np.intp]

DOUBLINGS = 3
"""Each further presentation waits twice as long as the last, but no longer than this many doublings."""
SOON_S = 0.25
"""What is presented anew because a process came back is looked at again so soon: not all may have heard of it yet."""


class Volley:
    """Stimuli that were launched together, with ids side by side from `first` on; data `rows`, int64 (n,)."""

    __slots__ = ("closed", "confirmed", "end", "first", "here", "presentation", "rows", "waits")

    def __init__(self, first: int, rows: Ids, posts: int) -> None:
        n = len(rows)
        self.first, self.end, self.rows = first, first + n, rows
        self.presentation = 1
        self.here: Flags = np.ones(n, np.bool_)
        self.confirmed: Flags = np.zeros(n, np.bool_)
        self.waits: Flags = np.zeros(n, np.bool_)  # confirmed, for closes
        self.closed: Flags = np.zeros((posts, n), np.bool_)  # by each group that the source feeds


class Flight:
    """The stimuli in the window, and when each volley of them is to be looked at again.

    Args:
        posts: groups that the source feeds.
        retry_s: unconfirmed for this long, a stimulus is due again; each further presentation waits twice as long.

    """

    def __init__(self, posts: int, retry_s: float) -> None:
        self._posts = posts
        self.retry_s = retry_s
        self._volleys: dict[int, Volley] = {}  # by the first id
        self._firsts: list[int] = []  # in order
        self._taken = 0
        self._due: list[tuple[float, int, float, Volley]] = []  # (when, a tie breaker, how long it waited, volley)
        self._watched = 0
        self._unsettled_until = -inf  # not all may have heard yet who is there
        self._pending = 0  # confirmed, and waiting for their gradient to be taken in everywhere
        self.share = 1.0
        """Share of the stimuli confirmed of late (`LATE` or so) that had a gradient; at first taken to be all."""

    @property
    def gradients(self) -> float:
        """Gradients that are under way or to be expected.

        One for each stimulus that waits for its closes, and `share` for each whose loss is not known yet.
        """
        return self._pending + self.share * (self._taken - self._pending)

    def __len__(self) -> int:
        """Places of the window that are taken."""
        return self._taken

    def launch(self, first: int, rows: Ids, now: float) -> None:
        """New stimuli take their places, with ids side by side from `first` on."""
        volley = self._volleys[first] = Volley(first, rows, self._posts)
        insort(self._firsts, first)
        self._taken += len(rows)
        self._watch(volley, now, min(SOON_S, self.retry_s) if now < self._unsettled_until else self.retry_s)

    def confirm(self, ids: Ids, pending: Flags) -> Flags:
        """The readout has seen these; returns which of them count now (the others were confirmed before)."""
        counts: Flags = np.zeros(len(ids), np.bool_)
        if not _ascend(ids):
            ids, at = np.unique(ids, return_index=True)
            counts[at] = self.confirm(ids, pending[at])
            return counts
        if len(ids) and ids[0] < EVALUATION:
            now = int(np.count_nonzero(pending)) / len(ids)
            self.share += min(1.0, len(ids) / LATE) * (now - self.share)
        for volley, places, part in self._parts(ids):
            here, waits = volley.here[places], pending[part]
            counts[part] = here & ~volley.confirmed[places]
            volley.confirmed[places] = True
            waits = waits & ~np.logical_and.reduce(volley.closed[:, places], axis=0)
            new = places[here & waits & ~volley.waits[places]]
            volley.waits[new] = True
            self._pending += len(new)
            self._forget(volley, places[here & ~waits])
        return counts

    def close(self, ids: Ids, post: int) -> None:
        """The `post`-th group that the source feeds has closed these; those long gone do not matter."""
        for volley, places, _ in self._parts(ids if _ascend(ids) else np.unique(ids)):
            volley.closed[post, places] = True
            done = np.logical_and.reduce(volley.closed[:, places], axis=0)
            self._forget(volley, places[done & volley.here[places] & volley.waits[places]])

    def overdue(self, now: float) -> tuple[dict[int, dict[int, int]], int]:
        """What has waited too long.

        Returns:
            the stimuli to present again, as ``{presentation: {stimulus: row}}``, and how many places were
            given back because their confirmed stimulus was not closed in time.

        """
        again: dict[int, dict[int, int]] = {}
        unclosed = 0
        due: list[tuple[Volley, float]] = []
        while self._due and self._due[0][0] <= now:
            _, _, waited, volley = heapq.heappop(self._due)
            late = np.flatnonzero(volley.here & volley.confirmed)
            self._forget(volley, late)
            unclosed += len(late)
            if len(left := np.flatnonzero(volley.here)):
                volley.presentation += 1
                volley.closed[:, left] = False
                rows = zip((volley.first + left).tolist(), volley.rows[left].tolist(), strict=True)
                again.setdefault(volley.presentation, {}).update(rows)
                due.append((volley, min(2 * waited, self.retry_s * 2**DOUBLINGS)))
        for volley, wait in due:
            self._watch(volley, now, wait)
        return again, unclosed

    def expedite(self, now: float) -> None:
        """Everything is overdue now, and what is presented again because of that will soon be so once more.

        So will be what is new meanwhile: who has not heard yet sends it to a process that is gone.
        """
        self._unsettled_until = now + SOON_S
        soon = min(SOON_S, self.retry_s) / 2
        self._due = [(now, n, soon, volley) for _, n, _, volley in self._due]
        heapq.heapify(self._due)

    def unconfirmed(self) -> Iterator[int]:
        """Data rows of the training stimuli that have not been confirmed."""
        for first in self._firsts:
            if first < EVALUATION:
                volley = self._volleys[first]
                yield from volley.rows[volley.here & ~volley.confirmed].tolist()

    def _parts(self, ids: Ids) -> Iterator[tuple[Volley, Places, slice]]:
        """The volleys of those of `ids`, which ascend, that are under way: places in each, and where in `ids`."""
        at = 0
        while at < len(ids):
            before = bisect_right(self._firsts, int(ids[at])) - 1
            volley = self._volleys[self._firsts[before]] if before >= 0 else None
            if volley is not None and ids[at] < volley.end:
                end = at + int(np.searchsorted(ids[at:], volley.end))
                yield volley, ids[at:end] - volley.first, slice(at, end)
                at = end
            else:  # on to the next volley
                if before + 1 == len(self._firsts):
                    return
                at += int(np.searchsorted(ids[at:], self._firsts[before + 1]))

    def _forget(self, volley: Volley, places: Places) -> None:
        if not len(places):
            return
        self._pending -= int(np.count_nonzero(volley.waits[places]))
        self._taken -= len(places)
        volley.here[places] = False
        if not volley.here.any():
            del self._volleys[volley.first]
            self._firsts.remove(volley.first)

    def _watch(self, volley: Volley, now: float, wait: float) -> None:
        self._watched += 1
        heapq.heappush(self._due, (now + wait, self._watched, wait, volley))


def _ascend(ids: Ids) -> bool:
    """Whether each is larger than the one before, as in every frame of ours; a stranger's may hold anything."""
    return int(np.count_nonzero(ids[1:] > ids[:-1])) >= len(ids) - 1
