"""A whole run on this machine: the processes started, watched and stopped, its folder written.

This is a composition root: only here and in the command line do broker, monitor and neurond meet. Whatever
happens, no process, socket or lock is left when `supervise` is done; and if this process is killed, the others
find their standard input ended and leave.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from os import PathLike
from typing import TYPE_CHECKING, Any

from broker.spawn import Exit, Spawner, SpawnError
from broker.words import BROKER
from broker.words import STOP_S as BROKER_STOP_S
from neurond import launch, runs
from neurond.conclusion import conclude, died, lost
from neurond.errors import ProcessLost, RunError
from neurond.signals import stopped_by
from neurond.unheard import UNHEARD
from neurond.until import Check, Target
from topology import address
from topology.wire import Event, Telemetry

if TYPE_CHECKING:
    from monitor.client import Client
    from monitor.view import View
    from topology.spec import Topology

ROW_S = 0.5  # between rows of metrics.jsonl
START_S = 30.0  # for all processes to register
STOP_S = BROKER_STOP_S + 2.0  # for a stop to be carried out, and for us to hear of it
SILENCE_S = 5.0  # the broker passes on telemetry of each process once or twice a second
STALLED_S = 1.0  # a deadline noticed this late: it was this process that stood still
CATCH_UP_S = 0.5  # for what came meanwhile to be read
DOUBT_S = 1.0  # for the broker to say that a process that left was meant to
GONE_S = 2.0  # for the processes of an ended run to be gone


async def supervise(
    topology: Topology | None,
    *,
    run_dir: str | PathLike[str] | None = None,
    resume: str | PathLike[str] | None = None,
    data_dir: str | PathLike[str] | None = None,
    until: Target | None = None,
    for_s: float | None = None,
    on_view: Callable[[View], None] | None = None,
    stop: asyncio.Event | None = None,
) -> runs.Run:
    """Train a network as processes on this machine, to the end of its epochs.

    Args:
        topology: what to train; None goes on with the topology of `resume`.
        run_dir: the run's folder; by default a new one under `runs/`.
        resume: an earlier run's folder, gone on from and written to.
        data_dir: where data sets are looked for first.
        until: ends the run when reached.
        for_s: ends the run after so many seconds of training.
        on_view: called whenever something new is known of the run.
        stop: ends the run when set: it is drained and saved, then Interrupted is raised.

    Returns:
        the run, complete.

    Raises:
        TopologyError, DataError, WrongUse: before anything is started.
        RunError, AddressError: the folder or the sockets cannot be used.
        ProcessLost, Diverged, TargetNotReached, Interrupted: as they say; the folder is complete as far as it goes.

    """
    stop = stop or asyncio.Event()
    run, topology = launch.prepare(topology, run_dir, resume, data_dir, until=until)
    # A terminal that is closed stops the run in good order, unless it is to live on (nohup) or the caller cares.
    cares = signal.getsignal(signal.SIGHUP) is not signal.SIG_DFL
    with runs.held(run.path), nullcontext() if cares else stopped_by(signal.SIGHUP, stop):
        supervisor = _Supervisor(run, until, for_s, on_view, stop)
        await supervisor.run(topology, resume is not None, data_dir)
    return run


@dataclass(frozen=True, slots=True)
class _Stop:
    """The user wants it to stop."""


class _Supervisor:
    """One run in progress: hears of everything in one queue, in order, and decides."""

    def __init__(
        self,
        run: runs.Run,
        goal: Target | None,
        for_s: float | None,
        on_view: Callable[[View], None] | None,
        stop: asyncio.Event,
    ) -> None:
        from monitor.view import View

        self._run = run
        self._for_s, self._on_view, self._stop = for_s, on_view, stop
        self._check = None if goal is None else Check(goal)
        self._loop = asyncio.get_running_loop()
        self._inbox: asyncio.Queue[Telemetry | Event | Exit | _Stop] = asyncio.Queue()
        self._view = View(run.plan.processes, run.plan.name, str(run.path))
        self._metrics = runs.Metrics(run.path)
        self._spawner = Spawner(run.path / "logs", launch.variables())
        self._joined: set[str] = set()
        self._started = self._loop.time()
        self._running_since: float | None = None
        self._row_due = 0.0
        self._heard = 0.0  # when the broker last said anything
        self._interrupted = False
        self._stopping: asyncio.Task[None] | None = None
        self._asking: asyncio.Task[None] | None = None
        self._stop_deadline = float("inf")
        self._leaving = False
        self._doubts: dict[str, tuple[Exit, float]] = {}  # left without being lost, so far: until when to wait
        self._failures: dict[str, str] = {}  # what processes said of themselves before they left
        self._ended: dict[str, Any] | None = None

    async def run(self, topology: Topology, resume: bool, data_dir: str | PathLike[str] | None) -> None:
        """Start everything, watch it to its end, write the folder; clear up whatever happens."""
        async with AsyncExitStack() as stack:
            stack.callback(self._metrics.close)
            sockets, word = launch.socket_folder()
            self._view.notes += [word] if word else []
            stack.callback(shutil.rmtree, sockets, ignore_errors=True)
            broker_address = address.of_folder(sockets)
            runs.write_plan(self._run.path, self._run.plan)
            stack.push_async_callback(self._spawner.stop)
            try:
                where = launch.path_text(data_dir)
                await self._spawner.start(launch.commands(self._run, broker_address, resume, where))
            except SpawnError as error:
                raise RunError(str(error)) from error
            # The processes are on their way: everything slow of our own comes after.
            from monitor.client import Client

            client = await stack.enter_async_context(Client(broker_address))
            await stack.enter_async_context(self._listening(client))
            launch.write_origin(self._run, topology)
            await self._watch(client)
            await self._spawner.ended(timeout_s=GONE_S)
        assert self._ended is not None
        conclude(self._run, self._view, self._ended, self._check, self._interrupted)

    @asynccontextmanager
    async def _listening(self, client: Client) -> AsyncIterator[None]:
        """Everything that happens is put into the inbox, for as long as the context lasts."""

        async def stream() -> None:
            async for item in client.stream():
                self._inbox.put_nowait(item)

        async def exits() -> None:
            while True:
                self._inbox.put_nowait(await self._spawner.exits.get())

        async def stop() -> None:
            await self._stop.wait()
            self._inbox.put_nowait(_Stop())

        tasks = [asyncio.create_task(work()) for work in (stream, exits, stop)]
        try:
            yield
        finally:
            tasks += [task for task in (self._stopping, self._asking) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # --- what happens ---------------------------------------------------------------------------------

    async def _watch(self, client: Client) -> None:
        while self._ended is None:
            item = await self._next(client)
            now = self._loop.time()
            match item:
                case Telemetry():
                    self._heard = now
                    self._view.update(item, now)
                    self._show(client)
                    if now >= self._row_due and self._view.stimuli is not None:
                        self._row_due = now + ROW_S
                        self._metrics.append(self._view.row())
                case Event():
                    self._heard = now
                    self._view.update(item, now)
                    self._happened(item, now)
                    if item.kind == "evaluated" and self._check is not None:
                        figure, still = item.data.get(self._check.goal.gauge), bool(item.data.get("still"))
                        self._act(self._check.evaluated(figure, still), client)
                    self._show(client)
                case Exit():
                    self._exited(item, now)
                case _Stop():
                    self._interrupted = True
                    self._ask_to_stop(client)
        if self._view.stimuli is not None:
            self._metrics.append(self._view.row())

    def _happened(self, event: Event, now: float) -> None:
        process = str(event.data.get("process", event.name))
        if event.kind == "joined":
            self._joined.add(process)
        elif event.kind == "running" and event.name == BROKER:
            self._running_since = now
        elif event.kind == "leaving" and event.name == BROKER:
            self._leaving = True
            self._doubts.clear()
        elif event.kind == "lost" and event.name == BROKER and process not in self._doubts:
            if process in self._spawner.running:  # it hangs; one that died is told by its exit
                raise self._lost(process, str(event.data.get("why", "")))
        elif event.kind == "failed" and event.name != BROKER:
            self._failures[process] = str(event.data.get("why", ""))
        elif event.kind == "ended" and event.name == BROKER:
            self._ended = event.data

    def _exited(self, exit: Exit, now: float) -> None:
        if self._leaving and exit.name != BROKER:
            return
        refused = self._stopping is not None and exit.name not in self._joined  # it came when the run was over
        if exit.code == 0 or refused:
            self._doubts[exit.name] = (exit, now + DOUBT_S)  # asked to, perhaps, and we have yet to hear of it
        else:
            raise self._died(exit)

    async def _next(self, client: Client) -> Telemetry | Event | Exit | _Stop | None:
        """What happens next; None where a deadline passed first, and was seen to."""
        if self._inbox.empty():
            deadline, act = self._deadline(client)
            try:
                async with asyncio.timeout_at(deadline):
                    return await self._inbox.get()
            except TimeoutError:
                if self._loop.time() - deadline > STALLED_S:
                    await asyncio.sleep(CATCH_UP_S)  # it was we who stood still (Ctrl-Z): first hear what waits
            if self._inbox.empty():
                act()
                return None
        return self._inbox.get_nowait()

    def _deadline(self, client: Client) -> tuple[float, Callable[[], None]]:
        """The next moment at which something is to be done if nothing happens before, and what."""

        def lose(name: str, why: str) -> Callable[[], None]:
            def act() -> None:
                raise self._lost(name, why)

            return act

        def give_up(exit: Exit) -> None:
            raise self._died(exit)

        found = [(self._stop_deadline, lose(BROKER, f"it did not end the run within {STOP_S:g} s of being told to"))]
        found += [(until, partial(give_up, exit)) for exit, until in self._doubts.values()]
        if self._running_since is not None:
            found.append((self._heard + SILENCE_S, lose(BROKER, f"it hangs: not a word from it for {SILENCE_S:g} s")))
            if self._for_s is not None and self._stopping is None:
                found.append((self._running_since + self._for_s, partial(self._ask_to_stop, client)))
        elif self._stopping is None:
            late = next((n for n in self._run.plan.processes if n not in self._joined), BROKER)
            found.append((self._started + START_S, lose(late, f"it did not register within {START_S:g} s")))
        return min(found, key=itemgetter(0))

    def _show(self, client: Client) -> None:
        if self._check is not None:
            step = self._check.look(self._view.gauge(self._check.goal.gauge))
            self._act(step, client)
        if self._on_view is not None:
            try:
                self._on_view(self._view)
            except OSError as error:
                if error.errno not in UNHEARD:
                    raise
                self._on_view = None  # nobody watches any more (terminal closed, log full), and the run goes on

    def _act(self, step: str, client: Client) -> None:
        if step == "stop":
            self._ask_to_stop(client, evaluate=False)  # what was measured is the network that is saved
        elif step and self._stopping is None:
            verbs = ("pause", "eval") if step == "check" else (step,)
            self._asking = asyncio.create_task(self._ask(client, verbs))

    def _ask_to_stop(self, client: Client, evaluate: bool = True) -> None:
        if self._stopping is None:
            self._stop_deadline = self._loop.time() + STOP_S
            self._stopping = asyncio.create_task(self._ask(client, ("stop",), evaluate=evaluate))

    @staticmethod
    async def _ask(client: Client, verbs: Sequence[str], **args: Any) -> None:
        for verb in verbs:
            await client.command(verb, timeout_s=STOP_S, **args)

    def _died(self, exit: Exit) -> Exception:
        return died(self._spawner, exit, self._failures.get(exit.name, ""))

    def _lost(self, name: str, why: str) -> ProcessLost:
        return lost(self._spawner, name, why)
