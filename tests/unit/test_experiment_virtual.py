"""A run of a study in virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from neurond.errors import Interrupted
from neurond.experiments.study import Arm, Simulated
from neurond.experiments.virtual import measured
from tests.studies import SMALL

STUDY = replace(SMALL, by="simulated")


async def run(what: Simulated, stop: asyncio.Event | None = None) -> dict[str, float]:
    """The figures of one run."""
    return await measured(STUDY, Arm("one", {}, during=what), 0, False, None, stop or asyncio.Event())


async def test_late_and_lossy_links_cost_virtual_time() -> None:
    """The same seed gives the same figures; later links take longer, and what was lost is presented again."""
    near = await run(Simulated(0.001, 0.0004))
    assert near == await run(Simulated(0.001, 0.0004))
    assert near["represented"] == near["deaths"] == 0
    assert 0 < near["test_accuracy"] < 1
    far = await run(Simulated(0.1, 0.04))
    assert far["virtual_s"] > 5 * near["virtual_s"]
    assert (await run(Simulated(0.001, 0.0004, loss=0.2)))["represented"] > 0


async def test_it_can_be_interrupted() -> None:
    """Whoever stops a study does not wait for the end of the simulation."""
    stop = asyncio.Event()
    stop.set()
    with pytest.raises(Interrupted):
        await run(Simulated(0.01, 0.004), stop)
