"""Processes that hang, each in its own way, and such as only seem to."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from tests.command import environment
from tests.fault.faults import Fault, Place, injects
from tests.peers import broker
from tests.waiting import DEADLINE_S, until
from topology import address
from topology.watchdog import LOOK_S, LOOKS

CHILD = """
import asyncio, sys, time
from topology import address
from topology.watchdog import Watchdog

def spins():
    while True:
        pass

def blocks():
    time.sleep(600)

async def main():
    with Watchdog("child", look_s=0.02, looks=10) as watchdog:
        for n in range(100):
            watchdog.comes_round()
            await asyncio.sleep(0.01)
            if n == 5:
                print("up", flush=True)
            if n == 50:
                {does}

asyncio.run(main())
print("done", flush=True)
"""

HANGS_ON_REQUEST = """
import signal
def hang(*_):
    while True:
        pass
signal.signal(signal.SIGUSR1, hang)
"""


def child(does: str) -> subprocess.Popen[str]:
    """A process with a quick watchdog that does something in mid-life."""
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-c", CHILD.format(does=does)], env=environment(), stdout=pipe, stderr=pipe, text=True
    )


@injects(Place.PROCESSES, Fault.BUSY_LOOP)
@pytest.mark.parametrize("how", ["spins", "blocks"])
def test_a_loop_that_hangs(how: str) -> None:
    """A process whose loop does not come round any more is ended with 1, and says where it was."""
    with child(f"{how}()") as process:
        out, err = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, out) == (1, "up\n")
    assert err.startswith("child: it hangs: its loop has not come round for 0.2 s\n")
    assert f"in {how}\n" in err
    assert "in main\n" in err


def test_busy_elsewhere() -> None:
    """What is done within `elsewhere` may take as long as it takes."""
    with child("with watchdog.elsewhere(): time.sleep(1)") as process:
        out, err = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, out, err) == (0, "up\ndone\n", "")


def test_what_was_stopped_goes_on() -> None:
    """A process that was stopped for far longer than it may hang (Ctrl-Z, a paused container) goes on afterwards."""
    with child("pass") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        seen = psutil.Process(process.pid)
        seen.suspend()
        until(lambda: seen.status() == psutil.STATUS_STOPPED, "it is stopped")
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.0)
        seen.resume()
        out, err = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, out, err) == (0, "done\n", "")


async def test_processes_without_a_supervisor(run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group and a broker whose loops hang, with nobody to kill them, end themselves and say where they hung."""
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(HANGS_ON_REQUEST)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(hook), environment()["PYTHONPATH"]]))
    folder = address.make_folder()
    at = address.of_folder(folder)
    command = [sys.executable, "-m", "neurond.daemon", "group", "hidden", "--broker", at, "--tethered"]
    pipe = subprocess.PIPE
    with (
        broker(run_dir, at) as of_run,
        subprocess.Popen(command, stdin=pipe, stderr=pipe, text=True) as group,
        closing(group.stdin),
    ):
        assert group.stderr is not None
        line = await asyncio.to_thread(group.stderr.readline)
        assert line.startswith("hidden: incarnation 1")
        for process in (of_run.process, group):
            process.send_signal(signal.SIGUSR1)
        assert await of_run.code() == 1
        assert await asyncio.to_thread(group.wait, DEADLINE_S) == 1
        for name, words in (("broker", of_run.words()), ("hidden", group.stderr.read())):
            assert f"{name}: it hangs: its loop has not come round for {LOOK_S * LOOKS:g} s\n" in words
            assert 'sitecustomize.py", line 4 in hang' in words
    shutil.rmtree(folder)  # who ends like that clears nothing up; the next to bind does
