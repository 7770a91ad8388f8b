"""Train a network from Python: `run` in scripts and notebooks, `run_async` where a loop is running."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any

from neurond.until import RESTARTS
from topology.load import from_dict, load, loads
from topology.spec import Topology

if TYPE_CHECKING:
    from monitor.view import View
    from neurond.runs import Run
    from neurond.supervise import Beside
    from neurond.until import Target

Overrides = Mapping[str, Any] | Iterable[str]
TopologyLike = str | PathLike[str] | Mapping[str, Any] | Topology

Work = Callable[..., Coroutine[Any, Any, "Run"]]
"""`run_async` with everything given but `stop`."""


def run(
    topology_or_name: TopologyLike | None = None,
    overrides: Overrides = (),
    *,
    run_dir: str | PathLike[str] | None = None,
    resume: str | PathLike[str] | None = None,
    data_dir: str | PathLike[str] | None = None,
    until: str | Target | None = None,
    for_s: float | None = None,
    restarts: int = RESTARTS,
    on_view: Callable[[View], None] | None = None,
) -> Run:
    """Train a network as processes on this machine and wait for its end.

    Ctrl-C stops it in good order: it is drained and saved, then Interrupted is raised. Works inside a notebook
    too; `on_view` is then called from another thread.

    Args:
        topology_or_name: a topology file, the name of a ready network ("digits"), a mapping laid out as the
            file is, or a Topology; None goes on with the one of `resume`.
        overrides: of values in it, ``{"groups.h1.optimizer.lr": 0.02}`` or ``["groups.h1.optimizer.lr=0.02"]``.
        run_dir: the run's folder; by default a new one under ``runs/`` (or `NEUROND_RUNS`).
        resume: an earlier run's folder, gone on from and written to.
        data_dir: where data sets are looked for first.
        until: ends the run when reached, such as ``"acc>=0.97"``.
        for_s: ends the run after so many seconds of training.
        restarts: how often a process that dies is started anew, in any 30 s; 0: the first death ends the run.
        on_view: called whenever something new is known of the run.

    Returns:
        the run: its metrics, summary, weights and predictions.

    Raises:
        TopologyError, DataError: what was asked for cannot be trained.
        NeurondError: it was begun and did not end well (`neurond.errors`).
        ValueError: `until` or an override is not written as it should be.

    """
    work = partial(
        run_async,
        topology_or_name,
        overrides,
        run_dir=run_dir,
        resume=resume,
        data_dir=data_dir,
        until=until,
        for_s=for_s,
        restarts=restarts,
        on_view=on_view,
    )
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_interruptible(work))
    return _in_a_thread(work)


async def run_async(
    topology_or_name: TopologyLike | None = None,
    overrides: Overrides = (),
    *,
    run_dir: str | PathLike[str] | None = None,
    resume: str | PathLike[str] | None = None,
    data_dir: str | PathLike[str] | None = None,
    until: str | Target | None = None,
    for_s: float | None = None,
    restarts: int = RESTARTS,
    on_view: Callable[[View], None] | None = None,
    stop: asyncio.Event | None = None,
    beside: Beside | None = None,
) -> Run:
    """`run` for a running event loop. Set `stop` to end the run in good order; cancelling ends it at once.

    `beside` is that of `supervise`.
    """
    from neurond.supervise import supervise  # late: brings the broker, and the monitor after it

    if isinstance(until, str):
        from neurond.until import parse_target

        until = parse_target(until)
    return await supervise(
        topology_of(topology_or_name, overrides, resume),
        run_dir=run_dir,
        resume=resume,
        data_dir=data_dir,
        until=until,
        for_s=for_s,
        restarts=restarts,
        on_view=on_view,
        stop=stop,
        beside=beside,
    )


def topology_of(
    given: TopologyLike | None, overrides: Overrides, resume: str | PathLike[str] | None
) -> Topology | None:
    """What to train; None for exactly what `resume` trained."""
    settings = _settings(overrides)
    if given is None:
        if resume is None or not settings:
            return None
        from neurond.runs import open_run

        return open_run(resume).changed(settings)
    if isinstance(given, str | PathLike):
        return load(given, settings)
    topology = given if isinstance(given, Topology) else from_dict(given)
    if not settings:
        return topology
    from topology.write import dump

    return loads(dump(topology), topology.name, settings)


def _settings(overrides: Overrides) -> list[str]:
    """Overrides as `--set` takes them; YAML reads JSON, so a value in JSON means itself."""
    if isinstance(overrides, str):
        raise TypeError("overrides: a mapping or a list of 'key=value' is expected, not one string")
    if isinstance(overrides, Mapping):
        return [f"{key}={v if isinstance(v, str) else json.dumps(v)}" for key, v in overrides.items()]
    return list(overrides)


async def _interruptible(work: Work) -> Run:
    """Run with Ctrl-C as a wish to stop; where signals cannot be had it does what it always does."""
    from neurond.signals import stopped_by

    stop = asyncio.Event()
    with stopped_by(signal.SIGINT, stop):
        return await work(stop=stop)


def _in_a_thread(work: Work) -> Run:
    """Run in a thread with a loop of its own: this thread's is taken, as it is in a notebook."""
    result: list[Run] = []
    error: list[BaseException] = []
    stop_it: list[Callable[[], object]] = []

    async def main() -> Run:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        stop_it.append(lambda: loop.call_soon_threadsafe(stop.set))
        return await work(stop=stop)

    def body() -> None:
        try:
            result.append(asyncio.run(main()))
        except BaseException as e:  # handed to the caller's thread, whatever it is
            error.append(e)

    thread = threading.Thread(target=body, name="neurond.run")
    thread.start()
    while thread.is_alive():
        try:
            thread.join()
        except KeyboardInterrupt:
            for stop in stop_it:
                stop()
    if error:
        raise error[0]
    return result[0]
