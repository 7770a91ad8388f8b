"""One process of a network: a group or the source, from registering with the broker to the last reply.

Light on purpose: a daemon receives its part of the plan resolved and checked, so it starts without a YAML reader,
a validator or a command-line framework (``python -m neurond.daemon group h1 --broker ADDRESS``).
"""

from __future__ import annotations

import os

from topology.threads import blas_threads

os.environ |= blas_threads(os.environ)  # before NumPy loads

import argparse
import asyncio
import contextlib
import errno
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import zmq

from neurond import begin
from neurond.begin import StartError
from neurond.control import Control, hello
from neurond.machine import Machine, Request
from neurond.scribe import Scribe
from neurond.shell import Inbox, Shell
from topology import address, checkpoints, exits, wire
from topology.gate import Gate
from topology.keys import KeysError, of_process
from topology.plan import REPORT_S, SOURCE
from topology.process import run, say, take_turns, tether
from topology.watchdog import Watchdog

IDLE_TICK_S = 0.5  # where nothing moves: a network that waits costs next to nothing
UNREACHABLE_S = 30.0  # without an answer from the broker, and the process gives up
PATIENT_S = 2.0  # without an answer from the broker, before a word is said about it
OUTCOMES = ("finished", "diverged")  # events by which a run ends
LAST_WORDS_S = 0.05  # for an answer to leave, before the process kills itself
REPORT_TICKS = 2  # a beat and a report every so many ticks
TICK_S = REPORT_S / REPORT_TICKS


@dataclass(frozen=True, slots=True)
class Settings:
    """What a daemon must be told from outside; all else comes with the plan.

    Args:
        name: process name in the plan (``h1``, ``h2.0``, ``source``).
        broker: the broker's address.
        bind: endpoint of the inbox; by default a file beside the broker's, or a free port of the loopback.
        advertise: host that peers connect to, where it is not the one that is bound (containers).
        data_dir: where the source looks for data sets.
        keys: folder of the keys, for what is tcp; by default `keys`.
        insecure: tcp without keys: for a network whose every machine and user is trusted.
        tethered: leave when standard input ends, for then whoever started the process is gone.

    """

    name: str
    broker: str
    bind: str | None = None
    advertise: str | None = None
    data_dir: str | None = None
    keys: str | None = None
    insecure: bool = False
    tethered: bool = False


class Daemon:
    """A process between its broker and its machine. `run` returns the exit status."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._role = "source" if settings.name == SOURCE else "group"
        self._loop = asyncio.get_running_loop()
        self._exit: asyncio.Future[int] = self._loop.create_future()
        self._shell: Shell | None = None
        self._machine: Machine | None = None
        self._scribe: Scribe | None = None
        self._run_dir = Path()
        self._counts_on = False  # from where a process before it was
        self._watchdog = Watchdog(settings.name)
        self._ticks = 0
        self._moved = 0  # the machine's progress at the last tick
        self._timer: asyncio.TimerHandle | None = None
        self._outcome: wire.Event | None = None  # what a broker that comes later must hear too

    async def run(self) -> int:
        """Register, work until told to leave, and close everything; returns the exit status."""
        self._loop.set_exception_handler(self._crash)
        for number, status in ((signal.SIGTERM, exits.OK), (signal.SIGINT, exits.INTERRUPTED)):
            self._loop.add_signal_handler(number, self._leave, status)
        if self._settings.tethered:
            tether(self._settings.name, self._leave)
        with contextlib.ExitStack() as stack:
            self._open(stack)
            self._loop.call_later(PATIENT_S, self._still_waiting)
            stack.callback(self._stop_work)
            self._timer = self._loop.call_later(TICK_S, self._tick)
            stack.enter_context(self._watchdog)
            return await self._exit

    def _open(self, stack: contextlib.ExitStack) -> None:
        """Make the sockets; the stack closes whatever was made, in the order in which that is safe.

        Raises StartError, AddressError, KeysError.
        """
        s = self._settings
        address.control(s.broker)  # refused before its keys are looked for
        endpoint = s.bind or default_inbox(s.broker, s.name)
        keys = of_process(s.name, (s.broker, endpoint), s.keys, s.insecure)
        # Given back last, when no thread of libzmq touches the file any more.
        stack.callback(address.bind_lock(endpoint).release)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        stack.callback(self._context.destroy, linger=0)  # all is closed by then but what was only half made
        self._gate = None if keys is None else Gate(self._context, keys)
        with _usable("bind", endpoint):
            self._inbox = Inbox(self._context, endpoint, self._gate)
        stack.callback(self._inbox.close)
        if self._gate is not None:
            stack.callback(self._gate.close)  # before what it watches
            self._gate.open()
        introduction = hello(s.name, self._role, self._reachable(self._inbox.endpoint))
        with _usable("connect to", s.broker):
            self._control = Control(
                self._context, s.broker, introduction, self._message, self._unreachable, UNREACHABLE_S, keys
            )
        stack.callback(self._control.close)

    def _still_waiting(self) -> None:
        if self._machine is None and not self._exit.done():
            say(f"{self._settings.name}: no answer from {self._settings.broker} yet; still trying")

    # --- the broker's messages --------------------------------------------------------------------------

    def _message(self, message: wire.ControlMessage) -> None:
        try:
            if isinstance(message, wire.Welcome):
                self._welcome(message)
            elif isinstance(message, wire.Roster):
                if self._shell is not None:
                    self._shell.meet(message)
            elif isinstance(message, wire.Command):
                self._command(message)
            elif isinstance(message, wire.Refused):
                raise StartError(f"the broker refuses {self._settings.name}: {message.why}")
        except StartError as error:
            self._fail(error)

    def _welcome(self, welcome: wire.Welcome) -> None:
        self._control.welcomed(welcome.incarnation)
        if self._machine is not None:
            if self._machine.incarnation != welcome.incarnation:  # to its peers it would be another process
                raise StartError(f"{self._settings.name} was given the place of another; it must start anew")
            if self._outcome is not None:
                self._control.send(self._outcome)
            return
        self._run_dir = Path(welcome.run_dir)
        recovered = None
        with self._watchdog.elsewhere():
            machine = begin.make_machine(self._role, welcome.plan, welcome.incarnation, self._settings.data_dir)
            if welcome.recover:
                recovered = begin.recover(machine, self._run_dir)
            elif welcome.resume:
                begin.restore(machine, self._run_dir)
        self._counts_on = welcome.resume if recovered is None else bool(recovered.data["from"])
        self._machine = machine
        keys = None if self._gate is None else self._gate.keys
        self._shell = Shell(self._context, self._inbox, machine, self._tell, keys)
        say(f"{self._settings.name}: incarnation {welcome.incarnation}, inbox {self._inbox.endpoint}")
        if recovered is not None:
            self._of_journal(recovered)
        self._scribe = begin.journalled(machine, self._run_dir, recovered is None, self._of_journal)
        self._report()

    def _tell(self, message: wire.Event | wire.Reply) -> None:
        if isinstance(message, wire.Event) and message.kind in OUTCOMES:
            self._outcome = message
        self._control.send(message)

    def _of_journal(self, event: wire.Event) -> None:
        """What is to be said of the journal: to the log, and to everybody."""
        say(f"{event.name}: {event.data['why']}")
        self._control.send(event)

    def _command(self, command: wire.Command) -> None:
        if self._machine is None or self._shell is None:
            self._control.send(wire.Reply(command.id, False, error="still starting"))
        elif command.verb == "save":
            # First: should it be the last save, these are the run's figures whatever happens after.
            self._report(early=True)
            self._control.send(self._save(command))
        elif command.verb == "exit":
            self._control.send(wire.Reply(command.id, True, {"telemetry": asdict(self._telemetry())}))
            if self._scribe is not None:
                with self._watchdog.elsewhere():  # a disk takes its time
                    self._scribe.discard()  # the run is over, and the checkpoint is what is left of it
            self._leave(exits.OK)
        elif command.verb == "status":
            self._control.send(wire.Reply(command.id, True, {"telemetry": asdict(self._telemetry())}))
        elif command.verb == "tap":
            self._shell.tap(Request(command.id, command.verb, command.args))
        elif command.verb == "kill":
            say(f"{self._settings.name}: kills itself, as it was asked to")
            self._control.send(wire.Reply(command.id, True))
            self._loop.call_later(LAST_WORDS_S, os.kill, os.getpid(), signal.SIGKILL)
        elif command.verb == "restart":
            say(f"{self._settings.name}: leaves to be started anew, as it was asked to")
            self._control.send(wire.Reply(command.id, True))
            self._leave(exits.FAILED)  # so that docker starts it anew, too
        else:
            self._shell.request(Request(command.id, command.verb, command.args))
            self._control.has(self._machine.settings.changed)

    def _save(self, command: wire.Command) -> wire.Reply:
        assert self._machine is not None
        folder = str(command.args.get("folder", ""))
        try:
            from neurond import checkpoint  # late: safetensors is only needed from the first save on

            with self._watchdog.elsewhere():
                saved = checkpoint.write(self._run_dir, folder, self._settings.name, self._machine.state())
        except OSError as error:
            where = checkpoints.folder(self._run_dir) / folder  # last: a display may have no room for it
            return wire.Reply(command.id, False, error=f"{error.strerror or error} ({where})")
        return wire.Reply(command.id, True, saved)

    # --- time, trouble and the end ----------------------------------------------------------------------

    def _tick(self) -> None:
        moves = self._machine is None or self._machine.progress != self._moved
        self._timer = self._loop.call_later(TICK_S if moves else IDLE_TICK_S, self._tick)
        self._watchdog.comes_round()
        rekeyed = self._gate is not None and self._gate.refresh()
        if self._shell is None or self._machine is None:
            return
        if rekeyed:
            self._shell.rekeyed()
        self._moved = self._machine.progress
        self._shell.tick()
        self._ticks += 1
        if self._ticks % REPORT_TICKS == 0:
            self._report()

    def _report(self, *, early: bool = False) -> None:
        assert self._machine is not None
        self._control.send(wire.Beat(self._machine.progress))
        told = self._telemetry()
        # Looks come with the report that is due: told by an early one as well, they would be seen twice.
        self._control.report(replace(told, raster=[]) if early else told)

    def _telemetry(self) -> wire.Telemetry:
        """The shell's, with what was counted on the way from and to the broker."""
        assert self._shell is not None
        seen = self._shell.telemetry()
        wire_errors = seen.counters["wire_errors"] + self._control.wire_errors
        denied = 0 if self._gate is None else self._gate.denied
        counted = {"wire_errors": wire_errors, "control_drops": self._control.drops, "denied": denied}
        if self._scribe is not None:
            counted |= self._scribe.counters
        gauges = seen.gauges | {"restored": float(self._counts_on)}
        return replace(seen, counters=seen.counters | counted, gauges=gauges)

    def _reachable(self, bound: str) -> str:
        if self._settings.advertise and bound.startswith("tcp://"):
            return f"tcp://{self._settings.advertise}:{bound.rpartition(':')[2]}"
        return bound

    def _unreachable(self, why: str) -> None:
        self._fail(StartError(why, exits.UNREACHABLE))

    def _fail(self, error: StartError) -> None:
        say(f"neurond: {error}")
        self._control.send(wire.Event(self._settings.name, "failed", {"why": str(error), "exit": error.exit_code}))
        self._leave(error.exit_code)

    def _crash(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        loop.default_exception_handler(context)  # a fault of ours: the traceback belongs into the log
        if self._scribe is not None:
            self._scribe.abandon()
        self._leave(exits.FAILED)

    def _stop_work(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._scribe is not None:
            self._scribe.close()
        if self._shell is not None:
            self._shell.close()

    def _leave(self, status: int) -> None:
        if not self._exit.done():
            self._exit.set_result(status)


def default_inbox(broker: str, name: str) -> str:
    """Where a process binds its inbox unless it is told: beside the broker's sockets, or on the loopback."""
    folder = address.folder(broker)
    return "tcp://127.0.0.1:*" if folder is None else address.in_folder(folder, name)


@contextlib.contextmanager
def _usable(verb: str, where: str) -> Iterator[None]:
    """An endpoint that cannot be used is a StartError: the user's fault where it is none, else that of the moment."""
    try:
        yield
    except zmq.ZMQError as error:
        number = error.errno or 0
        is_none = number in (errno.EINVAL, errno.ENODEV, zmq.EPROTONOSUPPORT)
        code = exits.USAGE if is_none else exits.FAILED
        raise StartError(f"cannot {verb} {where}: {zmq.strerror(number)}", code) from error


def serve(settings: Settings) -> int:
    """Run one daemon to its end, on uvloop where there is one; returns the exit status."""

    async def main() -> int:
        return await Daemon(settings).run()

    take_turns()  # before there are threads, which inherit it
    try:
        return run(main())
    except (StartError, address.AddressError, KeysError) as error:
        say(f"neurond: {error}")
        return error.exit_code


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry of ``python -m neurond.daemon``, as the supervisor starts it."""
    parser = argparse.ArgumentParser(prog="python -m neurond.daemon", description=__doc__)
    parser.add_argument("role", choices=["group", "source"])
    parser.add_argument("name", nargs="?", default=SOURCE)
    parser.add_argument("--broker", required=True)
    parser.add_argument("--bind")
    parser.add_argument("--advertise")
    parser.add_argument("--data-dir")
    parser.add_argument("--keys")
    parser.add_argument("--insecure", action="store_true")
    parser.add_argument("--tethered", action="store_true")
    options = vars(parser.parse_args(arguments))
    del options["role"]
    return serve(Settings(**options))


if __name__ == "__main__":
    sys.exit(main())
