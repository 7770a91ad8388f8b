"""One run of an arm in virtual time, as `neurond simulate` makes it; the figures are those of a real run.

The arm's `during` says what links and processes are like.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from neurond.errors import Diverged, Interrupted
from neurond.experiments.figures import figures_of
from neurond.experiments.study import Arm, Simulated, Study

if TYPE_CHECKING:
    from monitor.view import View


async def measured(
    study: Study, arm: Arm, seed: int, quick: bool, data_dir: str | None, stop: asyncio.Event
) -> dict[str, float]:
    """Train an arm's network in virtual time, in another thread of this process; see `processes.measured`."""
    return await asyncio.to_thread(_simulated, study, arm, seed, quick, data_dir, stop)


def _simulated(
    study: Study, arm: Arm, seed: int, quick: bool, data_dir: str | None, stop: asyncio.Event
) -> dict[str, float]:
    from neurond.conditions import Conditions, Latency
    from neurond.runs import open_run
    from neurond.simulate import simulate

    assert isinstance(arm.during, Simulated)
    what = arm.during
    conditions = Conditions(
        Latency(what.latency_s - what.spread_s, what.spread_s),
        loss=what.loss,
        churn_s=what.churn_s,
        down_s=what.down_s,
    )

    def on_view(_view: View) -> None:
        if stop.is_set():
            raise Interrupted("stopped")

    with tempfile.TemporaryDirectory(prefix="neurond-experiment-") as scratch:
        folder = Path(scratch) / "run"
        try:
            topology = study.topology(arm, seed, quick=quick)
            run = simulate(topology, conditions, run_dir=folder, data_dir=data_dir, fast=True, on_view=on_view)
        except Diverged:
            run = open_run(folder)
        found = figures_of(run, study, data_dir)
        return found | {"virtual_s": float(run.summary["virtual_s"]), "deaths": float(run.summary["deaths"])}
