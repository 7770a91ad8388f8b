"""How soon and how well a network recovers, measured: ``python -m tests.fault.numbers [recovery|partition|kills]``.

    recovery    from kill -9 of a group of 300 neurons to its learning again, of the broker to all having another
    partition   from the end of a partition of 10 s to the first stimulus that is confirmed
    kills       MNIST to its end with kill -9 of a random group every second, beside the same undisturbed

Needs MNIST in NEUROND_DATA, and a machine that does nothing else. Processes are started anew without the pauses that
grow when one dies again and again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from unittest.mock import patch

import psutil

from broker.restart import Restarts
from monitor.client import Client
from tests.fault.running import Running, running, train_size
from tests.fault.tcp import network
from tests.supervised import child
from topology.address import BrokerUnreachable
from topology.plan import SOURCE, GroupPlan
from topology.wire import Telemetry

GROUP = "h1"  # of `mnist`: 300 neurons
LOOK_S = 0.01


async def status(client: Client, name: str) -> Telemetry | None:
    """What a process reports of itself at this moment; None where nobody answers."""
    with contextlib.suppress(BrokerUnreachable):
        reply = await client.command("status", name, timeout_s=0.5)
        if reply.ok:
            return Telemetry(**reply.data[name]["telemetry"])
    return None


def learns(group: GroupPlan, seen: Telemetry | None, after: int) -> bool:
    """Whether a later incarnation of a group has had gradients, or closes, of stimuli that it fired for itself."""
    if seen is None or seen.incarnation <= after:
        return False
    return any(seen.links[link.name]["received"] for link in group.links_out)


async def recovery(n: int) -> None:
    """From kill -9 to learning again, and to everybody being with the next broker; each time in a new run."""
    took: dict[str, list[float]] = {GROUP: [], "broker": []}
    for _ in range(n):
        with tempfile.TemporaryDirectory() as folder:
            async with running(Path(folder), "mnist") as run:
                group = run.plan.group(GROUP)
                await run.goes_on(5000)
                began = time.monotonic()
                child(GROUP).kill()
                while not learns(group, await status(run.client, GROUP), 1):
                    await asyncio.sleep(LOOK_S)
                took[GROUP].append(time.monotonic() - began)
                await run.goes_on(5000)
                pid = child("broker").pid
                began = time.monotonic()
                child("broker").kill()
                await run.successor("broker", pid)
                took["broker"].append(time.monotonic() - began)
                await run.end()
    for name, limit in ((GROUP, 1.0), ("broker", 2.0)):
        report(f"from kill -9 of {name} to work again", took[name], limit)


async def partition(n: int) -> None:
    """From the end of a partition of 10 s to the first stimulus that is confirmed."""
    took = []
    with tempfile.TemporaryDirectory() as folder:
        async with network(Path(folder)) as run:
            for _ in range(n):
                await run.goes_on(5000)
                run.cut(GROUP, "hears", "says")
                await asyncio.sleep(10.0)
                before = await status(run.client, SOURCE)
                assert before is not None
                healed = time.monotonic()
                run.heal()
                while (now := await status(run.client, SOURCE)) is None or (
                    now.counters["confirmed"] <= before.counters["confirmed"]
                ):
                    await asyncio.sleep(LOOK_S)
                took.append(time.monotonic() - healed)
            await run.end()
    report(f"from the end of a partition of {GROUP} to stimuli that count", took, 2.0)


async def kills(n: int) -> None:
    """MNIST to its end, disturbed and undisturbed by turns, under a supervisor that starts anew without a pause."""
    interval_s, accuracy = 0.0, {"undisturbed": [], "killed every second": []}  # type: ignore[var-annotated]
    ages: list[float] = []
    for seed in range(1, n + 1):
        for how, found in accuracy.items():
            with tempfile.TemporaryDirectory() as folder:
                began, killed = time.monotonic(), 0
                async with running(Path(folder), "mnist", epochs=4, settings={"seed": seed}) as run:
                    total, interval_s = 4 * train_size("mnist"), run.plan.source.journal_s
                    killer = asyncio.create_task(kill_groups(run, seed, ages)) if how != "undisturbed" else None
                    ended = await run.to_its_end(total, within_s=900.0)
                    if killer is not None:
                        killer.cancel()
                        with contextlib.suppress(asyncio.CancelledError):
                            await killer
                    killed = ended.summary["restarts"]
                found.append(100 * ended.summary["test_accuracy"])
                print(
                    f"  seed {seed}, {how}: {found[-1]:.2f} %, {total:,} stimuli counted, {killed} restarts,"
                    f" {ended.summary['represented']:,} presented again, {time.monotonic() - began:.0f} s",
                    flush=True,
                )
    medians = {how: statistics.median(found) for how, found in accuracy.items()}
    lost = medians["undisturbed"] - medians["killed every second"]
    print(f"test accuracy, median of {n}: {medians}, {lost:.2f} points lost (at most 0.3)")
    report("age of the oldest update that was lost with a group", ages, interval_s)


async def kill_groups(run: Running, seed: int, ages: list[float]) -> None:
    """Kill a random group every second; and note how old the oldest update was that it lost by that.

    That is the time from when it was last seen with no more stimuli learned than it then goes on from, to its death.
    """
    rng = random.Random(seed)
    while True:
        name = rng.choice(run.plan.groups).name
        seen, until = [(time.monotonic(), 0)], time.monotonic() + 1.0
        while (now := time.monotonic()) < until:
            if (told := await status(run.client, name)) is not None:
                seen.append((now, told.counters["stimuli"]))
            await asyncio.sleep(LOOK_S)
        try:
            child(name).kill()
        except (AssertionError, psutil.Error):  # it is being started anew already, or the run is over
            continue
        killed, known = time.monotonic(), len(run.history.events("journal"))
        while not (told_of := [e for _, e in run.history.events("journal")[known:] if e.name == name]):
            await asyncio.sleep(LOOK_S)
        ages.append(killed - max(at for at, stimuli in seen if stimuli <= told_of[0].data["stimuli"]))


def report(what: str, took: list[float], limit: float) -> None:
    """Print the figures of one measurement."""
    median = statistics.median(took)
    each = ", ".join(f"{s:.2f}" for s in took)
    print(f"{what}: median {median:.2f} s of {len(took)} ({each}); at most {limit:g} s is promised", flush=True)


MEASURED = {"recovery": recovery, "partition": partition, "kills": kills}


def main() -> None:
    """Measure what is asked for, or everything."""
    parser = argparse.ArgumentParser(prog="python -m tests.fault.numbers", description=__doc__)
    parser.add_argument("what", nargs="*", choices=[*MEASURED, []], help="by default everything")
    parser.add_argument("--times", type=int, default=5)
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", flush=True)
    for name in options.what or MEASURED:
        with patch("neurond.supervise.Restarts", partial(Restarts, longest_s=0.0)):
            asyncio.run(MEASURED[name](options.times))


if __name__ == "__main__":
    main()
