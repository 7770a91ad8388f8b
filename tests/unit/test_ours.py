"""Which processes are neurond's own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from neurond.cli import ours

AT = "ipc:///tmp/neurond-nowhere/"
SLEEP = "import sys; print(flush=True); sys.stdin.read()"


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["-m", "neurond.daemon", "group", "h1", "--broker", AT], "h1"),
        (["-m", "broker", "--plan", "p", "--address", AT], "broker"),
        (["-m", "neurond", "group", "h2", "--broker", AT], "h2"),
        (["-m", "neurond", "broker", "digits", "--address", AT], "broker"),
        (["-m", "neurond", "monitor", "--broker", AT], ""),
        (["-m", "http.server", "--address", AT], None),
        (["train.py", AT], None),
    ],
)
def test_processes_are_told_by_their_command_lines(arguments: list[str], name: str | None) -> None:
    """What serves a run is found by its broker's address and named; what only watches it is no process of the run."""
    command = [sys.executable, "-c", SLEEP, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert ours.of_broker(AT) == ({process.pid: name} if name else {})
        assert ours.alive([process.pid, os.getpid()]) == ([] if name is None else [process.pid])
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, but nobody has asked how
        assert ours.alive([process.pid]) == []
        assert ours.of_broker(AT) == {}
