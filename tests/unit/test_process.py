"""What every process of a run does alike."""

from __future__ import annotations

import subprocess
import sys

import pytest

SHOW = "import os; from topology.process import take_turns; {}take_turns(); print(os.sched_getscheduler(0))"


@pytest.mark.skipif(sys.platform != "linux", reason="scheduling policies are Linux's")
@pytest.mark.parametrize(("chosen", "expected"), [("", "SCHED_BATCH"), ("SCHED_IDLE", "SCHED_IDLE")])
def test_a_process_takes_turns_unless_told_otherwise(chosen: str, expected: str) -> None:
    """An ordinary process no longer cuts in when it wakes; a policy that somebody chose stands."""
    choose = f"os.sched_setscheduler(0, os.{chosen}, os.sched_param(0)); " if chosen else ""
    script = SHOW.format(choose) + f"; print(os.{expected})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    policy, wanted = done.stdout.split()
    assert policy == wanted
