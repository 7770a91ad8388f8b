"""What the incarnations of one process have reported, one after the other (pure)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from topology.wire import Telemetry

KEPT = 64
"""Incarnations of a process that are kept; of more, the oldest is left out."""


@dataclass(slots=True)
class Life:
    """The first and the last report of one incarnation, as far as any was heard, without their rasters."""

    first: Telemetry
    last: Telemetry


class Lives:
    """The lives of one process, in whatever order their reports come, and however often."""

    def __init__(self) -> None:
        self._lives: dict[int, Life] = {}
        self._left_out = -1  # the latest incarnation that is not kept any more

    def __len__(self) -> int:
        return len(self._lives)

    def __iter__(self) -> Iterator[Life]:
        """The oldest first."""
        return iter(self._lives.values())

    def hear(self, report: Telemetry) -> bool:
        """Take in a report; False if it says nothing new of its life, or comes from one that has been replaced."""
        if report.incarnation <= self._left_out:
            return False
        bare = replace(report, raster=[]) if report.raster else report
        life = self._lives.get(report.incarnation)
        if life is None:
            self._lives[report.incarnation] = Life(bare, bare)
            if report.incarnation != max(self._lives):
                self._lives = dict(sorted(self._lives.items()))
        elif report.seq < life.first.seq:
            life.first = bare
        elif report.seq > life.last.seq and report.incarnation == max(self._lives):
            life.last = bare
        else:
            return False
        return True

    def leave_out(self) -> Life | None:
        """Forget the oldest life, and return it, where there are more than `KEPT`."""
        if len(self._lives) <= KEPT:
            return None
        self._left_out = min(self._lives)
        return self._lives.pop(self._left_out)

    def is_latest(self, report: Telemetry) -> bool:
        """Whether nothing newer than a report has been heard."""
        latest = self._lives[max(self._lives)].last
        return (report.incarnation, report.seq) >= (latest.incarnation, latest.seq)
