"""`neurond run` as its surroundings may treat it: closed streams, a terminal that goes, a broker that hangs."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.command import NEUROND, environment, neurond
from tests.endless import ENDLESS
from tests.waiting import DEADLINE_S, until

RUN = [*NEUROND, "run", "digits", "--run", "run"]
LONG = ["--set", ENDLESS]


def summary(folder: Path) -> dict[str, Any]:
    """What the run left, with a checkpoint to go on from."""
    assert (folder / "run" / "checkpoints" / "manifest.json").is_file()
    found: dict[str, Any] = json.loads((folder / "run" / "summary.json").read_text())
    return found


def trains(folder: Path) -> bool:
    """Whether stimuli are being confirmed."""
    metrics = folder / "run" / "metrics.jsonl"
    rows = metrics.read_text().splitlines() if metrics.exists() else []
    return bool(rows) and json.loads(rows[-1])["stimuli"] > 0


@contextmanager
def training(folder: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    """A long run that trains; whatever is left of it at the end is killed."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [*RUN, *LONG, *more], cwd=folder, env=environment(), stdout=pipe, stderr=pipe, text=True
    ) as run:
        try:
            until(lambda: trains(folder) or run.poll() is not None, "the first stimuli")
            yield run
        finally:
            run.kill()


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams(tmp_path: Path, closed: str) -> None:
    """A run whose standard streams are closed trains to its end, is saved, and is 0."""
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", *RUN, "--set", "source.epochs=2"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert summary(tmp_path)["epochs"] == 2


def test_an_unusable_runtime_folder(tmp_path: Path) -> None:
    """Without a terminal too the user is told, once, that the sockets are not where they were to be."""
    wanted = str(tmp_path / "none")
    done = neurond(tmp_path, "run", "xor", "--set", "source.epochs=1", XDG_RUNTIME_DIR=wanted)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(f"XDG_RUNTIME_DIR={wanted} cannot hold sockets; they are in /") == 1


def test_hangup(tmp_path: Path) -> None:
    """SIGHUP, as of a session that is closed, stops a run as Ctrl-C does: drained, saved, and 130."""
    with training(tmp_path) as run:
        run.send_signal(signal.SIGHUP)
        _, err = run.communicate(timeout=DEADLINE_S)
    assert run.returncode == 130
    assert err.splitlines()[-1] == "neurond: interrupted, saved; go on with --resume run"
    assert summary(tmp_path)["why"] == "interrupted"


def test_hangup_of_a_run_that_is_to_live_on(tmp_path: Path) -> None:
    """Under nohup a SIGHUP changes nothing."""
    command = ["nohup", *RUN, *LONG, "--for", "3s", "--quiet"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment(), stderr=subprocess.DEVNULL) as run:
        until(lambda: trains(tmp_path) or run.poll() is not None, "the first stimuli")
        run.send_signal(signal.SIGHUP)
        assert run.wait(DEADLINE_S) == 0
    assert summary(tmp_path)["why"] == "stopped"


@pytest.mark.parametrize("more", [[], ["--json"], ["--json", "--quiet"], ["plain"]])
def test_a_terminal_that_is_closed(tmp_path: Path, more: list[str]) -> None:
    """When its terminal is closed, whatever it shows there, a run is drained and saved, and leaves with 130."""
    arguments = [*RUN, *LONG, *(word for word in more if word != "plain")]
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execve(sys.executable, arguments, environment() | {"TERM": "dumb" if "plain" in more else "xterm"})

    def read_and_look() -> bool:
        if select.select([terminal], [], [], 0.0)[0]:
            os.read(terminal, 65536)
        return trains(tmp_path)

    try:
        until(read_and_look, "the first stimuli")
    finally:
        os.close(terminal)
    _, status = until(lambda: (found := os.waitpid(pid, os.WNOHANG))[0] and found, "the end of the run")
    assert os.waitstatus_to_exitcode(status) == 130
    assert summary(tmp_path)["why"] == "interrupted"


def test_a_reader_that_goes(tmp_path: Path) -> None:
    """A run whose words and data nobody reads any more goes on, and its exit code is its own."""
    with training(tmp_path, "--json") as run:
        assert run.stdout is not None
        assert run.stderr is not None
        run.stdout.close()
        run.stderr.close()
        run.send_signal(signal.SIGINT)
        assert run.wait(DEADLINE_S) == 130
    assert summary(tmp_path)["why"] == "interrupted"


def test_a_broker_that_hangs(tmp_path: Path) -> None:
    """A broker that hangs and may not be started anew is named, with 5, some six seconds after its last word."""
    with training(tmp_path, "--restarts", "0") as run:
        children = psutil.Process(run.pid).children()
        (broker,) = (child for child in children if "broker" in child.cmdline())
        began = time.monotonic()
        broker.suspend()
        _, err = run.communicate(timeout=DEADLINE_S)
        took = time.monotonic() - began
    assert run.returncode == 5
    assert "neurond: process 'broker' was lost: it hangs: not a word from it for 5 s" in err
    assert "Traceback" not in err
    assert took < 8.0
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)
