"""A long run in progress, and the broker of it: for tests that do things to processes while they train."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest

import neurond
from monitor.client import Client
from monitor.view import View
from neurond.errors import Interrupted
from neurond.runs import Run
from tests.endless import SETTINGS
from tests.supervised import broker_address, child
from tests.waiting import DEADLINE_S, comes
from topology import address
from topology.wire import Reply

ENDS_S = 2 * DEADLINE_S
"""For a run to stop in good order, also just after a fault: a broker that is started anew, and a save."""


class Training:
    """A run in progress, as its `on_view` sees it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.view: View | None = None
        self.stop = asyncio.Event()
        self.task: asyncio.Task[Run]

    def __call__(self, view: View) -> None:
        """The view has changed."""
        self.view = view

    @property
    def confirmed(self) -> int:
        """Stimuli that count so far; 0 while nothing has been heard."""
        return (self.view.stimuli if self.view else None) or 0

    @property
    def notes(self) -> list[str]:
        """What went wrong so far."""
        return self.view.notes if self.view else []

    def noted(self, pattern: str) -> bool:
        """Whether one of the notes is of this kind."""
        return any(re.search(pattern, note) for note in self.notes)

    async def goes_on(self, stimuli: int = 500) -> None:
        """Wait until so many more stimuli are confirmed."""
        goal = self.confirmed + stimuli
        await self.comes(lambda: self.confirmed >= goal, "training goes on")

    async def comes(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait until something holds; an error of the run comes through."""

        async def held() -> Any:
            if self.task.done():
                self.task.result()
            found = condition()
            return await found if inspect.isawaitable(found) else found

        return await comes(held, f"{what}; {self.notes}")

    async def end(self) -> Run:
        """Stop it in good order, and wait for its end."""
        self.stop.set()
        async with asyncio.timeout(ENDS_S):
            with pytest.raises(Interrupted, match="saved; go on with --resume") as error:
                await self.task
        assert error.value.run is not None
        assert psutil.Process().children() == []
        return error.value.run


@asynccontextmanager
async def training(folder: Path, **options: Any) -> AsyncIterator[Training]:
    """A long run that trains; it is over at the end of the context."""
    async with begun(Training(folder), "xor", {**SETTINGS, **options.pop("settings", {})}, **options) as it:
        await it.goes_on(1)
        yield it


T = TypeVar("T", bound=Training)


@asynccontextmanager
async def begun(it: T, topology: str, settings: dict[str, Any], **options: Any) -> AsyncIterator[T]:
    """A run that has been started, and perhaps no more; it is over at the end of the context, whatever came of it."""
    work = neurond.run_async(topology, settings, run_dir=it.folder, on_view=it, stop=it.stop, **options)
    it.task = asyncio.create_task(work)
    try:
        yield it
    finally:
        it.task.cancel()
        await asyncio.gather(it.task, return_exceptions=True)


def sockets() -> Path:
    """The folder of the sockets of the run that is going on."""
    command = child("broker").cmdline()
    folder = address.folder(broker_address(command))
    assert folder is not None
    return folder


async def asked(verb: str, **args: Any) -> dict[str, Any]:
    """A command to the broker of the run that is going on; whoever is on the way back to it is waited for."""

    async def reply() -> Reply | None:
        said = await client.command(verb, timeout_s=DEADLINE_S, **args)
        return None if said.error.startswith("the network is not complete") else said

    async with Client(address.of_folder(sockets())) as client:
        told = await comes(reply, f"{verb}: the network is complete")
    assert told.ok, told.error
    return dict(told.data)
