"""What the source keeps of the stimuli that are under way, and the score it keeps of those that came back."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

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
        """Share of the last thousand or so that were confirmed that had a gradient; at first taken to be all."""

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
            self.share += min(1.0, len(ids) / Trend.SPAN) * (sum(pending) / len(ids) - self.share)
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


class Evaluation:
    """Passes over the test part, one at a time, beside the training.

    Args:
        rows: rows of the test part; with none there is never a pass.
        first_id: of the stimuli of all passes.

    """

    def __init__(self, rows: int, first_id: int = EVALUATION) -> None:
        self.result: tuple[float, float] | None = None  # accuracy and mean loss of the last whole pass
        self.stimuli = -1  # training stimuli that counted when the last pass began
        self.still = False  # whether the weights stood still throughout it
        self._rows = rows
        self._next_row = rows
        self._next_id = first_id
        self._seen = self._hits = 0
        self._loss = 0.0
        self._under_way = False
        self._asked = False

    def ask(self) -> None:
        """Let a pass begin as soon as none is under way."""
        self._asked = True

    def begin(self, stimuli: int, still: bool = False) -> None:
        """Begin a pass; `stimuli` is how many training stimuli have counted, `still` whether none are under way."""
        if self._rows:
            self._under_way, self._asked = True, False
            self.stimuli, self.still = stimuli, still
            self._next_row = self._seen = self._hits = 0
            self._loss = 0.0

    def cancel(self) -> None:
        """Forget a pass that is asked for; present nothing more of one that is under way."""
        self._asked = False
        self._next_row = self._rows

    @property
    def due(self) -> bool:
        """Whether a pass was asked for and may begin."""
        return self._asked and not self._under_way

    @property
    def left(self) -> int:
        """Rows that the pass has yet to present."""
        return self._rows - self._next_row

    def take(self, n: int) -> tuple[int, NDArray[np.int64]]:
        """The next n rows of the pass, and the id of the first."""
        first, rows = self._next_id, np.arange(self._next_row, self._next_row + n)
        self._next_id += n
        self._next_row += n
        return first, rows

    def add(self, loss: NDArray[np.float32], hit: NDArray[np.bool_]) -> None:
        """Take in what the readout said of some rows; both arrays have an entry a row."""
        self._seen += len(loss)
        self._hits += int(hit.sum())
        self._loss += float(loss.sum(dtype=np.float64))

    def complete(self) -> bool:
        """Whether the pass has just come to its end; `result` is its outcome then."""
        if not self._under_way or self._seen < self._rows:
            return False
        self._under_way = False
        self.result = (self._hits / self._rows, self._loss / self._rows)
        return True


@dataclass(slots=True)
class Trend:
    """Running means of loss and accuracy over about the last thousand stimuli."""

    loss: float = 0.0
    accuracy: float = 0.0
    stimuli: int = 0
    SPAN = 1000

    def add(self, loss: NDArray[np.float32], hit: NDArray[np.bool_]) -> None:
        """Take some stimuli in; both arrays have an entry a stimulus."""
        n = len(loss)
        self.stimuli += n
        share = n / max(n, min(self.stimuli, self.SPAN))
        self.loss += share * (float(np.add.reduce(loss)) / n - self.loss)
        self.accuracy += share * (int(np.count_nonzero(hit)) / n - self.accuracy)
