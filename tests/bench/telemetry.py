"""What it costs a training network to be observed: MNIST with reports of its processes and without, in turns.

Both runs have a broker and no listener: who watches pays for himself, in his own process. Whole runs differ by more
than what is looked for here, so the time inside the reports is measured as well, and it is that which is judged.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.bench.live import DEADLINE_S, scratch
from tests.bench.report import Row, Settings, say, spread
from tests.bench.reporting import TIMED, UNTOLD
from tests.bench.throughput import NEVER
from tests.command import NEUROND, environment
from topology import address

GOAL = 1.0  # percent
NETWORK = "mnist"
NAMES = ("source", "h1", "h2", "out")


@dataclass(frozen=True, slots=True)
class Run:
    """One run; processor time is that of all its processes (s)."""

    per_s: float  # stimuli
    cpu_s: float
    reports: int
    reports_cpu_s: float

    @property
    def percent(self) -> float:
        """The part of its processor time that went into reports."""
        return 100 * self.reports_cpu_s / self.cpu_s


def telemetry(settings: Settings) -> list[Row]:
    """The part of a run's processor time that its reports take, and how much longer it takes for them."""
    epochs = 0.2 if settings.quick else 4
    pairs: list[tuple[Run, Run]] = []
    for pair in range(1 if settings.quick else settings.pairs):
        # Whoever comes second finds a warmer machine, so they take turns.
        found = {how: _run(settings, how, epochs) for how in ((TIMED, UNTOLD) if pair % 2 == 0 else (UNTOLD, TIMED))}
        pairs.append((found[TIMED], found[UNTOLD]))
        say(f"telemetry, {_pair(pair + 1, *pairs[-1])}")
    inside = [a.percent for a, _ in pairs]
    each = [1e6 * a.reports_cpu_s / a.reports for a, _ in pairs]
    costlier = [100 * (a.cpu_s / b.cpu_s - 1) for a, b in pairs]
    slower = [100 * (b.per_s / a.per_s - 1) for a, b in pairs]
    return [
        Row(
            "telemetry",
            f"< {GOAL:g} % of the processor time",
            f"{spread(inside, '{:.2f}', '%')}; a report {spread(each, '{:.0f}', 'us')}",
            statistics.median(inside) < GOAL,
            f"processes by hand, python -m tests.bench.reporting {TIMED}|{UNTOLD}: {NETWORK}, {epochs:g} epochs",
            [
                *(_pair(k, a, b) for k, (a, b) in enumerate(pairs, 1)),
                f"whole runs: processor time {spread(costlier, '{:.1f}', '% more')} with reports, "
                f"{spread(slower, '{:.1f}', '% slower')}",
            ],
            {"inside_percent": inside, "report_us": each, "slower_percent": slower, "cpu_percent": costlier},
        )
    ]


def _pair(number: int, told: Run, untold: Run) -> str:
    return (
        f"pair {number}: {told.per_s:,.0f}/s and {told.cpu_s:.2f} s of processor, {told.reports_cpu_s:.3f} s of it "
        f"in {told.reports} reports; without {untold.per_s:,.0f}/s, {untold.cpu_s:.2f} s"
    )


def _run(settings: Settings, how: str, epochs: float) -> Run:
    sets = ("--set", f"source.epochs={epochs:g}", "--set", f"source.eval_every={NEVER}")
    data = ("--data-dir", str(settings.data_dir))
    before = os.times()
    with scratch() as folder, _sockets() as at:
        broker = _start([*NEUROND, "broker", NETWORK, "--address", at, "--run", str(folder / "run"), *sets, *data])
        daemon = [sys.executable, "-m", "tests.bench.reporting", how]
        which = [["source", *data] if name == "source" else ["group", name] for name in NAMES]
        processes = [_start([*daemon, *one, "--broker", at]) for one in which]
        told = [json.loads(process.communicate(timeout=10 * DEADLINE_S)[0]) for process in processes]
        broker.communicate(timeout=DEADLINE_S)
        after = os.times()
        per_s: float = json.loads((folder / "run" / "summary.json").read_text())["stimuli_per_s"]
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return Run(per_s, used, sum(t["reports"] for t in told), sum(t["cpu_s"] for t in told))


@contextlib.contextmanager
def _sockets() -> Iterator[str]:
    """The address of a broker over ipc, gone afterwards."""
    folder = address.make_folder()
    try:
        yield address.of_folder(folder)
    finally:
        address.remove_folder(folder)


def _start(command: Sequence[str]) -> subprocess.Popen[str]:
    quiet = subprocess.DEVNULL
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment(), stdin=quiet, stdout=pipe, stderr=quiet, text=True)
