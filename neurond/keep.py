"""What keeps the processes of a run alive: what died is started anew, what hangs is killed first.

Told of everything in order, it never waits: whoever runs it asks `deadlines` for what is to be done when. A process
that ends after the broker has said that the run is being left has not died, and nothing is started anew then.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from broker.restart import Restarts
from broker.spawn import Exit, Spawner, SpawnError
from neurond import launch
from neurond.conclusion import died, last_word, lost
from neurond.errors import RunError
from topology import exits
from topology.plan import BROKER

if TYPE_CHECKING:
    from monitor.view import View
    from topology.wire import Event

START_S = 30.0  # for a process to register once it was started
RETURN_S = 15.0  # for it to register again with a broker that was started anew
SILENCE_S = 5.0  # the broker passes on telemetry of each process once or twice a second
DOUBT_S = 1.0  # for the broker to say that a process that left was meant to, or that one it has lost is back
KILL_S = 5.0  # for a process that was killed to be gone

Due = tuple[float, Callable[[float], Awaitable[None]]]
"""A moment, and what is to be done then; it is called with the time."""


class Keeper:
    """The keeper of one run's processes.

    Args:
        spawner: starts, kills and watches them.
        restarts: how often they are started anew, and after what pause.
        view: is told who died, and what follows.
        on_broker: called when the broker was started anew: all that was asked of it is to be asked again.

    Every method that takes the time may raise ProcessLost, or DataError, when a process is given up.

    """

    def __init__(self, spawner: Spawner, restarts: Restarts, view: View, on_broker: Callable[[float], None]) -> None:
        self._spawner, self._restarts, self._view, self._on_broker = spawner, restarts, view, on_broker
        self.stopping = False  # the run has been told to stop
        self.ended: Mapping[str, Any] | None = None  # what the broker says of the end, once it has come
        self._leaving: Mapping[str, Any] | None = None
        self._commands: dict[str, Sequence[str]] = {}
        self._known: set[str] = set()  # who has ever been heard: it can start
        self._registered: dict[str, int] = {}  # with the present broker: name -> pid
        self._starting: dict[str, float] = {}  # since when, until it registers
        self._returning: dict[str, float] = {}  # until when it is to have registered again
        self._stuck: set[str] = set()  # who was killed because it did not register at all
        self._failures: dict[str, str] = {}  # what processes said of themselves before they left
        self._doubts: dict[str, tuple[Exit, float]] = {}  # left without being lost, so far: until when to wait
        self._silent: dict[str, tuple[str, float]] = {}  # lost to the broker, why, and until when it may come back
        self._killed: dict[str, tuple[str, float, float]] = {}  # why, the pause, until when it is to be gone
        self._due: dict[str, float] = {}  # when it is started anew
        self._heard = 0.0  # when the broker last said anything
        self._runs = False  # the network, so it is never silent for long

    async def start(self, commands: Mapping[str, Sequence[str]], now: float) -> None:
        """Start all the processes of a run; RunError if one of them cannot be."""
        self._commands = dict(commands)
        self._starting = dict.fromkeys(commands, now)
        try:
            await self._spawner.start(commands)
        except SpawnError as error:
            raise RunError(str(error)) from error

    # --- what happens ---------------------------------------------------------------------------------

    def heard(self, now: float) -> None:
        """The broker has said something."""
        self._heard = now
        self._known.add(BROKER)
        self._starting.pop(BROKER, None)
        self._stuck.discard(BROKER)

    def happened(self, event: Event, now: float) -> None:
        """The broker tells of an event."""
        process = str(event.data.get("process", event.name))
        if event.kind == "failed" and event.name != BROKER:
            self._failures[process] = str(event.data.get("why", ""))
        if event.name != BROKER:
            return
        if event.kind == "joined":
            self._known.add(process)
            self._stuck.discard(process)
            self._registered[process] = int(event.data.get("pid", 0))
            for waiting in (self._starting, self._returning, self._silent):
                waiting.pop(process, None)
        elif event.kind == "lost":
            if process in self._spawner.running and self._registered.get(process) == self._spawner.pid(process):
                self._silent[process] = (str(event.data.get("why", "")), now + DOUBT_S)
        elif event.kind == "running":
            self._runs = True
        elif event.kind == "leaving":
            self._leaving = event.data
            for expected in (self._doubts, self._silent, self._due, self._starting, self._returning):
                expected.clear()
        elif event.kind == "ended":
            self.ended = event.data

    def exited(self, exit: Exit, now: float) -> None:
        """A process has ended."""
        name = exit.name
        registered = self._registered.pop(name, None) is not None
        for expected in (self._silent, self._starting, self._returning):
            expected.pop(name, None)
        killed = self._killed.pop(name, None)
        refused = self.stopping and name != BROKER and not registered  # it came when the run was over
        if self._leaving is not None and name != BROKER:
            return
        if self._leaving is not None or (killed is None and (exit.code == 0 or refused)):
            self._doubts[name] = (exit, now + DOUBT_S)  # asked to, perhaps, and we have yet to hear of it
        elif killed is not None:
            why, pause_s, _ = killed
            self._starts_anew(name, f"was killed, {why}", pause_s, now)
        else:
            self._died(exit, now)

    # --- what follows ---------------------------------------------------------------------------------

    def deadlines(self) -> Iterator[Due]:
        """What is to be done if nothing happens before, and when; in no order."""
        for name, at in self._due.items():
            yield at, partial(self._start_anew, name)
        for name, (_, until) in self._doubts.items():
            yield until, partial(self._doubted, name)
        for name, (why, until) in self._silent.items():
            yield until, partial(self._hangs, name, why)
        for name, (why, _, until) in self._killed.items():
            yield until, partial(self._lose, name, f"{why}, and it cannot be killed")
        for name, since in ({} if self.stopping else self._starting).items():
            yield since + START_S, partial(self._does_not_start, name, f"it did not register within {START_S:g} s")
        for name, until in self._returning.items():
            yield until, partial(self._hangs, name, f"it did not register again within {RETURN_S:g} s")
        if self._runs and BROKER in self._spawner.running and not {BROKER} & {*self._starting, *self._killed}:
            why = f"it hangs: not a word from it for {SILENCE_S:g} s"
            yield self._heard + SILENCE_S, partial(self._hangs, BROKER, why)

    async def _doubted(self, name: str, now: float) -> None:
        exit, _ = self._doubts.pop(name)
        self._died(exit, now)

    async def _lose(self, name: str, why: str, now: float) -> None:  # noqa: ARG002 - as every deadline's
        raise lost(self._spawner, name, why)

    async def _does_not_start(self, name: str, why: str, now: float) -> None:
        """A process hangs before it registers: once may be chance, but not the first time nor twice in a row."""
        if name not in self._known or name in self._stuck:
            raise lost(self._spawner, name, why)
        self._stuck.add(name)
        await self._hangs(name, why, now)

    async def _hangs(self, name: str, why: str, now: float) -> None:
        """A process is there and does nothing: kill it, and start it anew once it is gone."""
        for expected in (self._silent, self._returning, self._starting):
            expected.pop(name, None)
        if name == BROKER and self._leaving is not None:
            self.ended = self._leaving
            return
        pause_s = self._restarts.died(name, now)
        if pause_s is None:
            raise lost(self._spawner, name, why + self._often(name))
        self._killed[name] = (why, pause_s, now + KILL_S)
        self._spawner.kill(name)

    def _died(self, exit: Exit, now: float) -> None:
        if exit.name == BROKER and self._leaving is not None:
            self.ended = self._leaving  # everything is saved, and only the last figures are missing
            return
        said = self._failures.pop(exit.name, "")
        # What it says itself before it has ever worked, or of its data, will be no different the next time.
        hopeless = exit.code == exits.INVALID or (exit.code > 0 and exit.name not in self._known)
        pause_s = None if hopeless else self._restarts.died(exit.name, now)
        if pause_s is None:
            raise died(self._spawner, exit, said, "" if hopeless else self._often(exit.name))
        self._starts_anew(exit.name, f"died, {exit.how}{self._last_words(exit.name, said)}", pause_s, now)

    def _often(self, name: str) -> str:
        """Why it is given up, where it was started anew before."""
        most, period_s = self._restarts.most, self._restarts.period_s
        again = self._restarts.past(name)
        return f", after {again} restarts in {period_s:g} s (--restarts {most})" if again else ""

    def _last_words(self, name: str, said: str) -> str:
        """What a process said at its end, if it did."""
        why = said or last_word(self._spawner, name)
        return f": {why}" if why else ""

    def _starts_anew(self, name: str, what: str, pause_s: float, now: float) -> None:
        self._due[name] = now + pause_s
        when = f" in {pause_s:g} s" if pause_s else ""
        self._view.died(name, f"{name} {what}; it is started anew{when}")

    async def _start_anew(self, name: str, now: float) -> None:
        del self._due[name]
        command = self._commands[name]
        try:
            await self._spawner.start({name: launch.again(command) if name == BROKER else command})
        except SpawnError as error:
            pause_s = self._restarts.died(name, now)
            if pause_s is None:
                raise lost(self._spawner, name, str(error)) from error
            self._starts_anew(name, f"is gone, {error}", pause_s, now)
            return
        self._starting[name] = now
        if name == BROKER:
            self._registered.clear()
            self._silent.clear()
            there = [n for n in self._spawner.running if n not in (BROKER, *self._starting, *self._killed)]
            self._returning = dict.fromkeys(there, now + RETURN_S)
            self._on_broker(now)
