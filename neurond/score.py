"""The score that the source keeps of the stimuli that came back: evaluations, and how the training goes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from topology.wire import EVALUATION

LATE = 1000
"""Stimuli of training that count as those of late."""


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
    """Running means of loss and accuracy over the stimuli of late (`LATE` or so)."""

    loss: float = 0.0
    accuracy: float = 0.0
    stimuli: int = 0

    def add(self, loss: NDArray[np.float32], hit: NDArray[np.bool_]) -> None:
        """Take some stimuli in; both arrays have an entry a stimulus."""
        n = len(loss)
        self.stimuli += n
        share = n / max(n, min(self.stimuli, LATE))
        self.loss += share * (float(np.add.reduce(loss)) / n - self.loss)
        self.accuracy += share * (int(np.count_nonzero(hit)) / n - self.accuracy)
