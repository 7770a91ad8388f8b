"""What a network costs beside its learning: the time to start, the processor time when idle, the memory."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Iterable

import numpy as np
import psutil

from monitor.client import Client
from neurond.group import GroupMachine
from neurond.runs import open_run
from tests.bench.live import DEADLINE_S, Live, live, shown
from tests.bench.report import MeasurementError, Row, Settings, say, spread
from topology.plan import GroupPlan
from topology.wire import Event, Telemetry

START_S, IDLE_PERCENT, MEMORY_MIB = 1.5, 2.0, 60.0
STARTS = 5
MIB = 1 << 20
LONG = ("--set", "source.epochs=1000", "--for", "10m")  # longer than it is watched, yet it ends if we are killed


# --- to the first stimulus --------------------------------------------------------------------------------


def start(settings: Settings) -> list[Row]:
    """Seconds from `neurond run digits` to the source's first stimulus.

    Seen from outside: a report of the source says how long ago, at its last confirmation, the first stimulus
    was presented (`train_s`). When the report arrives, at least that much time has passed, so the arrival less
    `train_s` is never too early a moment; the least of a few reports is taken. No two clocks are compared.
    """
    found = []
    for k in range(2 if settings.quick else STARTS + 1):
        with live("digits") as network:
            seconds = asyncio.run(_first_stimulus(network)) - network.began
        say(f"start: {seconds:.2f} s" + (" (not counted: warms the disk)" if k == 0 else ""))
        found += [seconds] if k else []
    return [
        Row(
            "start",
            f"<= {START_S} s to the first stimulus, warm disk",
            spread(found, unit="s"),
            statistics.median(found) <= START_S,
            shown("run", "digits"),
            [f"{seconds:.2f} s" for seconds in found],
            {"seconds": found},
        )
    ]


async def _first_stimulus(network: Live, reports: int = 3) -> float:
    moments: list[float] = []
    async with Client(await network.address()) as client:
        async for told in _source(client):
            if told.gauges.get("train_s"):
                moments.append(time.monotonic() - told.gauges["train_s"])
            if len(moments) == reports:
                break
    if not moments:
        raise MeasurementError("the run ended before its source reported")
    return min(moments)


async def _source(client: Client) -> AsyncIterator[Telemetry]:
    """Reports of the source, until the run ends; MeasurementError if there is none for long."""
    stream = client.stream()
    while True:
        try:
            async with asyncio.timeout(DEADLINE_S):
                item = await anext(stream)
        except TimeoutError:
            raise MeasurementError(f"nothing was heard of the network for {DEADLINE_S:g} s") from None
        if isinstance(item, Telemetry) and item.role == "source":
            yield item
        elif isinstance(item, Event) and item.kind == "ended":
            return


# --- idle -------------------------------------------------------------------------------------------------


def idle(settings: Settings) -> list[Row]:
    """Processor time of a paused network and the `neurond run` that watches it, in percent of a core."""
    seconds, times = (3.0, 1) if settings.quick else (10.0, 3)
    command = ("digits", *LONG)
    used: list[dict[str, float]] = []
    with live(*command) as network:
        asyncio.run(_pause(network))
        time.sleep(1.0)
        every = {**network.processes(), "neurond run": psutil.Process(network.supervisor.pid)}
        for _ in range(times):
            before, began = {name: _cpu_s(p) for name, p in every.items()}, time.monotonic()
            time.sleep(seconds)
            lasted = time.monotonic() - began
            used.append({name: 100 * (_cpu_s(p) - before[name]) / lasted for name, p in every.items()})
            say("idle: " + ", ".join(f"{name} {percent:.2f} %" for name, percent in used[-1].items()))
    whole = [sum(u.values()) for u in used]
    return [
        Row(
            "idle",
            f"< {IDLE_PERCENT:g} % of a core in all, `neurond run` included",
            spread(whole, unit="%"),
            statistics.median(whole) < IDLE_PERCENT,
            f"{shown('run', *command)}, paused by a monitor.client.Client; {seconds:g} s of all processes",
            [f"{name}: {spread([u[name] for u in used], unit='%')}" for name in used[0]],
            {"percent": used, "seconds": seconds},
        )
    ]


async def _pause(network: Live) -> None:
    """Pause the source and wait until nothing is under way. No client is left that the broker would have to tell."""
    async with Client(await network.address()) as client:
        async for told in _source(client):  # the first report is there once all processes are
            if told.gauges.get("train_s"):
                break
        reply = await client.command("pause", timeout_s=DEADLINE_S)
        if not reply.ok:
            raise MeasurementError(f"the network cannot be paused: {reply.error}")
        async for told in _source(client):
            if told.gauges.get("paused") and not told.gauges.get("in_flight"):
                return
    raise MeasurementError("the run ended before it was paused")


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


# --- memory -----------------------------------------------------------------------------------------------


def memory(settings: Settings) -> list[Row]:
    """Resident memory of the group processes of MNIST at work, less their arrays."""
    command = ("mnist", *LONG)
    seconds = 1.0 if settings.quick else 5.0
    with live(*command, "--data-dir", str(settings.data_dir)) as network:
        address = asyncio.run(network.address())
        plan = open_run(network.run_dir).plan
        # A ring of the memory is only resident as a whole once it has gone round.
        asyncio.run(_taught(address, 3 * max(g.memory for g in plan.groups)))
        processes = network.processes()
        samples: dict[str, list[int]] = {g.name: [] for g in plan.groups}
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for name, seen in samples.items():
                seen.append(processes[name].memory_info().rss)
            time.sleep(0.1)
    rss = {name: statistics.median(seen) / MIB for name, seen in samples.items()}
    arrays = {g.name: _arrays(g) / MIB for g in plan.groups}
    beside = {name: rss[name] - arrays[name] for name in rss}
    worst = max(beside, key=lambda name: beside[name])
    return [
        Row(
            "memory",
            f"< {MEMORY_MIB:g} MiB a group beside its arrays",
            f"{beside[worst]:.1f} MiB ({worst}, the largest of {len(beside)})",
            beside[worst] < MEMORY_MIB,
            f"{shown('run', *command)}; resident set size while it trains, less the arrays that its plan asks for",
            [f"{n}: {rss[n]:.1f} MiB, of these arrays {arrays[n]:.1f}, rest {beside[n]:.1f}" for n in beside],
            {"rss_mib": rss, "arrays_mib": arrays, "beside_mib": beside},
        )
    ]


async def _taught(address: str, stimuli: int) -> None:
    async with Client(address) as client:
        async for told in _source(client):
            if told.counters.get("confirmed", 0) >= stimuli:
                return
    raise MeasurementError("the run ended too early")


def _arrays(plan: GroupPlan) -> int:
    """Bytes of a group's arrays: weights, sums of the learning rules, the ring of remembered stimuli."""
    machine = GroupMachine(plan)
    held = [v for value in vars(machine.memory).values() for v in _listed(value)]
    ring = sum(a.nbytes for a in held if isinstance(a, np.ndarray) and a.base is None)  # no views of the same
    return ring + sum(a.nbytes for a in machine.state().values())


def _listed(value: object) -> Iterable[object]:
    return value if isinstance(value, list) else [value]
