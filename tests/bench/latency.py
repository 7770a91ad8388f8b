"""Time to 97 % on MNIST with 50 ms one way on every link: free-running, and as a synchronous pipeline.

Both are the same processes. The synchronous pipeline is a window of one batch with every threshold at zero: a batch
comes home before the next one starts, so its weights do not depend on the latency. What it needs to 97 % is found
without latency, and its time is that many batches at the rate that is measured with it: at batch 32 the whole run
would take ten minutes.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from functools import partial
from typing import Any

from monitor.client import Client
from tests.bench.live import DEADLINE_S, live, overriding
from tests.bench.reaching import HORIZONS, neurond, shortest
from tests.bench.report import MeasurementError, Row, Settings, say, spread
from tests.bench.throughput import NEVER

ONE_WAY_S = 0.05
GOALS = {"at batch 32": 10.0, "at its best batch size": 2.0}
BATCHES = {32: 0.3, 128: 0.8, 512: 1.0, 1024: 1.0}  # batch: learning rate at the start; 1024 diverges at 1.2
FREE = ("source.window=2048",)
RATED = 20  # batches by which the rate of the pipeline is measured


def latency(settings: Settings) -> list[Row]:
    """Seconds of training to 97 %, the pipeline's over ours."""
    horizons = HORIZONS[:1] if settings.quick else HORIZONS
    sync: dict[int, float] = {}
    lines = []
    for batch, lr in BATCHES.items():
        epochs = shortest(horizons, partial(_pipeline, settings, batch, lr))
        rated = _delayed(settings, *_sets(batch, lr), f"source.epochs={RATED * batch / 60_000}")
        sync[batch] = epochs * 60_000 / rated["stimuli_per_s"]
        lines.append(
            f"pipeline at batch {batch}: {epochs:g} epochs at {rated['stimuli_per_s']:,.0f}/s: {sync[batch]:.0f} s"
        )
        say(f"latency, {lines[-1]}")
    epochs = shortest(horizons, lambda epochs: _free(settings, epochs))
    free = []
    for run in range(1 if settings.quick else settings.pairs):
        found = _free(settings, epochs)
        free.append(found["train_s"])
        lines.append(
            f"free run {run + 1}: {epochs:g} epochs, {found['train_s']:.1f} s, {100 * found['test_accuracy']:.2f} %"
        )
        say(f"latency, {lines[-1]}")
    least = {"at batch 32": sync[32], "at its best batch size": min(sync.values())}
    return [
        Row(
            f"latency, {which}",
            f">= {goal:g}x faster to 97 % than the synchronous pipeline, {1000 * ONE_WAY_S:g} ms a hop",
            spread([least[which] / seconds for seconds in free], "{:.1f}x"),
            least[which] / statistics.median(free) >= goal,
            "neurond run mnist, and `neurond set` of the delay of every link; tests/bench/latency.py",
            lines if which == "at batch 32" else [],
            {"free_s": free, "pipeline_s": sync},
        )
        for which, goal in GOALS.items()
    ]


def _sets(batch: int, lr: float) -> tuple[str, ...]:
    """A window of one batch, and every threshold at zero."""
    return (
        f"source.window={batch}",
        f"source.volley={batch}",
        "source.opening=0",
        "loss.notify.threshold=0",
        "defaults.link.notify.threshold=0",
        "defaults.link.notify.clip=0",
        "defaults.group.update.threshold=0",
        "defaults.group.optimizer.warmup=0",
        f"defaults.group.optimizer.lr={lr}",
    )


def _pipeline(settings: Settings, batch: int, lr: float, epochs: float) -> dict[str, Any]:
    return dict(neurond(settings, epochs, *_sets(batch, lr)))


def _free(settings: Settings, epochs: float) -> dict[str, Any]:
    opening = (f"source.opening={round(15_000 * epochs)}", f"defaults.group.optimizer.warmup={round(2_500 * epochs)}")
    return _delayed(settings, f"source.epochs={epochs:g}", *opening, *FREE)


def _delayed(settings: Settings, *sets: str) -> dict[str, Any]:
    """The summary of a run of mnist, every frame of which is late."""
    arguments = overriding(f"source.eval_every={NEVER}", *sets)
    with live("mnist", *arguments, "--data-dir", str(settings.data_dir)) as network:
        asyncio.run(_delay(asyncio.run(network.address())))
        summary = network.run_dir / "summary.json"
        deadline = time.monotonic() + 20 * DEADLINE_S
        while network.supervisor.poll() is None:
            if time.monotonic() > deadline:
                raise MeasurementError("a run with latency did not come to its end")
            time.sleep(0.1)
        found: dict[str, Any] = json.loads(summary.read_text())
    return found


async def _delay(address: str) -> None:
    """Make every frame between two processes late, before much is trained."""
    async with Client(address) as client:
        while (await client.command("status", timeout_s=DEADLINE_S)).data["state"] != "running":
            await asyncio.sleep(0.01)
        await client.command("pause", timeout_s=DEADLINE_S)
        settings = (await client.command("get", timeout_s=DEADLINE_S)).data
        for process, known in settings.items():
            late = {key: ONE_WAY_S for key in known if key.startswith("delay.")}
            reply = await client.command("set", process, timeout_s=DEADLINE_S, settings=late)
            if not reply.ok:
                raise MeasurementError(f"the links of {process} cannot be delayed: {reply.error}")
        await client.command("resume", timeout_s=DEADLINE_S)
