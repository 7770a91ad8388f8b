"""A process' line to its broker: registers, beats, passes commands in and replies, events and telemetry out.

Spikes never come this way. When the broker goes away the process carries on and registers again, with growing
pauses, under the incarnation that it had.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import replace

import zmq

from topology import address, greeting, sockets, wire
from topology.keys import Keyring
from topology.plan import BROKER

FIRST_RETRY_S = 0.25
LAST_RETRY_S = 2.0
BUDGET = 64  # messages taken in before the loop gets its turn


class Control:
    """The control DEALER and the telemetry PUSH of one process.

    Args:
        context: the process' ZeroMQ context.
        broker: the broker's address.
        hello: how to register; its incarnation is filled in once one was given.
        on_message: called with each message of the broker.
        on_unreachable: called once, with why, when the broker did not answer for `patience_s` seconds or never will.
        keys: of this process, where it has some.

    Raises KeysError if the broker has no key among them.

    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        broker: str,
        hello: wire.Hello,
        on_message: Callable[[wire.ControlMessage], None],
        on_unreachable: Callable[[str], None],
        patience_s: float,
        keys: Keyring | None = None,
    ) -> None:
        control, telemetry = address.control(broker), address.telemetry_in(broker)  # refused before any socket is
        self._loop = asyncio.get_running_loop()
        self._hello = hello
        self._on_message = on_message
        self._on_unreachable = on_unreachable
        self._patience_s = patience_s
        self._registered = False
        self._asking: asyncio.TimerHandle | None = None
        self._drain_due = False
        self._broker, self._endpoint, self._keyed = broker, control, keys is not None
        self._greeting: asyncio.Task[None] | None = None
        self._trouble = address.unanswered(broker)
        self.wire_errors = 0
        self.drops = 0
        # A random part: under one identity a second process would silence the first before it can be refused.
        identity = hello.name.encode() + b"-" + os.urandom(8)
        self._dealer, to_control = sockets.connect(context, sockets.CONTROL_LINE, control, keys, BROKER, identity)
        self._telemetry, to_reports = sockets.connect(context, sockets.REPORT_LINE, telemetry, keys, BROKER)
        self._connections = (to_control, to_reports)
        # Tells when the connection to the broker is lost, and why it does not come about.
        self._monitor = sockets.monitor(context, self._dealer, zmq.EVENT_DISCONNECTED | sockets.FAILURES)
        self._dealer_fd = int(self._dealer.getsockopt(zmq.FD))
        self._monitor_fd = int(self._monitor.getsockopt(zmq.FD))
        self._loop.add_reader(self._dealer_fd, self._drain)
        self._loop.add_reader(self._monitor_fd, self._told)
        self._loop.call_soon(self._told)  # what came before the descriptor was watched gives no edge
        self._ask(FIRST_RETRY_S, self._loop.time() + patience_s)

    def welcomed(self, incarnation: int) -> None:
        """The broker has answered: stop asking, and keep this incarnation when asking again."""
        self._registered = True
        self._stop_asking()
        self._hello = replace(self._hello, incarnation=incarnation)

    def has(self, settings: Mapping[str, float]) -> None:
        """Settings that were changed, as they are now: a broker that comes later is told of them."""
        self._hello = replace(self._hello, settings=dict(settings))

    def send(self, message: wire.ControlMessage) -> None:
        """Send to the broker, now or not at all."""
        try:
            self._dealer.send(wire.pack(message), zmq.NOBLOCK)
        except zmq.Again:
            self.drops += self._connections[0].found
        # The descriptor is edge-triggered and a send may eat its edge: look again after every send.
        if not self._drain_due and int(self._dealer.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            self._drain_due = True
            self._loop.call_soon(self._drain)

    def report(self, telemetry: wire.Telemetry) -> None:
        """Send telemetry; lost when nobody takes it, for the next one holds the same counters."""
        try:
            self._telemetry.send(wire.pack(telemetry), zmq.NOBLOCK)
        except zmq.Again:
            self.drops += self._connections[1].found

    def close(self) -> None:
        """Close the sockets; the last messages get half a second to leave."""
        self._stop_asking()
        if self._greeting is not None:
            self._greeting.cancel()
        self._loop.remove_reader(self._dealer_fd)
        self._loop.remove_reader(self._monitor_fd)
        self._dealer.monitor(None, 0)
        self._monitor.close(0)
        for connection in self._connections:
            connection.close()
        self._telemetry.close()
        self._dealer.close()

    def _ask(self, pause_s: float, give_up: float) -> None:
        if self._loop.time() > give_up:
            self._asking = None
            self._on_unreachable(self._trouble)
            return
        self.send(self._hello)
        self._asking = self._loop.call_later(pause_s, self._ask, min(2 * pause_s, LAST_RETRY_S), give_up)

    def _stop_asking(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None

    def _told(self) -> None:
        """What libzmq tells of the connection to the broker."""
        if self._monitor.closed:
            return
        seen = 0
        for event, value in sockets.told(self._monitor, BUDGET):
            seen += 1
            if event == zmq.EVENT_DISCONNECTED:
                self._register_anew()
            else:
                self._trouble, final = sockets.failure(event, value, self._broker)
                if final:
                    self._on_unreachable(self._trouble)
                elif self._greeting is None or self._greeting.done():
                    self._greeting = self._loop.create_task(self._read_greeting())
        if seen == BUDGET:
            self._loop.call_soon(self._told)

    async def _read_greeting(self) -> None:
        if await greeting.differs(self._endpoint, self._keyed):
            self._on_unreachable(sockets.mismatch(self._broker))

    def _register_anew(self) -> None:
        if self._registered:
            self._registered = False
            self._ask(FIRST_RETRY_S, self._loop.time() + self._patience_s)

    def _drain(self) -> None:
        self._drain_due = False
        for _ in range(BUDGET):
            if self._dealer.closed:
                return
            try:
                data = self._dealer.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            try:
                message = wire.unpack(data)
            except wire.WireError:
                self.wire_errors += 1
                continue
            if isinstance(message, wire.Unknown):
                self._register_anew()
            else:
                self._on_message(message)
        if not self._drain_due:
            self._drain_due = True
            self._loop.call_soon(self._drain)


def hello(name: str, role: str, endpoint: str) -> wire.Hello:
    """How this process introduces itself."""
    return wire.Hello(name, role, os.getpid(), endpoint)
