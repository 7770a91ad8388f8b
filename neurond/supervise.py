"""A whole run on this machine: the processes started, watched and stopped, its folder written.

This is a composition root: only here, in `keep` and in the command line do broker, monitor and neurond meet. Whatever
happens, no process, socket or lock is left when `supervise` is done; and if this process is killed, the others
find their standard input ended and leave.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from operator import itemgetter
from os import PathLike
from typing import TYPE_CHECKING, Any

from broker.restart import Restarts
from broker.spawn import Exit, Spawner
from broker.words import STOP_S as BROKER_STOP_S
from neurond import launch, runs
from neurond.conclusion import conclude, lost
from neurond.errors import RunError, WrongUse
from neurond.events import Events
from neurond.keep import Due, Keeper
from neurond.living import announced
from neurond.signals import stopped_by
from neurond.unheard import UNHEARD
from neurond.until import RESTARTS, Check, Target
from topology import address
from topology.files import INCARNATIONS, JOURNALS
from topology.plan import BROKER, REPORT_S, SOURCE
from topology.wire import Event, Telemetry

if TYPE_CHECKING:
    from monitor.client import Client
    from monitor.view import View
    from topology.spec import Topology

STOP_S = BROKER_STOP_S + 2.0  # for a stop to be carried out, and for us to hear of it
STALLED_S = 1.0  # a deadline noticed this late: it was this process that stood still
CATCH_UP_S = 0.5  # for what came meanwhile to be read
GONE_S = 2.0  # for the processes of an ended run to be gone

Beside = Callable[[str], AbstractAsyncContextManager[Any]]
"""What goes on beside a run, such as a recording of it: given the broker's address, entered while that is there."""


async def supervise(
    topology: Topology | None,
    *,
    run_dir: str | PathLike[str] | None = None,
    resume: str | PathLike[str] | None = None,
    data_dir: str | PathLike[str] | None = None,
    until: Target | None = None,
    for_s: float | None = None,
    restarts: int = RESTARTS,
    on_view: Callable[[View], None] | None = None,
    on_client: Callable[[Client], None] | None = None,
    stop: asyncio.Event | None = None,
    beside: Beside | None = None,
) -> runs.Run:
    """Train a network as processes on this machine, to the end of its epochs.

    Args:
        topology: what to train; None goes on with the topology of `resume`.
        run_dir: the run's folder; by default a new one under `runs/`.
        resume: an earlier run's folder, gone on from and written to.
        data_dir: where data sets are looked for first.
        until: ends the run when reached.
        for_s: ends the run after so many seconds of training.
        restarts: of a process that dies, at most, in any 30 s; 0: the first death ends the run.
        on_view: called whenever something new is known of the run.
        on_client: given what commands the run, before the first view.
        stop: ends the run when set: it is drained and saved, then Interrupted is raised.
        beside: entered with the broker's address as soon as the processes are started, and left when they are gone.

    Returns:
        the run, complete.

    Raises:
        TopologyError, DataError, WrongUse: before anything is started.
        RunError, AddressError: the folder or the sockets cannot be used.
        ProcessLost, Diverged, TargetNotReached, Interrupted: as they say; the folder is complete as far as it goes.

    """
    if restarts < 0:
        raise WrongUse(f"restarts: a number of times is expected, not {restarts}")
    stop = stop or asyncio.Event()
    run, topology = launch.prepare(topology, run_dir, resume, data_dir, until=until)
    # A terminal that is closed stops the run in good order, unless it is to live on (nohup) or the caller cares.
    cares = signal.getsignal(signal.SIGHUP) is not signal.SIG_DFL
    with runs.held(run.path), nullcontext() if cares else stopped_by(signal.SIGHUP, stop):
        supervisor = _Supervisor(run, until, for_s, restarts, on_view, on_client, stop, beside)
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
        restarts: int,
        on_view: Callable[[View], None] | None,
        on_client: Callable[[Client], None] | None,
        stop: asyncio.Event,
        beside: Beside | None,
    ) -> None:
        from monitor.view import View

        self._run = run
        self._for_s, self._on_view, self._on_client, self._stop = for_s, on_view, on_client, stop
        self._beside = beside
        self._check = None if goal is None else Check(goal)
        self._loop = asyncio.get_running_loop()
        self._inbox: asyncio.Queue[Telemetry | Event | Exit | _Stop] = asyncio.Queue()
        self._view = View(run.plan.processes, run.plan.name, str(run.path))
        self._metrics = runs.Rows(run.path)
        self._events = Events(run.path)
        self._spawner = Spawner(run.path / runs.LOGS, launch.variables())
        self._keeper = Keeper(self._spawner, Restarts(restarts), self._view, self._broker_anew)
        self._running_since: float | None = None
        self._row_due = 0.0
        self._interrupted = False
        self._unrecorded = False  # the disk takes no rows
        self._stop_args: dict[str, Any] | None = None  # of the stop that was asked for
        self._stop_deadline = float("inf")
        self._asking: list[asyncio.Task[None]] = []

    async def run(self, topology: Topology, resume: bool, data_dir: str | PathLike[str] | None) -> None:
        """Start everything, watch it to its end, write the folder; clear up whatever happens."""
        async with AsyncExitStack() as stack:
            stack.callback(self._metrics.close)
            stack.callback(self._events.close)
            sockets, word = launch.socket_folder()
            self._view.notes += [word] if word else []
            stack.callback(shutil.rmtree, sockets, ignore_errors=True)
            broker_address = address.of_folder(sockets)
            runs.write_plan(self._run.path, self._run.plan)
            stack.enter_context(announced(self._run.path, broker_address))
            stack.push_async_callback(self._spawner.stop)
            where = launch.path_text(data_dir)
            commands = launch.commands(self._run, broker_address, resume, where)
            await self._keeper.start(commands, self._loop.time())
            # The processes are on their way: everything slow of our own comes after.
            from monitor.client import Client

            self._client = client = await stack.enter_async_context(Client(broker_address))
            if self._on_client is not None:
                self._on_client(client)
            await stack.enter_async_context(self._listening(client))
            if self._beside is not None:
                await stack.enter_async_context(self._beside(broker_address))
            launch.write_origin(self._run, topology)
            ended = await self._watch()
            await self._spawner.ended(timeout_s=GONE_S)
        if not ended.get("save_error"):
            self._clear()
        conclude(self._run, self._view, ended, self._check, self._interrupted)

    def _clear(self) -> None:
        """Remove what only a run in progress has, where those who do so at its end were killed before they could."""
        with suppress(OSError):
            (self._run.path / INCARNATIONS).unlink(missing_ok=True)
        shutil.rmtree(self._run.path / JOURNALS, ignore_errors=True)

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
            tasks += self._asking
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # --- what happens ---------------------------------------------------------------------------------

    async def _watch(self) -> Mapping[str, Any]:
        """See to everything that happens, until the run has ended; what the broker says of its end."""
        while self._keeper.ended is None:
            item = await self._next()
            now = self._loop.time()
            self._view.feed_drops = self._client.drops
            match item:
                case Telemetry():
                    self._keeper.heard(now)
                    self._view.update(item, now)
                    self._show()
                    if now >= self._row_due and self._view.stimuli is not None:
                        self._row_due = now + REPORT_S
                        self._record()
                case Event():
                    self._keeper.heard(now)
                    self._view.update(item, now)
                    self._events.append(item, self._view.elapsed_s)
                    self._keeper.happened(item, now)
                    self._happened(item, now)
                    self._show()
                case Exit():
                    self._keeper.exited(item, now)
                    self._show()
                case _Stop():
                    self._interrupted = True
                    self._ask_to_stop()
        if self._view.stimuli is not None:
            self._record()
        return self._keeper.ended

    def _record(self) -> None:
        """A row of figures. A full disk costs the rows, not the training, and is told when it begins and ends."""
        try:
            self._metrics.append(self._view.row())
        except RunError as error:
            if not self._unrecorded:
                self._view.notes.append(f"{error}; training goes on")
            self._unrecorded = True
        else:
            if self._unrecorded:
                self._view.notes.append("rows of figures are written again")
            self._unrecorded = False

    def _happened(self, event: Event, now: float) -> None:
        kind, check = event.kind, self._check
        anew = kind == "joined" and event.data.get("process") == SOURCE
        if kind == "running" and event.name == BROKER:
            anew = self._running_since is not None
            self._running_since = self._running_since or now
        if check is not None and kind == "evaluated":
            self._act(check.evaluated(event.data.get(check.goal.gauge), bool(event.data.get("still"))))
        elif check is not None and anew and check.checking:
            self._act("check")  # the source that was asked, or the broker that was to pass it on, is gone

    def _broker_anew(self, now: float) -> None:
        self._view.brokers += 1
        if self._stop_args is not None:
            self._stop_deadline = now + STOP_S
            self._ask("stop", **self._stop_args)

    async def _next(self) -> Telemetry | Event | Exit | _Stop | None:
        """What happens next; None where a deadline passed first, and was seen to."""
        if self._inbox.empty():
            deadline, act = min(self._deadlines(), key=itemgetter(0))
            try:
                async with asyncio.timeout_at(deadline):
                    return await self._inbox.get()
            except TimeoutError:
                if self._loop.time() - deadline > STALLED_S:
                    await asyncio.sleep(CATCH_UP_S)  # it was we who stood still (Ctrl-Z): first hear what waits
            if self._inbox.empty():
                await act(self._loop.time())
                return None
        return self._inbox.get_nowait()

    def _deadlines(self) -> Iterator[Due]:
        yield self._stop_deadline, self._does_not_stop
        if self._running_since is not None and self._for_s is not None and self._stop_args is None:
            yield self._running_since + self._for_s, self._time_is_up
        yield from self._keeper.deadlines()

    async def _does_not_stop(self, now: float) -> None:  # noqa: ARG002 - as every deadline's
        raise lost(self._spawner, BROKER, f"it did not end the run within {STOP_S:g} s of being told to")

    async def _time_is_up(self, now: float) -> None:  # noqa: ARG002 - as every deadline's
        self._ask_to_stop()

    def _show(self) -> None:
        if self._check is not None:
            self._act(self._check.look(self._view.gauge(self._check.goal.gauge)))
        if self._on_view is not None:
            try:
                self._on_view(self._view)
            except OSError as error:
                if error.errno not in UNHEARD:
                    raise
                self._on_view = None  # nobody watches any more (terminal closed, log full), and the run goes on

    def _act(self, step: str) -> None:
        if step == "stop":
            self._ask_to_stop(evaluate=False)  # what was measured is the network that is saved
        elif step and self._stop_args is None:
            self._ask(*(("pause", "eval") if step == "check" else (step,)))

    def _ask_to_stop(self, evaluate: bool = True) -> None:
        if self._stop_args is None:
            self._keeper.stopping = True
            self._stop_args = {"evaluate": evaluate}
            self._stop_deadline = self._loop.time() + STOP_S
            self._ask("stop", **self._stop_args)

    def _ask(self, *verbs: str, **args: Any) -> None:
        """Have the broker carry these out, one after the other; one that does not answer in time is past asking."""

        async def asked() -> None:
            for verb in verbs:
                await self._client.command(verb, timeout_s=STOP_S, **args)

        self._asking.append(asyncio.create_task(asked()))
