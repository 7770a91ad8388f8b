"""A real run on this machine, recorded while its processes are harmed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil

from monitor.client import Client
from neurond import data
from neurond.runs import Run, open_run
from tests.endless import EPOCHS
from tests.fault.history import History, Mark, check, recording
from tests.supervised import broker_address, child
from tests.training import Training, begun
from tests.waiting import DEADLINE_S, comes
from topology import wire
from topology.plan import Plan

BROKER = "broker"
WITHIN_S = 10.0
"""Seconds after which stimuli are confirmed again, on however busy a machine. `tests.fault.numbers` measures them."""


class Running(Training):
    """A run that trains, its history, and a client of its broker."""

    client: Client
    history: History

    @property
    def plan(self) -> Plan:
        """What the processes were told."""
        return open_run(self.folder).plan

    async def successor(self, name: str, pid: int) -> None:
        """Wait until another process has taken the place of one, and everybody is registered with the broker."""

        async def there() -> bool:
            process = _command(name)
            if process is None or process.pid == pid:
                return False
            reply = await self.client.command("status", timeout_s=5.0)
            holders = reply.data["processes"]
            return all(holder["alive"] for holder in holders.values()) and (
                name == BROKER or holders[name]["pid"] == process.pid
            )

        await self.comes(there, f"{name} is started anew")

    def over(self, what: str, within_s: float = WITHIN_S) -> None:
        """Note that a fault has happened just now, and that learning is to go on soon."""
        self.history.marks.append(Mark(time.monotonic(), what, within_s))

    async def ask(self, verb: str, **args: Any) -> wire.Reply:
        """A command to the broker, which must be able to do it."""
        reply = await self.client.command(verb, timeout_s=DEADLINE_S, **args)
        assert reply.ok, reply.error
        return reply

    async def end(self) -> Run:
        """Stop it in good order, wait for its end, and check all that was seen."""
        run = await super().end()
        await self._checked(None)
        return run

    async def to_its_end(self, total: int, within_s: float = 120.0) -> Run:
        """Wait until it has come to its end by itself, and check all that was seen."""
        async with asyncio.timeout(within_s):
            run = await self.task
        await self._checked(total)
        return run

    async def _checked(self, total: int | None) -> None:
        await comes(lambda: self.history.events("ended"), "the broker's last word")
        assert psutil.Process().children() == []
        check(self.history, total)


def train_size(name: str) -> int:
    """Training stimuli of an epoch."""
    return data.describe(name).train


@asynccontextmanager
async def running(
    folder: Path,
    topology: str = "digits",
    epochs: int = EPOCHS,
    settings: dict[str, Any] | None = None,
    **options: Any,
) -> AsyncIterator[Running]:
    """A run that trains; it is over at the end of the context, whatever has become of it."""
    chosen = {"source.epochs": epochs, **(settings or {})}
    options.setdefault("restarts", 1000)
    async with begun(Running(folder), topology, chosen, **options) as it:
        command = (await it.comes(lambda: _command("broker"), "a broker")).cmdline()
        await it.comes((folder / "plan.json").exists, "the plan")
        it.history = History(it.plan)
        async with recording(broker_address(command), it.history) as it.client:
            await it.goes_on(1)
            yield it


def _command(name: str) -> psutil.Process | None:
    try:
        return child(name)
    except (AssertionError, psutil.Error):
        return None
