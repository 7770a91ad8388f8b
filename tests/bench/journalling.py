"""What the journal costs: MNIST with it, as by default, and without it, pair by pair; and one look at the weights."""

from __future__ import annotations

import resource
import statistics
import time

import numpy as np

from neurond.changes import Shadow
from neurond.data import describe
from neurond.group import GroupMachine
from tests.bench.live import overriding, scratch, shown, summary
from tests.bench.report import Row, Settings, say, spread
from tests.bench.throughput import NEVER
from topology.load import load
from topology.resolve import resolve

GOAL = 5.0  # percent
LOOKS = 300


def journalling(settings: Settings) -> list[Row]:
    """How much longer a run takes, and how much more processor time of all its processes, for its journals."""
    epochs = 0.2 if settings.quick else 1
    command = ["mnist", *overriding(f"source.epochs={epochs}", f"source.eval_every={NEVER}")]
    rates: list[tuple[float, float]] = []
    used: list[tuple[float, float]] = []
    details: list[str] = []
    for pair in range(1 if settings.quick else settings.pairs):
        found: dict[bool, tuple[float, float]] = {}
        # Whoever comes second finds a warmer machine, so they take turns.
        for kept in (True, False) if pair % 2 == 0 else (False, True):
            more = [] if kept else ["--set", "journal=off"]
            before = _children_s()
            with scratch() as folder:
                told = summary(folder / "run", *command, *more, "--data-dir", str(settings.data_dir))
            found[kept] = (told["stimuli_per_s"], _children_s() - before)
            if kept:
                written, skipped = told["journal_bytes"], told["journal_skipped"]
        rates.append((found[True][0], found[False][0]))
        used.append((found[True][1], found[False][1]))
        details.append(
            f"pair {pair + 1}: {rates[-1][0]:,.0f}/s with, {rates[-1][1]:,.0f}/s without; processor "
            f"{used[-1][0]:.2f} s with, {used[-1][1]:.2f} s without; {written / 1e6:.1f} MB, {skipped} skipped"
        )
        say(f"journal, {details[-1]}")
    slower = [100 * (without / with_ - 1) for with_, without in rates]
    costlier = [100 * (with_ / without - 1) for with_, without in used]
    look = _look_us(settings)
    return [
        Row(
            "journal",
            f"< {GOAL:g} % of the throughput",
            spread(slower, "{:.1f}", "%"),
            statistics.median(slower) < GOAL,
            f"{shown('run', *command, '--json')}, and the same with --set journal=off",
            [*details, f"processor time of all processes: {spread(costlier, '{:.1f}', '% more')}"],
            {"per_s": rates, "cpu_s": used, "slower_percent": slower, "cpu_percent": costlier},
        ),
        Row(
            "journal's look",
            "<= 300 us on the loop's thread, 235,500 weights",
            spread(look, "{:.0f}", "us"),
            statistics.median(look) <= 300,
            "neurond.changes.Shadow.look on h1 of mnist, 1 % of its weights changed between two looks",
            [],
            {"us": look},
        ),
    ]


def _children_s() -> float:
    """Processor time of all processes that this one, or one that it started, has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _look_us(settings: Settings) -> list[float]:
    plan = resolve(load("mnist"), describe("mnist", data_dir=settings.data_dir))
    machine = GroupMachine(plan.group("h1"))
    rng, shadow, found = np.random.default_rng(1), Shadow(), []
    w = machine.durable()["w.source"]
    shadow.look(machine.durable())
    for _ in range(LOOKS):
        w.flat[rng.integers(0, w.size, w.size // 100)] += 1
        began = time.perf_counter()
        shadow.look(machine.durable())
        found.append(1e6 * (time.perf_counter() - began))
    return found
