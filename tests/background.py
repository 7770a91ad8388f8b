"""A run in the background, as `neurond up -d` starts it, and verbs that find it by themselves."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from tests.command import DEADLINE_S, NEUROND, environment, neurond
from tests.endless import ENDLESS
from tests.waiting import gone


class Background:
    """A run of digits that does not end by itself; `told` is what `up` printed.

    Args:
        folder: where the verbs are typed; the run is in `run` there.
        sockets: the folder for its socket folder.

    """

    def __init__(self, folder: Path, sockets: Path) -> None:
        self.folder = folder
        self._environment = {"TMPDIR": str(sockets)}
        done = self.verb("up", "digits", "-d", "--json", "--run", "run", "--set", ENDLESS)
        self.told: dict[str, Any] = json.loads(done.stdout)
        self.supervisor = psutil.Process(self.told["pid"])
        self.processes = self.supervisor.children()
        self.sockets = Path(self.told["broker"].removeprefix("ipc://"))

    def verb(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """A verb, which finds the run by itself."""
        done = neurond(self.folder, *arguments, **self._environment)
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        return done

    def row(self) -> dict[str, Any]:
        """What `ps` tells of it."""
        (row,) = json.loads(self.verb("ps", "--json").stdout)
        return dict(row)

    @contextmanager
    def following(self) -> Iterator[subprocess.Popen[str]]:
        """`logs --follow` of it, once that has begun."""
        command = [*NEUROND, "logs", "--follow", "--lines", "1", "--json"]
        whole = environment() | self._environment
        with subprocess.Popen(command, cwd=self.folder, env=whole, text=True, stdout=subprocess.PIPE) as follower:
            assert follower.stdout is not None
            follower.stdout.readline()
            yield follower

    def nothing_is_left(self) -> bool:
        """No process, no socket, no word that it runs."""
        here = [self.sockets, self.folder / "run" / "running.json"]
        return all(map(gone, [self.supervisor, *self.processes])) and not any(path.exists() for path in here)

    def end(self) -> None:
        """Kill whatever is left at the end of a test."""
        for process in (self.supervisor, *self.processes):
            if process.is_running():
                process.kill()
        psutil.wait_procs([self.supervisor, *self.processes], timeout=DEADLINE_S)
