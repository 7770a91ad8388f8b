"""The broker's shell: moves bytes between its sockets and `BrokerMachine`.

Everything is done in the loop's own turns: a socket is drained when its descriptor wakes the loop, never
awaited, so no message is lost to a cancelled receive and nothing ever blocks on a send.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import zmq

from broker import incarnations, manifest
from broker.machine import ANYBODY, Broadcast, BrokerMachine, Order, Remember, Say, Send
from broker.registry import BEAT_TIMEOUT_S
from broker.sockets import Socket, Sockets
from broker.words import Discard, Leave, WriteManifest
from topology import exits, plan, wire
from topology.plan import BROKER
from topology.process import say
from topology.watchdog import Watchdog

BUDGET = 256  # rounds over the sockets before the loop gets its turn
RENEW_S = 0.05  # for libzmq to give a port free
LAST_WORDS_S = 0.2  # after the end, for those that listen to hear of it
FIRST_LISTENER_S = 2.0  # after the end, for somebody to listen at all: a run can end before its monitor is up


class Server:
    """One broker, to the end of its run.

    Args:
        the_plan: the whole run.
        sockets: what it is bound to.
        run_dir: the run folder, as every process is to know it.
        resume: processes load the last checkpoint before the first spike.
        again: a broker of this run died, and its processes may live: incarnations go on from those it gave.
        beat_timeout_s: silence after which a process is lost.

    Raises CheckpointError if the manifest of `run_dir` cannot be used, IncarnationsError if what the broker before
    this one has put down there cannot.

    """

    def __init__(
        self,
        the_plan: plan.Plan,
        sockets: Sockets,
        run_dir: Path,
        *,
        resume: bool = False,
        again: bool = False,
        beat_timeout_s: float = BEAT_TIMEOUT_S,
    ) -> None:
        self._given = incarnations.read(run_dir) if again else {}
        if not again:
            incarnations.forget(run_dir)
        self._machine = BrokerMachine(
            the_plan,
            str(run_dir),
            origin=secrets.randbits(64),
            generation=manifest.generation(run_dir),
            resume=resume,
            beat_timeout_s=beat_timeout_s,
            again=again,
            incarnations=self._given,
        )
        self._sockets, self._run_dir, self._run = sockets, run_dir, the_plan.name
        self._watchdog = Watchdog(BROKER)
        self._disk = ThreadPoolExecutor(1, "manifest")  # one, so that things happen in order
        self._pump_due = False
        self._topics: set[bytes] = set()  # that somebody listens to
        self._ended = False

    async def run(self) -> int:
        """Serve until the run has ended or `leave` is called, and close the sockets; the exit status."""
        self._loop = asyncio.get_running_loop()
        self._exit: asyncio.Future[int] = self._loop.create_future()
        with ExitStack() as stack:
            stack.callback(self._disk.shutdown, wait=False)
            stack.callback(self._sockets.close)
            if self._sockets.gate is not None:
                self._sockets.gate.open()
            self._watch()
            stack.callback(self._unwatch)
            stack.enter_context(self._watchdog)
            self._tick_in_time()
            stack.callback(lambda: self._timer.cancel())
            missing = ", ".join(self._machine.registry.missing)
            say(f"broker: {self._run} at {self._sockets.address}, run folder {self._run_dir}, waiting for {missing}")
            self._pump()
            return await self._exit

    def stop(self) -> None:
        """Ask the run to end as a client's `stop` would."""
        self._perform(self._machine.stop(self._loop.time()))
        self._pump()

    def leave(self, status: int) -> None:
        """End `run` now, whatever the run is doing."""
        if not self._exit.done():
            self._exit.set_result(status)

    # --- what comes in --------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Be woken by whatever comes in; again where a socket has been replaced."""
        feed = self._sockets.telemetry_out
        self._handlers: list[tuple[Socket, Callable[[list[zmq.Frame]], Iterable[Order]]]] = [
            (self._sockets.control, self._on_control),
            (self._sockets.telemetry_in, self._on_telemetry),
        ]
        if feed is not None:
            self._handlers.append((feed, self._on_subscription))
        for socket, _ in self._handlers:
            self._loop.add_reader(socket.FD, self._pump)

    def _unwatch(self) -> None:
        for socket, _ in self._handlers:
            self._loop.remove_reader(socket.FD)

    def _renew_feed(self) -> None:
        """The keys have changed: whoever listens proves one again, for a revoked one is to hear no more."""
        if self._exit.done():
            return
        self._unwatch()
        self._topics.clear()
        if not self._sockets.renew_feed():
            self._loop.call_later(RENEW_S, self._renew_feed)
        self._watch()
        self._pump()

    def _pump(self) -> None:
        """Take everything in. The descriptors are edge-triggered: stop only when nothing is left anywhere."""
        self._pump_due = False
        for _ in range(BUDGET):
            busy = False
            for socket, handler in self._handlers:
                try:
                    frames = socket.recv_multipart(zmq.NOBLOCK, copy=False)
                except zmq.Again:
                    continue
                busy = True
                self._perform(handler(frames))
            if not busy:
                return
        if not self._pump_due:
            self._pump_due = True
            self._loop.call_soon(self._pump_again)

    def _pump_again(self) -> None:
        if not self._exit.done():
            self._pump()

    def _on_control(self, frames: list[zmq.Frame]) -> Iterable[Order]:
        if len(frames) != 2:
            self._machine.wire_errors += 1
            return ()
        return self._machine.control(frames[0].bytes, frames[1].bytes, self._loop.time(), self._owner(frames[1]))

    def _on_telemetry(self, frames: list[zmq.Frame]) -> Iterable[Order]:
        if len(frames) != 1:
            self._machine.wire_errors += 1
            return ()
        return self._machine.telemetry(frames[0].bytes, self._owner(frames[0]))

    def _owner(self, frame: zmq.Frame) -> str | None:
        """Whose key proved the connection that a frame came on, as the machine wants to know it."""
        gate = self._sockets.gate
        return ANYBODY if gate is None else gate.keys.owner(str(frame.get("User-Id")))

    def _on_subscription(self, frames: list[zmq.Frame]) -> Iterable[Order]:
        data = frames[0].bytes
        kind, topic = data[:1], data[1:]
        if kind == b"\x00":  # XPUB tells of it when the last subscriber of a topic has gone
            self._topics.discard(topic)
        if kind != b"\x01":
            return ()
        self._topics.add(topic)
        if self._ended:
            self._loop.call_later(LAST_WORDS_S, self.leave, exits.OK)
        return self._machine.subscribed(topic)

    def _tick(self) -> None:
        if self._exit.done():
            return
        self._watchdog.comes_round()
        if (gate := self._sockets.gate) is not None:
            if gate.refresh():
                self._renew_feed()
            self._machine.denied = gate.denied
        self._pump()
        self._perform(self._machine.tick(self._loop.time()))
        self._pump()
        self._tick_in_time()

    def _tick_in_time(self) -> None:
        self._timer = self._loop.call_at(self._machine.next_tick(self._loop.time()), self._tick)

    # --- what goes out --------------------------------------------------------------------------------

    def _perform(self, orders: Iterable[Order]) -> None:
        """Carry out orders. `_pump` must follow: a send may eat the edge that would have woken us."""
        for order in orders:
            match order:
                case Send(route, message):
                    self._send(route, message)
                case Broadcast(frames):
                    self._broadcast(frames)
                case Say(line):
                    say(f"broker: {line}")
                case Remember(given):
                    self._remember(given)
                case WriteManifest():
                    self._write(order)
                case Discard(generation):
                    self._disk.submit(manifest.discard, self._run_dir, generation)
                case Leave():
                    self._ended = True
                    pause_s = LAST_WORDS_S if self._topics else FIRST_LISTENER_S
                    self._loop.call_later(pause_s, self.leave, exits.OK)
                    incarnations.forget(self._run_dir)

    def _remember(self, given: dict[str, int]) -> None:
        if given == self._given:
            return
        try:
            with self._watchdog.elsewhere():  # a disk takes its time, and the name is not given before
                incarnations.write(self._run_dir, given)
            self._given = given
        except OSError as error:  # it matters only if this broker dies too
            say(f"broker: cannot put down who is who in {self._run_dir}: {error.strerror}")

    def _send(self, route: bytes, message: wire.ControlMessage) -> None:
        try:
            self._sockets.control.send_multipart([route, wire.pack(message)], zmq.NOBLOCK)
        except zmq.Again:
            self._machine.drops["full peer"] += 1
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            self._machine.drops["peer gone"] += 1
            self._perform(self._machine.unreachable(route, self._loop.time()))

    def _broadcast(self, frames: list[bytes]) -> None:
        feed = self._sockets.telemetry_out
        if feed is None:
            self._machine.drops["feed"] += 1
            return
        try:
            feed.send_multipart(frames, zmq.NOBLOCK)
        except zmq.Again:  # does not happen to an XPUB, which drops by itself; but never wait
            self._machine.drops["feed"] += 1

    def _write(self, order: WriteManifest) -> None:
        """Write a manifest in the one thread for it, for a disk takes its time; the machine hears how it went."""

        def written(done: asyncio.Future[None]) -> None:
            if not self._exit.done():
                error = done.exception()
                why = "" if error is None else f"cannot write the manifest: {error}"
                self._perform(self._machine.written(order.generation, why, self._loop.time()))
                self._pump()

        place = (self._run_dir, self._run, order.generation, order.parts)
        self._loop.run_in_executor(self._disk, manifest.write, *place).add_done_callback(written)
