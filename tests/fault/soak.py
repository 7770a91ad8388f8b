"""Minutes of full flood under random faults: ``make soak``, or ``python -m tests.fault.soak --for 600``.

`neurond run digits` in a process of its own; its processes are killed, stopped for a moment and stopped for good, it
is saved, paused and watched, by chance. In the end it is interrupted, and the history of it all is checked: every
stimulus counted once, the ledger of every link balanced, everything bounded, and memory flat.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

import psutil

from monitor.client import Client
from tests.command import NEUROND, environment
from tests.endless import ENDLESS
from tests.fault.history import History, check, recording
from tests.supervised import broker_address
from tests.waiting import comes
from topology.address import BrokerUnreachable
from topology.plan import SOURCE, plan_from_dict

SETTLED_S = 60.0
"""Seconds after which memory is to stay as it is."""
GROWTH = 0.05
PAUSES = (0.5, 4.0)  # s between two faults
WEIGHTS = {"kill": 5, "stop for a moment": 3, "stop for good": 1, "save": 2, "pause": 1, "another monitor": 1}


class Soak:
    """One run under random faults."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.done: Counter[str] = Counter()
        self.memory: dict[str, list[tuple[float, float]]] = defaultdict(list)  # process -> (when, MiB)
        self._rng = random.Random(seed)
        command = [*NEUROND, "run", "digits", "--run", "run", "--restarts", "1000000", "--quiet"]
        self.run = subprocess.Popen(
            [*command, "--set", ENDLESS], cwd=folder, env=environment(), stderr=subprocess.PIPE
        )

    def processes(self) -> dict[str, psutil.Process]:
        """The processes of the run that are there, by name; without the supervisor."""
        found = {}
        with contextlib.suppress(psutil.Error):
            for process in psutil.Process(self.run.pid).children():
                with contextlib.suppress(psutil.Error):
                    words = process.cmdline()
                    if "--tethered" in words:  # until then it is a copy of its parent
                        found[words[words.index("--broker") - 1] if "--broker" in words else "broker"] = process
        return found

    def alive(self) -> bool:
        """Whether the run goes on; it fails with what it said if not."""
        assert self.run.poll() is None, f"it ended with {self.run.returncode}: {self._said()}"
        return True

    def _said(self) -> str:
        assert self.run.stderr is not None
        return self.run.stderr.read().decode()

    async def faults(self, client: Client, until: float) -> None:
        """Do harm, by chance, until the time is up."""
        while time.monotonic() < until:
            await asyncio.sleep(self._rng.uniform(*PAUSES))
            self.alive()
            what = self._rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
            with contextlib.suppress(psutil.NoSuchProcess, BrokerUnreachable, IndexError):
                await self._do(what, client)
                self.done[what] += 1

    async def _do(self, what: str, client: Client) -> None:
        victim = self._rng.choice(list(self.processes().values()))
        if what == "kill":
            victim.kill()
        elif what == "stop for a moment":
            victim.suspend()
            await asyncio.sleep(self._rng.uniform(0.05, 1.5))
            victim.resume()
        elif what == "stop for good":
            victim.suspend()  # it is found, killed and replaced
        elif what == "save":
            await client.command("save", timeout_s=5.0)
        elif what == "pause":
            await client.command("pause", timeout_s=5.0)
            await asyncio.sleep(0.5)
            while not (await client.command("resume", timeout_s=10.0)).ok:
                await asyncio.sleep(0.1)
        else:
            async with Client(client.address) as other:
                other.subscribe()
                await asyncio.sleep(0.5)

    async def watch(self, began: float) -> None:
        """Note the memory of everybody, the supervisor too, once a second."""
        while True:
            await asyncio.sleep(1.0)
            for name, process in {**self.processes(), "supervisor": psutil.Process(self.run.pid)}.items():
                with contextlib.suppress(psutil.Error):
                    self.memory[name].append((time.monotonic() - began, process.memory_info().rss / 2**20))

    def growth(self, lasted_s: float) -> dict[str, tuple[float, float]]:
        """Median MiB of each process in the minute (or less) after it has settled, and in the last one."""
        span = min(60.0, (lasted_s - SETTLED_S) / 2)
        return {
            name: (
                statistics.median(mb for at, mb in points if SETTLED_S <= at <= SETTLED_S + span),
                statistics.median(mb for at, mb in points if at >= lasted_s - span),
            )
            for name, points in self.memory.items()
        }


async def soak(for_s: float, seed: int) -> bool:
    """Soak for so long and say what came of it; whether all was well."""
    with tempfile.TemporaryDirectory(prefix="ns-") as name:
        it = Soak(Path(name), seed)
        try:
            return await _soak(it, for_s)
        finally:
            it.run.kill()
            it.run.wait()


async def _soak(it: Soak, for_s: float) -> bool:
    folder = it.folder / "run"
    await comes(lambda: it.alive() and (folder / "plan.json").exists() and "broker" in it.processes(), "a broker")
    words = it.processes()["broker"].cmdline()

    history = History(plan_from_dict(json.loads((folder / "plan.json").read_text())))
    began = time.monotonic()
    async with recording(broker_address(words), history) as client:
        watcher = asyncio.create_task(it.watch(began))
        await it.faults(client, began + for_s)
        lasted_s = time.monotonic() - began
        watcher.cancel()
        it.run.send_signal(signal.SIGINT)
        await comes(lambda: it.run.poll() is not None, "the end of the run")
        await comes(lambda: history.events("ended"), "the broker's last word")
    assert it.run.returncode == 130, it._said()
    check(history)
    last = history.last()
    print(f"{lasted_s:.0f} s, {last[SOURCE].counters['confirmed']:,} stimuli counted once; faults: {dict(it.done)}")
    print(f"restarts: { {name: report.incarnation - 1 for name, report in last.items()} }")
    well = True
    for name, (settled, ended) in it.growth(lasted_s).items() if lasted_s > 2 * SETTLED_S else ():
        growth = ended / settled - 1.0
        well &= growth < GROWTH
        print(f"memory of {name}: {settled:.1f} MiB, {ended:.1f} MiB at the end ({growth:+.1%})")
    print("the ledger of every link is balanced, everything was bounded" + ("" if well else "; memory is not flat"))
    return well


def main() -> int:
    """Soak; 0 if all was well."""
    parser = argparse.ArgumentParser(prog="python -m tests.fault.soak", description=__doc__)
    parser.add_argument("--for", dest="for_s", type=float, default=600.0, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    return 0 if asyncio.run(soak(options.for_s, options.seed)) else 1


if __name__ == "__main__":
    sys.exit(main())
