"""What happened in a run, for its folder: ``events.jsonl``, a line an event, and bounded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from neurond.errors import RunError
from neurond.runs import Rows
from topology.plan import BROKER
from topology.wire import Event

MOST = 10_000
"""Events that are written of one run, or of one part of it that was resumed: a process that dies and comes back for
days must not fill a disk."""

_LEFT_OUT = ("telemetry", "process")
"""What else an event carries: the last figures of all processes are in the summary, and who it is about has a key."""


class Events:
    """``events.jsonl`` of a run, open for appending.

    Each line has `t_s`, seconds from the first word of the run; `process`, whom it is about, or the broker; `kind`
    and `data` as in `wire.Event`. If some were not written, the last line is of the kind `unwritten` and counts them.
    """

    def __init__(self, run_dir: Path, most: int = MOST) -> None:
        self._file = Rows(run_dir, "events.jsonl")
        self._left = most
        self._unwritten = 0
        self._t_s = 0.0

    def append(self, event: Event, t_s: float) -> None:
        """Write an event; one too many is counted, and so is one that the disk does not take: no reason to stop."""
        self._t_s = round(t_s, 3)
        if self._left <= 0:
            self._unwritten += 1
            return
        about = str(event.data.get("process") or event.name or BROKER)
        data = {k: v for k, v in event.data.items() if k not in _LEFT_OUT}
        self._write({"t_s": self._t_s, "process": about, "kind": event.kind, "data": data})

    def close(self) -> None:
        """Close the file; first it is said in it how many events are missing."""
        if self._unwritten:
            self._write({"t_s": self._t_s, "kind": "unwritten", "data": {"events": self._unwritten}})
        self._file.close()

    def _write(self, line: dict[str, Any]) -> None:
        try:
            self._file.append(line)
            self._left -= 1
        except RunError:
            self._unwritten += 1
