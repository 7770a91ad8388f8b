"""A network whose processes are started one by one, as in terminals of their own or in containers."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.command import DEADLINE_S, NEUROND, environment, neurond
from tests.waiting import until
from topology import address

DIGITS = ("source", "h1", "h2", "out")


class ByHand:
    """The processes of digits, and the broker, in `folder`.

    Args:
        folder: where the commands run.
        overrides: for the broker, as `--set` takes them.

    """

    def __init__(self, folder: Path, *overrides: str) -> None:
        self.folder = folder
        self.address = address.of_folder(address.make_folder())
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._overrides = [part for override in overrides for part in ("--set", override)]

    def start_broker(self, *options: str, run: str = "run") -> None:
        """The broker as a user starts it, with this run folder."""
        verb = ("broker", "digits", "--address", self.address, "--run", run, *self._overrides)
        self._start("broker", [*NEUROND, *verb, *options])

    def start_processes(self) -> None:
        """The source and the groups; returns when each knows its incarnation, and the broker that all are there."""
        awaited = [("broker", "broker: running\n"), *((name, f"{name}: incarnation ") for name in DIGITS)]
        before = {name: self._said(name, line) for name, line in awaited}
        for name in DIGITS:
            verb = [name] if name == "source" else ["group", name]
            self._start(name, [*NEUROND, *verb, "--broker", self.address])
        # The broker's word alone would not do: killed at once, it may take a welcome along that is still to be sent.
        for name, line in awaited:
            until(lambda name=name, line=line: self._said(name, line) > before[name], f"{name} says {line!r}")

    def kill(self, name: str) -> None:
        """SIGKILL to one process; returns when it is gone."""
        self.processes[name].kill()
        self.processes[name].wait(DEADLINE_S)

    def status(self) -> dict[str, Any]:
        """What the broker tells; empty while it does not answer."""
        told = neurond(self.folder, "status", "--json", "--broker", self.address)
        return dict(json.loads(told.stdout)) if told.returncode == 0 else {}

    def wait(self) -> dict[str, int]:
        """The exit codes, once all have left by themselves."""
        return {name: process.wait(DEADLINE_S) for name, process in self.processes.items()}

    def end(self) -> None:
        """Leave no process and no file of the sockets, whatever has become of the run."""
        for process in self.processes.values():
            process.terminate()
        self.wait()
        address.remove_folder(Path(self.address.removeprefix("ipc://")))

    def _said(self, name: str, line: str) -> int:
        """How often the processes of this name have said this."""
        log = self.folder / f"{name}.log"
        return log.read_text().count(line) if log.exists() else 0

    def _start(self, name: str, command: Sequence[str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command, cwd=self.folder, env=environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.processes[name] = process


@contextmanager
def by_hand(folder: Path, *overrides: str) -> Iterator[ByHand]:
    """Such a network for the time of a test; nothing is started yet."""
    made = ByHand(folder, *overrides)
    try:
        yield made
    finally:
        made.end()
