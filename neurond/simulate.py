"""A whole run in virtual time, in this process: the network stepped to its end, its folder written.

This is a composition root as `supervise` is, and the folder is that of a run, with virtual seconds for time: what
looks back at runs (`report`, `compare`, `eval`) does so at this one. There is no broker: the roster is the network's.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from neurond import launch, runs, steady
from neurond.arithmetic import EXACT, FAST, counting
from neurond.conclusion import conclude
from neurond.conditions import Conditions, in_words
from neurond.events import Events
from neurond.until import Check, Target
from neurond.virtual import REPORT_TICKS, Network
from topology.plan import BROKER, SOURCE, Plan
from topology.wire import Event, Telemetry

if TYPE_CHECKING:
    from monitor.view import View
    from neurond.data import Dataset
    from topology.spec import Topology

REPORTERS = 32
"""With more processes than this they report the more seldom, for a report takes its time."""
DRAIN_S = 600.0
"""Virtual seconds for what is under way to come home, and for the last evaluation, once the run is to end.

An evaluation of 10,000 stimuli over slow links takes minutes; over links that let nothing through it would never end.
"""
GENERATION = "1"
GO_ON = "neurond run --resume"
_MESSENGER = b"messenger"


def simulate(
    topology: Topology,
    conditions: Conditions | Callable[[Plan], Conditions] | None = None,
    *,
    run_dir: str | PathLike[str] | None = None,
    data_dir: str | PathLike[str] | None = None,
    until: Target | None = None,
    for_s: float | None = None,
    fast: bool = False,
    on_view: Callable[[View], None] | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> runs.Run:
    """Train a network in virtual time, to the end of its epochs.

    Args:
        topology: what to train; its seed is that of the messenger too.
        conditions: what links and processes are like, or what makes that of the plan.
        run_dir: the run's folder; by default a new one under `runs/`.
        data_dir: where data sets are looked for first.
        until: ends the run when reached.
        for_s: ends the run after so many virtual seconds.
        fast: compute as real processes do; the digest is then that of this machine alone.
        on_view: called whenever all have reported.
        stopped: asked between steps; once it is true the run ends as `for_s` ends it, and Interrupted is raised.

    Returns:
        the run, complete. Its summary has beside that of a real run: `digest`, `arithmetic` (exact | fast),
        `virtual_s`, `wall_s`, `frames` and what became of them, `deaths`, `undrained` (stimuli
        that had not come home in DRAIN_S), and `evaluations`, the curve.

    Raises:
        TopologyError, DataError, WrongUse, ValueError: before anything is begun.
        RunError: the folder cannot be written.
        Diverged, Interrupted, TargetNotReached: as they say; the folder is complete as far as it goes.

    """
    topology, plan, _ = launch.planned(topology, launch.path_text(data_dir), "tcp")
    if until is not None:
        launch.check_goal(until, plan)
    found = conditions(plan) if callable(conditions) else conditions or Conditions()
    examples = _examples(plan)
    run = runs.Run(runs.create(topology.name, run_dir, go_on=GO_ON), plan)
    with runs.held(run.path):
        runs.write_plan(run.path, plan)
        launch.write_origin(run, topology, {"simulated": in_words(found)})
        _Simulation(run, examples, found, until, for_s, fast, on_view, stopped).run()
    return run


def _examples(plan: Plan) -> Dataset:
    from neurond import data

    source = plan.source
    return data.load(source.data, data_dir=source.data_dir, label=source.label, test=source.test)


class _Simulation:
    """One run in progress: hears of everything in order, and decides as a supervisor and its broker do."""

    def __init__(
        self,
        run: runs.Run,
        examples: Dataset,
        conditions: Conditions,
        goal: Target | None,
        for_s: float | None,
        fast: bool,
        on_view: Callable[[View], None] | None,
        stopped: Callable[[], bool],
    ) -> None:
        from monitor.view import View

        self._run, self._fast, self._for_s, self._on_view = run, fast, for_s or math.inf, on_view
        self._check = None if goal is None else Check(goal)
        self._view = View(run.plan.processes, run.plan.name, str(run.path))
        self._metrics, self._events = runs.Rows(run.path), Events(run.path)
        chance = steady.Chance(np.random.SeedSequence([run.plan.seed, *_MESSENGER]))
        arithmetic = counting(FAST if fast else EXACT)
        self._network = network = Network(run.plan, examples, chance, conditions, arithmetic)
        network.on_event, network.on_report, network.on_roster = self._happened, self._heard, self._comes_or_goes
        network.report_ticks = REPORT_TICKS * math.ceil(len(run.plan.processes) / REPORTERS)
        self._evaluations: list[dict[str, float]] = []
        self._ended: dict[str, Any] = {}
        self._stopping = self._interrupted = False
        self._stopped = stopped
        self._undrained = 0
        self._drain: tuple[str, dict[str, Any]] = ("drain", {})
        self._drain_by = math.inf
        self._asked: list[tuple[str, dict[str, Any]]] = []  # of the source, once what goes on is over

    def run(self) -> None:
        """Step the network to its end, and write the folder."""
        began = time.monotonic()
        network = self._network
        for name, machine in network.machines.items():
            self._comes_or_goes(name, machine.incarnation, alive=True)
        self._happened(Event(BROKER, "running"))
        gc.freeze()  # all that is there stays: to look through a thousand machines again and again takes a sixth
        try:
            rounds = 0
            while not self._ended and network.step():
                for verb, args in self._take_asked():
                    network.ask(SOURCE, verb, **args)
                self._interrupted = self._interrupted or self._stopped()
                if self._interrupted or network.now >= self._for_s:
                    self._stop(evaluate=True)
                if network.now >= self._drain_by:
                    break
                if network.rounds != rounds:
                    rounds = network.rounds
                    self._show()
            if self._ended:
                network.report()
            else:
                if network.now < self._drain_by:
                    network.drain()
                else:
                    self._undrained = int(network.source.telemetry(network.now).gauges["in_flight"])
                    network.report()
                self._ended = {"why": "stopped" if self._stopping else "finished", **self._save()}
            digest = network.digest()
            self._happened(Event(BROKER, "ended", self._ended))
            self._show()
        finally:
            gc.unfreeze()
            self._metrics.close()
            self._events.close()
        more = {"digest": digest, "arithmetic": "fast" if self._fast else "exact", **self._counted()}
        more["wall_s"] = round(time.monotonic() - began, 3)
        conclude(self._run, self._view, self._ended, self._check, self._interrupted, more, GO_ON)

    def _counted(self) -> dict[str, Any]:
        network = self._network
        return {
            "virtual_s": round(network.now, 6),
            "frames": network.sent.total(),
            "frames_delivered": network.delivered.total(),
            "frames_lost": network.dropped.total(),
            "frames_in_flight": network.in_flight.total(),
            "frames_lost_in_deaths": network.lost_in_death,
            "deaths": network.deaths,
            "undrained": self._undrained,
            "evaluations": self._evaluations,
        }

    def _save(self) -> dict[str, Any]:
        """A checkpoint of all processes, as the last one of a run; what is to be said of it."""
        from broker import manifest
        from neurond import checkpoint

        try:
            parts = {
                name: checkpoint.write(self._run.path, GENERATION, name, machine.state(), lasting=False)
                for name, machine in self._network.machines.items()
            }
            manifest.write(self._run.path, self._run.plan.name, int(GENERATION), parts)
        except OSError as error:
            return {"generation": 0, "save_error": f"{error.strerror or error} ({self._run.path})"}
        return {"generation": int(GENERATION)}

    # --- what happens ---------------------------------------------------------------------------------

    def _heard(self, report: Telemetry) -> None:
        counts_on = {"restored": float(report.name in self._network.counts_on)}
        self._view.update(replace(report, gauges=report.gauges | counts_on), self._network.now)

    def _comes_or_goes(self, name: str, incarnation: int, alive: bool) -> None:
        told: Mapping[str, Any] = {"incarnation": incarnation} if alive else {"why": "died, as --churn has it"}
        self._happened(Event(BROKER, "joined" if alive else "left", {"process": name, **told}))
        if alive and name == SOURCE and self._stopping:
            self._asked.append(self._drain)  # the one before took it to its grave, or was not there to hear it

    def _happened(self, event: Event) -> None:
        now, check, data = self._network.now, self._check, event.data
        self._view.update(event, now)
        self._events.append(event, now)
        if event.kind == "diverged":
            what, hint = str(data.get("what", "")), str(data.get("hint", ""))
            self._ended = {"why": "diverged", "generation": 0, "process": event.name, "message": what, "hint": hint}
        elif event.kind == "evaluated":
            figures = {key: data[key] for key in ("stimuli", "test_accuracy", "test_loss") if key in data}
            self._evaluations.append({"t_s": round(now, 3)} | figures)
            if check is not None:
                self._act(check.evaluated(data.get(check.goal.gauge), bool(data.get("still"))))
                self._look()

    def _show(self) -> None:
        if self._view.stimuli is not None:
            self._metrics.append(self._view.row())
        self._look()
        if self._on_view is not None:
            self._on_view(self._view)

    def _look(self) -> None:
        if self._check is not None:
            self._act(self._check.look(self._view.gauge(self._check.goal.gauge)))

    def _act(self, step: str) -> None:
        if step == "stop":
            self._stop(evaluate=False)  # what was measured is the network that is saved
        elif step and not self._stopping:
            self._asked += [(verb, {}) for verb in (("pause", "eval") if step == "check" else (step,))]

    def _stop(self, evaluate: bool) -> None:
        if not self._stopping:
            self._stopping = True
            self._drain = ("drain", {"evaluate": evaluate})
            self._drain_by = self._network.now + DRAIN_S
            self._asked.append(self._drain)

    def _take_asked(self) -> list[tuple[str, dict[str, Any]]]:
        asked, self._asked = self._asked, []
        return asked
