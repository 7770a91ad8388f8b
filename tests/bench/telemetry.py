"""What it costs a training network to be observed: MNIST with reports of its processes and without, in turns.

Both runs have a broker and no listener: who watches pays for himself, in his own process. Whole runs differ by more
than what is looked for here, so the time inside the reports is measured as well, and it is that which is judged.
"""

from __future__ import annotations

import os
import statistics
from dataclasses import dataclass

from tests.bench.hand import NETWORK, timed
from tests.bench.report import Row, Settings, say, spread
from tests.bench.stopwatch import REPORTS, UNTOLD
from tests.bench.throughput import NEVER

GOAL = 1.0  # percent


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
        modes = (REPORTS, UNTOLD) if pair % 2 == 0 else (UNTOLD, REPORTS)
        found = {mode: _run(settings, mode, epochs) for mode in modes}
        pairs.append((found[REPORTS], found[UNTOLD]))
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
            f"processes by hand, python -m tests.bench.stopwatch {REPORTS}|{UNTOLD}: {NETWORK}, {epochs:g} epochs",
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


def _run(settings: Settings, mode: str, epochs: float) -> Run:
    before = os.times()
    summary, found = timed(settings, mode, f"source.epochs={epochs:g}", f"source.eval_every={NEVER}")
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    reports, reports_cpu_s = (sum(f[key] for f in found.values()) for key in ("calls", "cpu_s"))
    return Run(summary["stimuli_per_s"], used, int(reports), reports_cpu_s)
