"""Makes the runs of studies that are not there yet, one after the other, and keeps each as soon as it is made.

Of a study every arm is run with one seed before the next seed begins: so contestants stand side by side in time, and
an end at any time leaves whole seeds.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field

from neurond.damaged import is_number
from neurond.data.dataset import DataError
from neurond.environment import environment
from neurond.errors import Interrupted, NeurondError
from neurond.experiments import alone, processes, virtual
from neurond.experiments.results import Result, Results
from neurond.experiments.study import Arm, By, Study

Measure = Callable[[Study, Arm, int, bool, "str | None", asyncio.Event], Awaitable[dict[str, float]]]
"""A study, one of its arms, a seed, whether the run is a quick one, where data is, what stops it: the figures."""

MEASURES: dict[By, Measure] = {
    "processes": processes.measured,
    "alone": alone.measured,
    "simulated": virtual.measured,
}

Say = Callable[[str], None]


@dataclass
class Conduct:
    """What is to be run, and what came of it.

    Args:
        of: the results of each study, as far as there are any.
        seeds: how many.
        data_dir: where data sets are looked for first.
        say: told of each run in a line.

    """

    of: Sequence[Results]
    seeds: int
    data_dir: str | None
    say: Say
    failed: list[str] = field(default_factory=list)
    """Runs that went wrong, in words."""
    lacking: dict[str, DataError] = field(default_factory=dict)
    """Studies that cannot be run here, and why."""

    def missing(self, results: Results) -> Iterator[tuple[Arm, int]]:
        """The runs that a study has not got yet, in their order."""
        for seed in range(self.seeds):
            for arm in results.study.arms:
                if results.find(arm.label, seed) is None:
                    yield arm, seed

    def left_s(self, studies: Sequence[Results] | None = None) -> float:
        """About how long what is missing will take."""
        return sum(
            _expected_s(results, arm)
            for results in (self.of if studies is None else studies)
            if results.study.name not in self.lacking
            for arm, _ in self.missing(results)
        )

    async def run(self, stop: asyncio.Event, finished: Callable[[Results], None]) -> None:
        """Make all runs that are missing; `finished` is called with each study that has all that it can have here.

        A run that fails is told and left out; the next command tries it again. Raises Interrupted once `stop` is set,
        which ends the run that goes on, and RunError if a result cannot be written.
        """
        for results in self.of:
            name, total = results.study.name, self.seeds * len(results.study.arms)
            for arm, seed in list(self.missing(results)):
                if name in self.lacking:
                    break
                done = total - sum(1 for _ in self.missing(results))
                what = f"{name} {done + 1}/{total}: {arm.label}, seed {seed}"
                try:
                    result = await self._one(results, arm, seed, stop)
                except Interrupted:
                    raise self.interrupted() from None
                except DataError as error:
                    known = [other for other, why in self.lacking.items() if str(why) == str(error)]
                    self.lacking[name] = error
                    self.say(f"{name} is left out{f', as {known[0]} is' if known else f': {error}'}")
                    continue
                except NeurondError as error:
                    said = f"FAILED: {str(error).splitlines()[0]}"
                    self.failed.append(f"{name}, {arm.label}, seed {seed}")
                else:
                    results.add(result)
                    said = _told(result)
                left = self.left_s()
                self.say(f"{what}: {said}" + (f"; about {duration(left)} left" if left else ""))
            finished(results)

    async def _one(self, results: Results, arm: Arm, seed: int, stop: asyncio.Event) -> Result:
        if stop.is_set():
            raise Interrupted("stopped between two runs")
        study, where = results.study, environment()
        measure = MEASURES[study.by]
        began = time.monotonic()
        found = await measure(study, arm, seed, results.quick, self.data_dir, stop)
        if stop.is_set():  # what came to its end by itself just then may have been cut short
            raise Interrupted("stopped")
        took_s = time.monotonic() - began
        return Result(
            arm.label,
            seed,
            results.print_of(arm.label),
            {key: float(f"{value:.6g}") for key, value in found.items() if is_number(value)},  # a loss may be inf
            round(took_s, 3),
            results.here(where),
        )

    def interrupted(self) -> Interrupted:
        """What is said where all of it is ended before its end."""
        kept = sum(len(results.of(arm.label)) for results in self.of for arm in results.study.arms)
        missing = sum(1 for results in self.of for _ in self.missing(results))
        are = "run is" if kept == 1 else "runs are"
        return Interrupted(f"interrupted; {kept} {are} kept, and the same command makes the other {missing}")


def _told(result: Result) -> str:
    if result.figures.get("diverged"):
        return f"diverged after {result.took_s:.1f} s"
    return f"{100 * result.figures['test_accuracy']:.2f} % in {result.took_s:.1f} s"


def _expected_s(results: Results, arm: Arm) -> float:
    """How long a run of an arm takes: as its others did, or those of the study, or as the study says."""
    own = [r.took_s for r in results.of(arm.label)]
    if own:
        return statistics.median(own)
    every = [r.took_s for other in results.study.arms for r in results.of(other.label)]
    if every:
        return statistics.median(every)
    return 2.0 if results.quick else results.study.run_s


def duration(seconds: float) -> str:
    """A time to come, about."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
