"""The broker's sockets: the shell of the registry and the conductor.

Everything is done in the loop's own turns: a socket is drained when its descriptor wakes the loop, never
awaited, so no message is lost to a cancelled receive and nothing ever blocks on a send.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import zmq

from broker import manifest
from broker.conductor import BROKER, Conductor, State
from broker.fanout import Fanout
from broker.registry import BEAT_TIMEOUT_S, Member, RefusedError, Registry
from broker.requests import Requests
from broker.sockets import Sockets, bound
from broker.words import (
    Action,
    Answer,
    Answered,
    Asked,
    Happening,
    Joined,
    Leave,
    Lost,
    Publish,
    Said,
    Tell,
    TellRoster,
    Tick,
    WriteManifest,
    Written,
)
from topology import plan, wire

TICK_S = 0.1
BUDGET = 256  # rounds over the sockets before the loop gets its turn
LAST_WORDS_S = 0.2  # after the end: time for a subscriber that is just connecting
STALLED_S = 1.0  # a tick that comes this late: it was the broker that stood still


class Server:
    """One broker, from bind to the end of its run.

    Args:
        the_plan: the whole run.
        broker_address: where to bind, as in `topology.address`.
        run_dir: the run folder, as every process is to know it.
        resume: processes load the last checkpoint before the first spike.
        beat_timeout_s: silence after which a process is lost.

    Raises ValueError if the manifest of `run_dir` cannot be read.

    """

    def __init__(
        self,
        the_plan: plan.Plan,
        broker_address: str,
        run_dir: Path,
        *,
        resume: bool = False,
        beat_timeout_s: float = BEAT_TIMEOUT_S,
    ) -> None:
        self.wire_errors = 0
        self.drops: Counter[str] = Counter()
        self._address = broker_address
        self._run_dir = run_dir
        self._run = the_plan.name
        self._resume = resume
        self._beat_timeout_s = beat_timeout_s
        self._parts = {g.name: plan.to_dict(g) for g in the_plan.groups}
        self._parts[plan.SOURCE] = plan.to_dict(the_plan.source)
        self._registry = Registry(the_plan.processes, beat_timeout_s)
        self._conductor = Conductor(the_plan.processes, manifest.generation(run_dir))
        self._requests = Requests()
        self._fanout = Fanout()
        self._pump_due = False

    async def run(self) -> int:
        """Bind, serve until the run has ended or `leave` is called, and clear up; the exit status.

        Raises AddressError if an endpoint cannot be bound.
        """
        self._loop = asyncio.get_running_loop()
        self._exit: asyncio.Future[int] = self._loop.create_future()
        with ExitStack() as stack:
            self._watch(stack.enter_context(bound(self._address)), stack)
            self._ticked = self._loop.time()
            self._timer = self._loop.call_later(TICK_S, self._tick)
            stack.callback(lambda: self._timer.cancel())
            say(f"broker: {self._run} at {self._address}, waiting for {', '.join(self._registry.missing)}")
            self._pump()
            return await self._exit

    def stop(self) -> None:
        """Ask the run to end as a client's `stop` would."""
        self._happened(Asked(wire.Command(f"{BROKER}-stop", "stop")))

    def leave(self, status: int) -> None:
        """End `run` now, whatever the run is doing."""
        if not self._exit.done():
            self._exit.set_result(status)

    def _watch(self, sockets: Sockets, stack: ExitStack) -> None:
        self._handlers = (
            (sockets.control, self._on_control),
            (sockets.telemetry_in, self._on_telemetry),
            (sockets.telemetry_out, self._on_subscription),
        )
        self._sockets = sockets
        for socket, _ in self._handlers:
            self._loop.add_reader(socket.FD, self._pump)
            stack.callback(self._loop.remove_reader, socket.FD)

    # --- what comes in --------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Take everything in. The descriptors are edge-triggered: stop only when nothing is left anywhere."""
        self._pump_due = False
        for _ in range(BUDGET):
            busy = False
            for socket, handler in self._handlers:
                try:
                    frames = socket.recv_multipart(zmq.NOBLOCK)
                except zmq.Again:
                    continue
                busy = True
                handler(frames)
            if not busy:
                return
        if not self._pump_due:
            self._pump_due = True
            self._loop.call_soon(self._pump_again)

    def _pump_again(self) -> None:
        if not self._exit.done():
            self._pump()

    def _on_control(self, frames: list[bytes]) -> None:
        try:
            if len(frames) != 2:
                raise wire.WireError(f"{len(frames)} frames are no control message")
            route, message = frames[0], wire.unpack(frames[1])
        except wire.WireError:
            self.wire_errors += 1
            return
        now = self._loop.time()
        member = self._registry.by_route(route)
        match message:
            case wire.Hello():
                self._hello(message, route, now)
            case wire.Command():
                self._command(message, route, now)
            case wire.Beat() if member is not None:
                was_alive = member.alive
                self._registry.beat(route, message.progress, now)
                if not was_alive:
                    self._joined(member)
            case wire.Reply() if member is not None:
                self._happened(Answered(member.name, message))
            case wire.Event() if member is not None and message.name == member.name:
                self._happened(Said(message))
                if message.kind in ("failed", "left"):
                    self._lost(member.name, str(message.data.get("why", "it said goodbye")))
            case wire.Beat():
                pass  # it outlived another broker and will register
            case _:
                self.wire_errors += 1  # a message that a broker is not sent, or from nobody it knows

    def _hello(self, hello: wire.Hello, route: bytes, now: float) -> None:
        before = self._registry.member(hello.name)
        known = before is not None and before.alive
        try:
            if self._conductor.state in (State.LEAVING, State.ENDED):
                raise RefusedError("the run is over")
            member = self._registry.hello(hello, route, now)
        except RefusedError as error:
            say(f"broker: refused {hello.name!r}, pid {hello.pid}: {error}")
            self._send(route, wire.Refused(str(error)))
            return
        # A process that takes another's place goes on from what that one had saved.
        takes_over = member.incarnation > 1 and not hello.incarnation and self._conductor.generation > 0
        part, folder = self._parts[member.name], str(self._run_dir)
        self._send(route, wire.Welcome(member.incarnation, part, folder, self._resume or takes_over))
        if not known:
            self._joined(member)
        elif self._conductor.state is not State.WAITING:
            self._send(route, self._registry.roster())

    def _joined(self, member: Member) -> None:
        say(f"broker: {member.name} joined, incarnation {member.incarnation}, {member.endpoint}")
        self._happened(Joined(member.name, member.incarnation, member.pid, self._registry.missing))

    def _lost(self, name: str, why: str) -> None:
        self._registry.dead(name)
        say(f"broker: {name} lost: {why}")
        self._happened(Lost(name, why))

    def _command(self, command: wire.Command, route: bytes, now: float) -> None:
        if not self._requests.is_new(command.id, route):
            answered = self._requests.reply(command.id)
            if answered is not None:
                self._send(route, answered)
        elif command.verb == "status" and not command.target:
            self._perform(Answer(wire.Reply(command.id, True, self._status(now))))
        else:
            say(f"broker: {command.verb} {command.target}".rstrip())
            self._happened(Asked(command))

    def _status(self, now: float) -> dict[str, Any]:
        return {
            "run": self._run,
            "run_dir": str(self._run_dir),
            "state": self._conductor.state.value,
            "generation": self._conductor.generation,
            "wire_errors": self.wire_errors,
            "drops": dict(self.drops),
            "processes": self._registry.status(now),
        }

    def _on_telemetry(self, frames: list[bytes]) -> None:
        try:
            message = wire.unpack(b"".join(frames))
        except wire.WireError:
            self.wire_errors += 1
            return
        if not isinstance(message, wire.Telemetry):
            self.wire_errors += 1
            return
        member = self._registry.member(message.name)
        if member is None or member.incarnation != message.incarnation:
            self.drops["fenced telemetry"] += 1
            return
        self._broadcast(self._fanout.telemetry(message, frames[0]))

    def _on_subscription(self, frames: list[bytes]) -> None:
        """A new subscriber is brought up to date; what the others know already they recognise."""
        if frames[0][:1] != b"\x01":
            return
        for item in self._fanout.snapshot(frames[0][1:]):
            self._broadcast(item)

    # --- what goes out --------------------------------------------------------------------------------

    def _happened(self, happening: Happening) -> None:
        for action in self._conductor.handle(happening, self._loop.time()):
            self._perform(action)

    def _perform(self, action: Action) -> None:
        match action:
            case Tell(name, command):
                self._send_to(name, command)
            case TellRoster():
                for name in self._registry.alive:
                    self._send_to(name, self._registry.roster())
            case Publish(event):
                if event.name == BROKER and event.kind not in ("joined", "lost"):
                    say(f"broker: {event.kind} {event.data.get('why', '')}".rstrip())
                self._broadcast(self._fanout.event(event))
            case Answer(reply):
                for route in self._requests.answered(reply):
                    self._send(route, reply)
            case WriteManifest(generation, files):
                self._write_manifest(generation, files)
            case Leave():
                self._loop.call_later(LAST_WORDS_S, self.leave, 0)

    def _write_manifest(self, generation: int, files: dict[str, dict[str, Any]]) -> None:
        """Write it in a thread, for a disk may take its time; the conductor hears how it went."""

        def written(done: asyncio.Future[None]) -> None:
            error = done.exception()
            why = "" if error is None else f"cannot write the manifest: {error}"
            if not self._exit.done():
                self._happened(Written(generation, why))
                self._pump()

        task = self._loop.run_in_executor(None, manifest.write, self._run_dir, self._run, generation, files)
        task.add_done_callback(written)

    def _send_to(self, name: str, message: wire.ControlMessage) -> None:
        member = self._registry.member(name)
        if member is not None:
            self._send(member.route, message)

    def _send(self, route: bytes, message: wire.ControlMessage) -> None:
        try:
            self._sockets.control.send_multipart([route, wire.pack(message)], zmq.NOBLOCK)
        except zmq.Again:
            self.drops["full peer"] += 1
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            self.drops["peer gone"] += 1

    def _broadcast(self, frames: list[bytes]) -> None:
        try:
            self._sockets.telemetry_out.send_multipart(frames, zmq.NOBLOCK)
        except zmq.Again:  # does not happen to an XPUB, which drops by itself; but never wait
            self.drops["feed"] += 1

    # --- time -----------------------------------------------------------------------------------------

    def _tick(self) -> None:
        if self._exit.done():
            return
        now = self._loop.time()
        self._timer = self._loop.call_later(TICK_S, self._tick)
        self._pump()  # beats that wait in the socket count before anybody is called silent
        if now - self._ticked > STALLED_S:
            self._registry.heard_all(now)
        self._ticked = now
        if self._conductor.state not in (State.LEAVING, State.ENDED):
            for name in self._registry.silent(now):
                self._lost(name, f"no beat for {self._beat_timeout_s:g} s")
        self._happened(Tick())
        self._pump()  # a send may have eaten the edge that would have woken us


def say(line: str) -> None:
    """One line for the log."""
    print(line, file=sys.stderr, flush=True)
