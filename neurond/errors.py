"""What can go wrong with a run, as exceptions: each message is for a person, each has an exit code.

`TopologyError` (topology.errors) and `DataError` (neurond.data) say what is wrong with what the user wrote;
these say what went wrong with a run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from topology import exits
from topology.address import AddressError, AddressInUse, BrokerUnreachable

if TYPE_CHECKING:
    from neurond.runs import Run

__all__ = [
    "AddressError",
    "AddressInUse",
    "BrokerUnreachable",
    "Diverged",
    "Interrupted",
    "NeurondError",
    "NoSuchRun",
    "ProcessLost",
    "RunError",
    "TargetNotReached",
    "WrongUse",
]

# ruff: noqa: N818 - these are named for what happened


class NeurondError(Exception):
    """A run failed; `exit_code` is what the command line exits with."""

    exit_code = exits.FAILED


class WrongUse(ValueError):
    """Something was asked for in a way that cannot be meant; the message is one line for the user."""

    exit_code = exits.USAGE


class RunError(NeurondError):
    """A run folder cannot be used, or what is in it is damaged."""


class NoSuchRun(RunError):
    """A name that is none of a run."""

    exit_code = exits.USAGE


class Diverged(NeurondError):
    """The numbers of a group grew without bound; `hint` says what to try. The last checkpoint is kept."""

    def __init__(self, process: str, what: str, hint: str = "") -> None:
        self.process, self.what, self.hint = process, what, hint
        super().__init__(f"{process} diverged: {what}" + (f"; {hint}" if hint else ""))


class ProcessLost(NeurondError):
    """A process died or fell silent. `lines` are the last ones of its log, part of the message as `hint` is."""

    exit_code = exits.LOST

    def __init__(self, process: str, why: str, lines: list[str] | None = None, log: str = "", hint: str = "") -> None:
        self.process, self.why, self.lines, self.log = process, why, lines or [], log
        head = f"process {process!r} was lost: {why}" + (f" (log: {log})" if log else "")
        own = (f"  {process} | {line.removeprefix(f'{process}: ')}" for line in self.lines)
        super().__init__("\n".join([head, *own, *filter(None, [hint])]))


class TargetNotReached(NeurondError):
    """The run is over, and what `until` asked for was not reached; `run` is complete all the same."""

    exit_code = exits.MISSED

    def __init__(self, message: str, run: Run) -> None:
        self.run = run
        super().__init__(message)


class Interrupted(NeurondError):
    """The user stopped the run; it was drained and saved, and `run` holds what there is."""

    exit_code = exits.INTERRUPTED

    def __init__(self, message: str, run: Run | None = None, saved: bool = False) -> None:
        self.run, self.saved = run, saved
        super().__init__(message)
