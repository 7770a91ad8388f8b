"""Neural networks as independent processes that never wait for each other.

From Python, in a script or a notebook:

    import neurond

    run = neurond.run("digits", {"source.epochs": 5})
    run.summary["test_accuracy"], run.weights["h1 -> h2"], run.predict(x)

Where things are:

    api.py          run, run_async
    supervise.py    a whole run on this machine; launch.py what it starts from, keep.py what keeps it alive,
                    conclusion.py how it ends, signals.py; until.py its goal; events.py what happened, in its folder
    simulate.py     a whole run in virtual time; virtual.py its processes, messenger.py what goes between them,
                    inbox.py what waits for one, conditions.py what all of it is like
    runs.py         the folder of a run; environment.py where it ran; abandoned.py which of them has lost its broker,
                    living.py which are alive; damaged.py what of its files is left out
    daemon.py       one process; begin.py what it begins with; shell.py and control.py its sockets,
                    guard.py whose frames come in
    machine.py      what is said between a machine, which decides and is pure, and its shell
    group.py        the machine of a group: it joins, fires and learns; dendrites.py its weights, memory.py what it
                    remembers of each stimulus, ring.py where; ready.py what is about to fire, joins.py where
                    inputs mix; literal.py the note's own rule; readout.py the loss, seen.py what has counted there
    ledger.py       what a group counts and tells; lasting.py what of it outlives its process, raster.py its spikes
    source.py       the machine of the source; order.py what it presents next, window.py how much of it,
                    flight.py what is under way, score.py how well it goes
    settings.py     what may be changed of a process while it runs; injected.py faults on purpose, tap.py a look at
                    what it sends (pure)
    links.py        both ends of a link; ends.py all ends of a process, wiring.py those of a group (pure)
    neurons.py, losses.py, rules.py, synapses.py, optimizers.py, updates.py, weights.py, forward.py
                    the numerics; notifier.py a link's rule as it may be changed, steering.py its threshold;
                    staleness.py how old gradients are; arithmetic.py how products are made, steady.py functions that
                    are alike on any machine
    checkpoint.py   one process' part of a checkpoint; restored.py what of it no process would have written
    journal.py      what a process that was killed goes on from; changes.py its records, scribe.py when it is written
    data/           data sets and readers
    errors.py       what can go wrong with a run; unheard.py what is no reason to stop
    experiments/    studies of how networks learn
    cli/            the command line

Names load on first use, so that ``import neurond`` costs nothing and daemons carry no more than they need.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neurond.api import run, run_async
    from neurond.data.dataset import DataError
    from neurond.errors import (
        AddressError,
        AddressInUse,
        BrokerUnreachable,
        Diverged,
        Interrupted,
        NeurondError,
        ProcessLost,
        RunError,
        TargetNotReached,
    )
    from neurond.runs import Run, open_run
    from topology.errors import TopologyError

__all__ = [
    "AddressError",
    "AddressInUse",
    "BrokerUnreachable",
    "DataError",
    "Diverged",
    "Interrupted",
    "NeurondError",
    "ProcessLost",
    "Run",
    "RunError",
    "TargetNotReached",
    "TopologyError",
    "open_run",
    "run",
    "run_async",
]

_HOME = {
    "DataError": "neurond.data.dataset",
    "Run": "neurond.runs",
    "TopologyError": "topology.errors",
    "open_run": "neurond.runs",
    "run": "neurond.api",
    "run_async": "neurond.api",
}


def __getattr__(name: str) -> Any:
    """A name of `__all__`, from the module where it lives."""
    if name not in __all__:
        raise AttributeError(f"module 'neurond' has no attribute {name!r}")
    return getattr(import_module(_HOME.get(name, "neurond.errors")), name)


def __dir__() -> list[str]:
    """What `dir` and completion show."""
    return [*globals(), *__all__]
