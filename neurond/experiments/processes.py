"""One run of an arm through real processes, and what was measured of it. Its folder is gone afterwards."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from neurond.api import run_async
from neurond.errors import Diverged
from neurond.experiments.disturb import accompany
from neurond.experiments.figures import figures_of
from neurond.experiments.study import Arm, Study
from neurond.runs import open_run

if TYPE_CHECKING:
    from monitor.client import Client


async def measured(
    study: Study, arm: Arm, seed: int, quick: bool, data_dir: str | None, stop: asyncio.Event
) -> dict[str, float]:
    """Train a network as an arm says; the figures of the run.

    Raises:
        TopologyError, DataError: it cannot be trained.
        Interrupted: `stop` was set.
        NeurondError: it went wrong, and not by diverging.

    """
    topology = study.topology(arm, seed, quick=quick)
    groups, for_s = sorted(topology.groups), study.seconds(quick=quick)
    clients: list[Client] = []

    @asynccontextmanager
    async def beside(_broker: str) -> AsyncIterator[None]:
        """Entered while the client is there, and left before it is closed."""
        if arm.during is None and for_s is None:
            yield
            return
        task = asyncio.create_task(accompany(arm.during, for_s, clients[0], groups, seed))
        try:
            yield
        finally:
            failed = task.done()  # it has no end of its own
            task.cancel()
            found = await asyncio.gather(task, return_exceptions=True)
        if failed and isinstance(found[0], Exception):
            raise found[0]

    with tempfile.TemporaryDirectory(prefix="neurond-experiment-") as scratch:
        folder = Path(scratch) / "run"
        try:
            run = await run_async(
                topology, run_dir=folder, data_dir=data_dir, on_client=clients.append, beside=beside, stop=stop
            )
        except Diverged:
            run = open_run(folder)
        return await asyncio.to_thread(figures_of, run, study, data_dir)
