"""The one shell of the data plane: runs a machine over asyncio and ZeroMQ.

The inbox is a plain socket that is drained whenever its descriptor wakes the loop (a coroutine a message costs
twenty times as much and starves the loop in a flood). The descriptor is edge-triggered: drain until nothing is
left, and come back by `call_soon` when a turn's budget is spent. What goes backward is handled before what goes
forward, for fresh weights are the best use of a processor.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from math import inf
from pathlib import Path
from random import Random
from typing import Any

import zmq

from neurond.guard import Guard
from neurond.injected import Injected
from neurond.machine import Action, Answer, Frame, Idle, Machine, Peers, Request, Send, Start, Tell, Tick
from neurond.tap import WITHIN_S, Tap, TapError, open_tap
from topology import sockets, wire
from topology.gate import Gate
from topology.keys import Keyring, KeysError
from topology.plan import senders

BUDGET = 64  # frames handled before the loop gets its turn
TAKE = 128  # frames taken out of the socket beforehand, so that errors can overtake spikes
OUTBOX = 4096  # frames that wait for a slow peer before the oldest is dropped
RETRY_S = 0.005

_POLLIN = int(zmq.POLLIN)
_IDLE = Idle()
_TICK = Tick()
_URGENT = frozenset({wire.NOTIFICATIONS, wire.CLOSES, wire.CONFIRMS, wire.TARGETS})


class Inbox:
    """The bound PULL socket of a process; whoever binds it holds the lock of its endpoint (`bind_lock`)."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, gate: Gate | None = None) -> None:
        self.socket = sockets.bind(context, sockets.INBOX, endpoint, gate)
        self.endpoint = self.socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()


class Outbox:
    """The PUSH socket to one incarnation of a peer, and the frames that it would not take at once."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        endpoint: str,
        incarnation: int,
        keys: Keyring | None = None,
        name: str = "",
    ) -> None:
        self._peer = (endpoint, incarnation)
        self._name, self._key = name, None if keys is None else keys.key_of(name)
        self.waiting: deque[bytes] = deque()
        self.drops = 0
        self._socket, self._connection = sockets.connect(context, sockets.OUTBOX, endpoint, keys, name)

    def leads_to(self, peer: tuple[str, int], keys: Keyring | None) -> bool:
        """Whether it goes to that endpoint and incarnation, and to the holder of the key that the peer has now."""
        return peer == self._peer and (keys is None or keys.key_of(self._name) == self._key)

    def put(self, frame: bytes) -> bool:
        """Send a frame, or keep it to be sent later; true if it went at once."""
        if not self.waiting:
            try:
                self._socket.send(frame, zmq.NOBLOCK)
                return True
            except zmq.Again:
                pass
        if len(self.waiting) >= OUTBOX:
            self.waiting.popleft()
            self.drops += 1
        self.waiting.append(frame)
        return False

    def flush(self) -> bool:
        """Send what waits, as far as the socket takes it; true if nothing is left."""
        while self.waiting:
            try:
                self._socket.send(self.waiting[0], zmq.NOBLOCK)
            except zmq.Again:
                return False
            self.waiting.popleft()
        return True

    def close(self, linger_ms: int = sockets.OUTBOX.linger_ms) -> None:
        """Close the socket; what waits here is lost, and what the socket has taken leaves within `linger_ms`."""
        self._connection.close()
        self._socket.close(linger_ms)


class Shell:
    """Performs what a machine decides.

    Args:
        context: the process' ZeroMQ context.
        inbox: where frames come in; stays the caller's to close.
        machine: decides.
        tell: called with events and replies for the broker.
        keys: of this process, where it has some.

    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        inbox: Inbox,
        machine: Machine,
        tell: Callable[[wire.Event | wire.Reply], None],
        keys: Keyring | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._context = context
        self._inbox = inbox.socket
        self._keys = keys
        # pyzmq's own wrappers cost more than the calls: an enum for every look, a method for every frame.
        self._events: Callable[[], Any] = partial(zmq.backend.Socket.get, self._inbox, zmq.EVENTS)
        self._recv: Callable[[], bytes | None] = partial(zmq.backend.Socket.recv, self._inbox, zmq.NOBLOCK)
        if keys is not None and inbox.endpoint.startswith("tcp://"):
            self._recv = partial(self._admitted, Guard(keys.owner, senders(machine.plan)))
        self._machine = machine
        self._tell = tell
        self._outboxes: dict[str, Outbox] = {}
        self._urgent: deque[bytes] = deque()
        self._forward: deque[bytes] = deque()
        self._due = False
        self._flushing: asyncio.TimerHandle | None = None
        self._started = False
        self._garbage = 0
        self._lost_with_peers = 0
        self._homeless = 0
        self._impostors = 0
        self._roster = wire.Roster({}, complete=False)
        peers = sorted(set(senders(machine.plan).values()))  # a link is used in both directions
        self._injected = Injected(peers, Random(f"{machine.plan.seed} {machine.name} {machine.incarnation}").random)
        machine.settings.add(self._injected.settings())
        self._late: asyncio.TimerHandle | None = None
        self._late_due = inf
        self._taps: list[Tap] = []

    def meet(self, roster: wire.Roster) -> None:
        """Connect to peers, anew where one has moved; the first complete roster starts the machine.

        Nothing is taken out of the inbox before: what follows from it could have nowhere to go.
        """
        self._roster = roster
        for name, peer in roster.peers.items():
            known = self._outboxes.get(name)
            if name == self._machine.name or (known is not None and known.leads_to(peer, self._keys)):
                continue
            if known is not None:  # what is on its way to an incarnation that is gone would only keep the next busy
                self._lost_with_peers += known.drops + len(known.waiting) + self._injected.forget(name)
                known.close(linger_ms=0)
                del self._outboxes[name]
            # Its key is revoked, or not in our list yet; or it is no endpoint. What is sent there counts as lost.
            with suppress(KeysError, zmq.ZMQError):
                self._outboxes[name] = Outbox(self._context, *peer, self._keys, name)
        incarnations = {name: incarnation for name, (_, incarnation) in roster.peers.items()}
        peers = Peers(incarnations, roster.complete, roster.changes)
        self.perform(self._machine.handle(peers, time.monotonic()))
        if roster.complete and not self._started:
            self._started = True
            self._loop.add_reader(self._inbox.FD, self._pump)
            self._schedule()  # what came in before the descriptor was watched gives no edge
            self.perform(self._machine.handle(Start(), time.monotonic()))

    def rekeyed(self) -> None:
        """The keys have changed: connect anew to those peers whose key has."""
        self.meet(self._roster)

    def perform(self, actions: Iterable[Action]) -> None:
        """Do what a machine wants done, in order."""
        for action in actions:
            if isinstance(action, Send):
                if self._taps:
                    self._look_at(action.frame)
                if self._injected.disturbed and self._injected.takes(action.to, action.frame, time.monotonic()):
                    self._wait_for_late()
                else:
                    self._put(action.to, action.frame)
            elif isinstance(action, Tell):
                self._tell(action.event)
            else:
                assert isinstance(action, Answer)
                self._tell(action.reply)

    def request(self, request: Request) -> None:
        """Give the machine a command, and perform what follows from it."""
        self.perform(self._machine.handle(request, time.monotonic()))

    def tap(self, request: Request) -> None:
        """Answer with the next frames that are sent on a link, once they were seen or some time has passed."""
        try:
            tap = open_tap(request.id, request.args, self._machine.plan)
        except TapError as error:
            self._tell(wire.Reply(request.id, False, error=str(error)))
            return
        self._taps.append(tap)
        self._loop.call_later(WITHIN_S, self._close_tap, tap)

    def tick(self) -> None:
        """Let the machine look at what has waited too long; to be called a few times a second."""
        self.perform(self._machine.handle(_TICK, time.monotonic()))

    def telemetry(self) -> wire.Telemetry:
        """The machine's counters, with what only the shell knows."""
        seen = self._machine.telemetry(time.monotonic())
        usage = resource.getrusage(resource.RUSAGE_SELF)
        drops = sum(o.drops for o in self._outboxes.values()) + self._lost_with_peers + self._homeless
        counters = seen.counters | {
            "drops": drops + self._injected.overflowed,
            "injected": self._injected.lost,
            "impostors": self._impostors,
            "wire_errors": seen.counters["wire_errors"] + self._garbage,
        }
        gauges = seen.gauges | {
            "beat": float(self._machine.progress),
            "cpu_s": usage.ru_utime + usage.ru_stime,
            "rss_mib": resident_bytes() / 2**20,
            "queue": float(len(self._urgent) + len(self._forward)),
            "outbox": float(max((len(o.waiting) for o in self._outboxes.values()), default=0)),
            **self._injected.gauges(),
        }
        return replace(seen, counters=counters, gauges=gauges)

    def close(self) -> None:
        """Stop reading and close every socket of this shell."""
        self._loop.remove_reader(self._inbox.FD)
        for timer in (self._flushing, self._late):
            if timer is not None:
                timer.cancel()
        for outbox in self._outboxes.values():
            outbox.close()

    def _put(self, to: str, frame: bytes) -> None:
        outbox = self._outboxes.get(to)
        if outbox is None:
            self._homeless += 1
        elif not outbox.put(frame) and self._flushing is None:
            self._flushing = self._loop.call_later(RETRY_S, self._flush)

    def _wait_for_late(self) -> None:
        """Be woken when the next frame that is late on purpose is to go."""
        due = self._injected.next_due
        if due < self._late_due:
            if self._late is not None:
                self._late.cancel()
            self._late_due = due
            self._late = self._loop.call_later(max(0.0, due - time.monotonic()), self._send_late)

    def _send_late(self) -> None:
        self._late, self._late_due = None, inf
        for to, frame in self._injected.due(time.monotonic()):
            self._put(to, frame)
        self._wait_for_late()

    def _look_at(self, frame: bytes) -> None:
        for tap in [tap for tap in self._taps if tap.take(frame)]:
            self._close_tap(tap)

    def _close_tap(self, tap: Tap) -> None:
        if tap in self._taps:
            self._taps.remove(tap)
            self._tell(tap.reply())

    def _schedule(self) -> None:
        if not self._due:
            self._due = True
            self._loop.call_soon(self._run)

    def _run(self) -> None:
        self._due = False
        self._pump()

    def _pump(self) -> None:
        if self._inbox.closed:
            return
        machine, urgent, forward = self._machine, self._urgent, self._forward
        for _ in range(BUDGET):
            more = True if urgent else self._take()
            if urgent:
                frame = Frame(urgent.popleft())
            elif forward:
                data = forward.popleft()
                frame = Frame(data, more=bool(forward))
            elif more:
                break  # nothing of use so far: whoever floods us does not hold up the loop
            else:
                self.perform(machine.handle(_IDLE, time.monotonic()))
                return
            self.perform(machine.handle(frame, time.monotonic()))
        self._schedule()

    def _take(self) -> bool:
        """Move frames out of the socket until it is empty or enough of them wait here; whether there may be more."""
        events, urgent, forward = self._events, self._urgent, self._forward
        try:
            for _ in range(TAKE - len(urgent) - len(forward)):
                # Asking first is cheaper than an exception for every time that there is nothing.
                if not events() & _POLLIN:
                    return False
                data = self._recv()
                if data is None:
                    continue
                kind = wire.kind_of(data)
                if kind in _URGENT:
                    urgent.append(data)
                elif kind == wire.SPIKES:
                    forward.append(data)
                else:
                    self._garbage += 1
        except zmq.Again:  # there was something, but it was a heartbeat
            return False
        return True

    def _admitted(self, guard: Guard) -> bytes | None:
        """The next frame; None, and counted, if it is not from the process at the other end of its link."""
        frame: zmq.Frame = zmq.backend.Socket.recv(self._inbox, zmq.NOBLOCK, False)
        data = frame.bytes
        if guard.admits(str(frame.get("User-Id")), data):
            return data
        self._impostors += 1
        return None

    def _flush(self) -> None:
        self._flushing = None
        done = [outbox.flush() for outbox in self._outboxes.values()]
        if not all(done):
            self._flushing = self._loop.call_later(RETRY_S, self._flush)


def resident_bytes() -> int:
    """Memory of this process: as it is now where the kernel tells, else the most that it ever was.

    The peak is inherited from whoever started the process, so it is only the second choice.
    """
    try:
        pages = int(Path("/proc/self/statm").read_bytes().split()[1])
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: bytes on macOS, KiB elsewhere
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return pages * resource.getpagesize()
