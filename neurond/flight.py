"""What the source keeps of the stimuli that are under way."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from math import inf

from neurond.score import LATE
from topology.wire import EVALUATION

DOUBLINGS = 3
"""Each further presentation waits twice as long as the last, but no longer than this many doublings."""
SOON_S = 0.25
"""What is presented anew because a process came back is looked at again so soon: not all may have heard of it yet."""


class Stimulus:
    """One stimulus under way."""

    __slots__ = ("closed", "confirmed", "presentation", "row", "waits_for_closes")

    def __init__(self, row: int) -> None:
        self.row = row
        self.presentation = 1
        self.confirmed = False
        self.waits_for_closes = False
        self.closed: int = 0  # bit k: the k-th group that the source feeds has closed it


class Flight:
    """The stimuli in the window, and when each volley of them is to be looked at again.

    Args:
        posts: groups that the source feeds.
        retry_s: unconfirmed for this long, a stimulus is due again; each further presentation waits twice as long.

    """

    def __init__(self, posts: int, retry_s: float) -> None:
        self._all = (1 << posts) - 1
        self.retry_s = retry_s
        self._stimuli: dict[int, Stimulus] = {}
        # (when, a tie breaker, presentation, how long it waited, ids)
        self._due: list[tuple[float, int, int, float, list[int]]] = []
        self._volleys = 0
        self._unsettled_until = -inf  # not all may have heard yet who is there
        self._pending = 0  # confirmed, and waiting for their gradient to be taken in everywhere
        self.share = 1.0
        """Share of the stimuli confirmed of late (`LATE` or so) that had a gradient; at first taken to be all."""

    @property
    def gradients(self) -> float:
        """Gradients that are under way or to be expected.

        One for each stimulus that waits for its closes, and `share` for each whose loss is not known yet.
        """
        return self._pending + self.share * (len(self._stimuli) - self._pending)

    def __len__(self) -> int:
        """Places of the window that are taken."""
        return len(self._stimuli)

    def launch(self, ids: Iterable[int], rows: Iterable[int], now: float) -> None:
        """New stimuli take their places."""
        known = list(ids)
        for stimulus, row in zip(known, rows, strict=True):
            self._stimuli[stimulus] = Stimulus(row)
        self._watch(known, 1, now, min(SOON_S, self.retry_s) if now < self._unsettled_until else self.retry_s)

    def confirm(self, ids: list[int], pending: list[bool]) -> list[bool]:
        """The readout has seen these; returns which of them count now (the others were confirmed before)."""
        counts = []
        if ids and ids[0] < EVALUATION:
            self.share += min(1.0, len(ids) / LATE) * (sum(pending) / len(ids) - self.share)
        for stimulus, waits in zip(ids, pending, strict=True):
            entry = self._stimuli.get(stimulus)
            if entry is None:
                counts.append(False)
                continue
            counts.append(not entry.confirmed)
            entry.confirmed = True
            if not waits or entry.closed == self._all:
                self._forget(stimulus, entry)
            elif not entry.waits_for_closes:
                entry.waits_for_closes = True
                self._pending += 1
        return counts

    def close(self, ids: list[int], post: int) -> None:
        """The `post`-th group that the source feeds has closed these; those long gone do not matter."""
        bit = 1 << post
        for stimulus in ids:
            entry = self._stimuli.get(stimulus)
            if entry is not None:
                entry.closed |= bit
                if entry.waits_for_closes and entry.closed == self._all:
                    self._forget(stimulus, entry)

    def overdue(self, now: float) -> tuple[dict[int, dict[int, int]], int]:
        """What has waited too long.

        Returns:
            the stimuli to present again, as ``{presentation: {stimulus: row}}``, and how many places were
            given back because their confirmed stimulus was not closed in time.

        """
        again: dict[int, dict[int, int]] = {}
        unclosed = 0
        due: list[tuple[int, float, list[int]]] = []  # (presentation, wait, ids) to be watched anew
        while self._due and self._due[0][0] <= now:
            _, _, presentation, waited, ids = heapq.heappop(self._due)
            for stimulus in ids:
                entry = self._stimuli.get(stimulus)
                if entry is None or entry.presentation != presentation:
                    continue
                if entry.confirmed:
                    self._forget(stimulus, entry)
                    unclosed += 1
                else:
                    entry.presentation += 1
                    entry.closed = 0
                    again.setdefault(entry.presentation, {})[stimulus] = entry.row
            wait = min(2 * waited, self.retry_s * 2**DOUBLINGS)
            due.append((presentation + 1, wait, [s for s in ids if s in self._stimuli]))
        for presentation, wait, ids in due:
            if ids:
                self._watch(ids, presentation, now, wait)
        return again, unclosed

    def expedite(self, now: float) -> None:
        """Everything is overdue now, and what is presented again because of that will soon be so once more.

        So will be what is new meanwhile: who has not heard yet sends it to a process that is gone.
        """
        self._unsettled_until = now + SOON_S
        soon = min(SOON_S, self.retry_s) / 2
        self._due = [(now, n, presentation, soon, ids) for _, n, presentation, _, ids in self._due]
        heapq.heapify(self._due)

    def unconfirmed(self) -> Iterator[int]:
        """Data rows of the training stimuli that have not been confirmed."""
        return (s.row for k, s in self._stimuli.items() if not s.confirmed and k < EVALUATION)

    def _forget(self, stimulus: int, entry: Stimulus) -> None:
        del self._stimuli[stimulus]
        self._pending -= entry.waits_for_closes

    def _watch(self, ids: list[int], presentation: int, now: float, wait: float) -> None:
        self._volleys += 1
        heapq.heappush(self._due, (now + wait, self._volleys, presentation, wait, ids))
