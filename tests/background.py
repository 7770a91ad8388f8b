"""A run in the background, as `neurond up -d` starts it, and verbs that find it by themselves."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import psutil
import pytest

from neurond.cli import app
from tests.command import DEADLINE_S, NEUROND, environment, neurond
from tests.endless import ENDLESS
from tests.waiting import gone


@dataclass(frozen=True)
class Said:
    """What a verb has printed."""

    stdout: str
    stderr: str


class Background:
    """A run of digits that does not end by itself; `told` is what `up` printed.

    Args:
        folder: where the verbs are typed; the run is in `run` there.
        sockets: the folder for its socket folder.
        more: options of `up`.

    """

    def __init__(self, folder: Path, sockets: Path, *more: str) -> None:
        self.folder = folder
        self.environment = environment() | {"TMPDIR": str(sockets)}
        options = ["-d", "--json", "--run", "run", "--set", ENDLESS, *more]
        done = neurond(folder, "up", "digits", *options, TMPDIR=str(sockets))
        assert done.returncode == 0, done.stderr
        self.told: dict[str, Any] = json.loads(done.stdout)
        self.supervisor = psutil.Process(self.told["pid"])
        self.processes = self.supervisor.children()
        self.sockets = Path(self.told["broker"].removeprefix("ipc://"))

    def verb(self, *arguments: str, code: int = 0) -> Said:
        """A verb, which finds the run by itself; in this process, for there are many of them."""
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, self.environment, clear=True),
            mock.patch.object(tempfile, "tempdir", self.environment["TMPDIR"]),
            chdir(self.folder),
            redirect_stdout(out),
            redirect_stderr(err),
            pytest.raises(SystemExit) as left,
        ):
            app.main(arguments)
        assert (left.value.code or 0) == code, (arguments, out.getvalue(), err.getvalue())
        return Said(out.getvalue(), err.getvalue())

    def row(self) -> dict[str, Any]:
        """What `ps` tells of it."""
        (row,) = json.loads(self.verb("ps", "--json").stdout)
        return dict(row)

    @contextmanager
    def following(self) -> Iterator[subprocess.Popen[str]]:
        """`logs --follow` of it, once that has begun."""
        command = [*NEUROND, "logs", "--follow", "--lines", "1", "--json"]
        with subprocess.Popen(
            command, cwd=self.folder, env=self.environment, text=True, stdout=subprocess.PIPE
        ) as follower:
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
