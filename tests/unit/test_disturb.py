"""Who is stopped, and that only those are."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil
import pytest

from neurond.experiments.disturb import _stopped


def test_a_process_stands_still_and_goes_on() -> None:
    """It is stopped inside the context, and goes on after it."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        seen = psutil.Process(process.pid)
        with _stopped(process.pid):
            until(seen, stopped=True)
        until(seen, stopped=False)
        process.communicate(b"\n")
    with _stopped(process.pid):  # it is gone: nobody's concern
        pass


def until(process: psutil.Process, *, stopped: bool) -> None:
    """Wait until the system says so."""
    deadline = time.monotonic() + 10
    while (process.status() == psutil.STATUS_STOPPED) is not stopped:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("number", [0, -1])
def test_a_number_that_means_a_group_of_processes_is_refused(number: int) -> None:
    """A process that has left has the number 0 at the broker: to the system that is all of our own group."""
    with pytest.raises(ValueError, match=f"no process has the number {number}"), _stopped(number):
        pass
