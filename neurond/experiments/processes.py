"""One run of an arm through real processes, and what was measured of it. Its folder is gone afterwards."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from neurond.api import run_async, topology_of
from neurond.errors import Diverged, RunError
from neurond.experiments.disturb import accompany
from neurond.experiments.figures import figures, fit
from neurond.experiments.study import Arm, Study
from neurond.runs import Run, open_run

if TYPE_CHECKING:
    from monitor.client import Client

Measure = Callable[[Study, Arm, int, bool, "str | None", asyncio.Event], Awaitable[dict[str, float]]]
"""A study, one of its arms, a seed, whether the run is a quick one, where data is, what stops it: the figures."""


async def measured(
    study: Study, arm: Arm, seed: int, quick: bool, data_dir: str | None, stop: asyncio.Event
) -> dict[str, float]:
    """Train a network as an arm says; the figures of the run.

    Raises:
        TopologyError, DataError: it cannot be trained.
        Interrupted: `stop` was set.
        NeurondError: it went wrong, and not by diverging.

    """
    topology = topology_of(study.network, {**study.overrides(arm, quick=quick), "seed": seed}, None)
    assert topology is not None
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
        return await asyncio.to_thread(_read, run, study, data_dir)


def _read(run: Run, study: Study, data_dir: str | None) -> dict[str, float]:
    if not run.summary:
        raise RunError("the run left no summary")
    found = figures(run.summary, run.plan.group(run.plan.source.readout).size)
    if not found["diverged"] and (study.fit or "test_accuracy" not in found):
        found |= fit(run, data_dir)
    return found
