"""The command `neurond` as a user types it: run to its end for its summary, or watched while it runs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from tests.bench.report import MeasurementError
from tests.command import NEUROND, environment
from tests.supervised import broker_address

DEADLINE_S = 60.0  # for a network to come up, or to be gone
POLL_S = 0.1  # looking through the processes costs processor time that the network needs


def shown(*arguments: str) -> str:
    """A command as it stands in the table; the data folder is the reader's own."""
    return "neurond " + shlex.join(arguments)


def overriding(*overrides: str) -> list[str]:
    """The options by which values of a topology are overridden."""
    return [part for override in overrides for part in ("--set", override)]


def times_fewer(result: Mapping[str, Any]) -> dict[str, float]:
    """How many times fewer notifications, updates and bytes a run needed than a dense one, from its summary."""
    return {key: result[f"{key}_dense"] / max(1, result[key]) for key in ("notifications", "updates", "bytes")}


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder for one measurement, gone after it."""
    with tempfile.TemporaryDirectory(prefix="nb-") as folder:
        yield Path(folder)


def summary(run_dir: Path, *arguments: str) -> dict[str, Any]:
    """Run `neurond run ...` to its end and return its summary; the run is in `run_dir`, a new folder."""
    done = subprocess.run(
        [*NEUROND, "run", *arguments, "--run", str(run_dir), "--json", "--quiet"],
        cwd=run_dir.parent,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise MeasurementError(_last(done.stderr) or f"neurond run: exit code {done.returncode}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


class Live:
    """A network while it runs.

    Args:
        supervisor: the process of `neurond run`.
        began: `time.monotonic()` just before it was started.
        run_dir: its run folder.

    """

    def __init__(self, supervisor: psutil.Popen, began: float, run_dir: Path) -> None:
        self.supervisor = supervisor
        self.began = began
        self.run_dir = run_dir
        self._errors = run_dir.parent / "words"

    def processes(self) -> dict[str, psutil.Process]:
        """The supervisor's children by name (``broker``, ``source``, ``h1``); not itself."""
        found: dict[str, psutil.Process] = {}
        with contextlib.suppress(psutil.Error):
            for child in self.supervisor.children():
                with contextlib.suppress(psutil.Error):
                    if name := _name(child.cmdline()):
                        found[name] = child
        return found

    async def address(self) -> str:
        """The broker's address, once there is a broker; from outside it is known only by its command line."""
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            if (broker := self.processes().get("broker")) is not None:
                with contextlib.suppress(psutil.Error):
                    line = broker.cmdline()
                    return broker_address(line)
            if self.supervisor.poll() is not None:
                raise MeasurementError(_last(self._errors.read_text()) or "neurond run ended at once")
            await asyncio.sleep(POLL_S)
        raise MeasurementError(f"no broker within {DEADLINE_S:g} s")


@contextlib.contextmanager
def live(*arguments: str) -> Iterator[Live]:
    """`neurond run ...`, started; it and all its processes are gone after the context."""
    with scratch() as folder, (folder / "words").open("wb") as words:
        began = time.monotonic()
        supervisor = psutil.Popen(
            [*NEUROND, "run", *arguments, "--run", str(folder / "run"), "--quiet"],
            cwd=folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=words,
        )
        network = Live(supervisor, began, folder / "run")
        try:
            yield network
        finally:
            _end(supervisor, list(network.processes().values()))


def _end(supervisor: psutil.Popen, children: list[psutil.Process]) -> None:
    """Stop at once: the first SIGTERM asks, the second insists. What is left after that is killed."""
    deadline = time.monotonic() + DEADLINE_S
    while supervisor.poll() is None and time.monotonic() < deadline:
        supervisor.terminate()
        with contextlib.suppress(psutil.TimeoutExpired, subprocess.TimeoutExpired):
            supervisor.wait(0.3)
    if supervisor.poll() is None:
        supervisor.kill()
        supervisor.wait()
    _, left = psutil.wait_procs(children, timeout=5)
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, timeout=5)


def _name(command: Sequence[str]) -> str:
    """Name of a process of a run, from its command; empty if it is none."""
    for module in ("broker", "neurond.daemon"):
        if module in command:
            after = command[command.index(module) + 1 :]
            return "broker" if module == "broker" else after[1] if after[0] == "group" else after[0]
    return ""


def _last(words: str) -> str:
    lines = words.strip().splitlines()
    return lines[-1] if lines else ""
