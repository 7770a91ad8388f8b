"""Local processes: start them at once, notice at once when one ends, and leave none behind.

A child gets a session of its own, so that Ctrl-C at the terminal reaches only whoever supervises, and a pipe as
standard input that nobody writes to: it ends when the supervisor does, however that dies, and a child that
watches it leaves then (`--tethered`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TAIL_BYTES = 16_384  # of a log, read to show its last lines


@dataclass(frozen=True, slots=True)
class Exit:
    """A process has ended; a negative code is the signal that killed it."""

    name: str
    code: int

    @property
    def how(self) -> str:
        """The exit in words."""
        if self.code >= 0:
            return f"exit code {self.code}"
        try:
            return f"killed by {signal.Signals(-self.code).name}"
        except ValueError:
            return f"killed by signal {-self.code}"


class SpawnError(RuntimeError):
    """A process could not be started; one line that says why."""


class Spawner:
    """The local processes of one run, by name.

    Args:
        logs: folder for ``<name>.log``, made if it is missing; a log that is there is appended to.
        environment: of the processes; this process' own by default.

    """

    def __init__(self, logs: Path, environment: Mapping[str, str] | None = None) -> None:
        self.exits: asyncio.Queue[Exit] = asyncio.Queue()
        """Every process that ended, in the order in which they did, whether it was stopped or not."""
        self._logs = logs
        self._environment = dict(os.environ if environment is None else environment)
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._waiters: dict[str, asyncio.Task[None]] = {}

    async def start(self, commands: Mapping[str, Sequence[str]]) -> None:
        """Start these processes, all at once: name -> program and arguments.

        Raises SpawnError if one cannot be started or its log not be written; those that were started run on.
        """
        started = await asyncio.gather(
            *(self._start(name, command) for name, command in commands.items()), return_exceptions=True
        )
        for name, error in zip(commands, started, strict=True):
            if isinstance(error, OSError):
                raise SpawnError(f"cannot start {name}: {error.strerror or error}") from error
            if error is not None:
                raise error

    @property
    def running(self) -> tuple[str, ...]:
        """Names of the processes that have not ended, in the order of their start."""
        return tuple(name for name, process in self._processes.items() if process.returncode is None)

    def pid(self, name: str) -> int:
        """Process id; KeyError if there is no such process."""
        return self._processes[name].pid

    def log(self, name: str) -> Path:
        """Where a process' output goes."""
        return self._logs / f"{name}.log"

    def last_lines(self, name: str, n: int = 10) -> list[str]:
        """The last lines of a process' log, without ends; empty if it said nothing."""
        try:
            with self.log(name).open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
                lines = file.read().decode(errors="replace").splitlines()
        except OSError:
            return []
        return [line for line in lines if line.strip()][-n:]

    async def stop(self, names: Iterable[str] | None = None, grace_s: float = 0.5) -> None:
        """Stop these processes (all by default), in this order: SIGTERM, after `grace_s` SIGKILL.

        Returns when they have ended. SIGKILL is not waited for longer than a second: a process in the
        uninterruptible sleep of a broken disk does not even hear that.
        """
        chosen = [n for n in (self._processes if names is None else names) if n in self.running]
        for number, pause_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 1.0)):
            for name in chosen:
                if name in self.running:
                    self._signal(name, number)
            await self.ended(chosen, pause_s)

    def kill(self, name: str) -> None:
        """SIGKILL, now, to a process that does not even hear anything else; its exit follows."""
        if name in self.running:
            self._signal(name, signal.SIGKILL)

    async def ended(self, names: Iterable[str] | None = None, timeout_s: float = 1.0) -> bool:
        """Wait until these processes (all by default) have ended by themselves; false if some have not."""
        waiters = [self._waiters[n] for n in (self._waiters if names is None else names)]
        if not waiters:
            return True
        _, left = await asyncio.wait(waiters, timeout=timeout_s)
        return not left

    async def _start(self, name: str, command: Sequence[str]) -> None:
        self._logs.mkdir(parents=True, exist_ok=True)
        with self.log(name).open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )
        self._processes[name] = process
        self._waiters[name] = asyncio.create_task(self._wait(name, process), name=f"wait for {name}")

    async def _wait(self, name: str, process: asyncio.subprocess.Process) -> None:
        code = await process.wait()
        if process.stdin is not None:
            process.stdin.close()
        self.exits.put_nowait(Exit(name, code))

    def _signal(self, name: str, number: signal.Signals) -> None:
        """To the process and whatever it started: its session is its own, so its group is too."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._processes[name].pid, number)
