"""What tests of whole runs share: a run that does not end, something done in mid-run, the processes by name."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import psutil

from monitor.view import View


class Watch:
    """An `on_view` that does something once, when training has begun."""

    def __init__(self, act: Callable[[], None]) -> None:
        self.acted_at: float | None = None
        self._act = act

    def __call__(self, view: View) -> None:
        """Called with the view."""
        if self.acted_at is None and view.stimuli:
            self.acted_at = time.monotonic()
            self._act()


def broker_address(command: Sequence[str]) -> str:
    """The address in the command line of a broker."""
    return command[command.index("--address") + 1]


def child(name: str) -> psutil.Process:
    """The process of this name among our children."""
    end = "broker" if name == "broker" else name
    for process in psutil.Process().children():
        command = process.cmdline()
        if end in (command[3:4] if name == "broker" else command[4:6]):
            return process
    raise AssertionError(f"no child is {name}")
