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
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import zmq

from neurond.machine import Action, Answer, Frame, Idle, Machine, Peers, Request, Send, Start, Tell, Tick
from topology import wire
from topology.address import Lock, bind_lock
from topology.names import Connection

BUDGET = 64  # frames handled before the loop gets its turn
TAKE = 128  # frames taken out of the socket beforehand, so that errors can overtake spikes
OUTBOX = 4096  # frames that wait for a slow peer before the oldest is dropped
MAX_FRAME = 80 << 20  # bytes; a longer one is cut off by the socket itself
RETRY_S = 0.005
LINGER_MS = 200

_POLLIN = int(zmq.POLLIN)
_IDLE = Idle()
_TICK = Tick()
_URGENT = frozenset({wire.NOTIFICATIONS, wire.CLOSES, wire.CONFIRMS, wire.TARGETS})


class Inbox:
    """The bound PULL socket of a process, with the lock that keeps a second process away from its ipc file."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str) -> None:
        self._lock: Lock = bind_lock(endpoint)
        # PULL: HWM 1000 a peer, linger 0 (nothing to send), loss is the sender's to count.
        self.socket = context.socket(zmq.PULL)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME)
        try:
            self.socket.bind(endpoint)
        except zmq.ZMQError:
            self.socket.close()
            self._lock.release()
            raise
        self.endpoint = self.socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def close(self) -> None:
        """Close the socket; `release` follows once the context is gone."""
        self.socket.close()

    def release(self) -> None:
        """Give the ipc file back."""
        self._lock.release()


class Outbox:
    """The PUSH socket to one incarnation of a peer, and the frames that it would not take at once."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, incarnation: int) -> None:
        self.peer = (endpoint, incarnation)
        self.waiting: deque[bytes] = deque()
        self.drops = 0
        # PUSH: HWM 1000, linger 0.2 s, never blocks: what it refuses waits here, bounded, the oldest dropped.
        self._socket = context.socket(zmq.PUSH)
        self._connection = Connection(self._socket, endpoint)

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

    def close(self, linger_ms: int = LINGER_MS) -> None:
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

    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        inbox: Inbox,
        machine: Machine,
        tell: Callable[[wire.Event | wire.Reply], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._context = context
        self._inbox = inbox.socket
        # pyzmq's own wrappers cost more than the calls: an enum for every look, a method for every frame.
        self._events: Callable[[], Any] = partial(zmq.backend.Socket.get, self._inbox, zmq.EVENTS)
        self._recv = partial(zmq.backend.Socket.recv, self._inbox, zmq.NOBLOCK)
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

    def meet(self, roster: wire.Roster) -> None:
        """Connect to peers, anew where one has moved; the first complete roster starts the machine.

        Nothing is taken out of the inbox before: what follows from it could have nowhere to go.
        """
        for name, peer in roster.peers.items():
            known = self._outboxes.get(name)
            if name == self._machine.name or (known is not None and known.peer == peer):
                continue
            if known is not None:  # what is on its way to an incarnation that is gone would only keep the next busy
                self._lost_with_peers += known.drops + len(known.waiting)
                known.close(linger_ms=0)
            self._outboxes[name] = Outbox(self._context, *peer)
        incarnations = {name: incarnation for name, (_, incarnation) in roster.peers.items()}
        peers = Peers(incarnations, roster.complete, roster.changes)
        self.perform(self._machine.handle(peers, time.monotonic()))
        if roster.complete and not self._started:
            self._started = True
            self._loop.add_reader(self._inbox.FD, self._pump)
            self._schedule()  # what came in before the descriptor was watched gives no edge
            self.perform(self._machine.handle(Start(), time.monotonic()))

    def perform(self, actions: Iterable[Action]) -> None:
        """Do what a machine wants done, in order."""
        for action in actions:
            if isinstance(action, Send):
                outbox = self._outboxes.get(action.to)
                if outbox is None:
                    self._homeless += 1
                elif not outbox.put(action.frame) and self._flushing is None:
                    self._flushing = self._loop.call_later(RETRY_S, self._flush)
            elif isinstance(action, Tell):
                self._tell(action.event)
            else:
                assert isinstance(action, Answer)
                self._tell(action.reply)

    def request(self, request: Request) -> None:
        """Give the machine a command, and perform what follows from it."""
        self.perform(self._machine.handle(request, time.monotonic()))

    def tick(self) -> None:
        """Let the machine look at what has waited too long; to be called a few times a second."""
        self.perform(self._machine.handle(_TICK, time.monotonic()))

    def telemetry(self) -> wire.Telemetry:
        """The machine's counters, with what only the shell knows."""
        seen = self._machine.telemetry(time.monotonic())
        usage = resource.getrusage(resource.RUSAGE_SELF)
        drops = sum(o.drops for o in self._outboxes.values()) + self._lost_with_peers + self._homeless
        counters = seen.counters | {
            "drops": drops,
            "wire_errors": seen.counters["wire_errors"] + self._garbage,
        }
        gauges = seen.gauges | {
            "cpu_s": usage.ru_utime + usage.ru_stime,
            "rss_mb": resident_bytes() / 2**20,
            "queue": float(len(self._urgent) + len(self._forward)),
        }
        return replace(seen, counters=counters, gauges=gauges)

    def close(self) -> None:
        """Stop reading and close every socket of this shell."""
        self._loop.remove_reader(self._inbox.FD)
        if self._flushing is not None:
            self._flushing.cancel()
        for outbox in self._outboxes.values():
            outbox.close()

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
            if not urgent:
                self._take()
            if urgent:
                frame = Frame(urgent.popleft())
            elif forward:
                data = forward.popleft()
                frame = Frame(data, more=bool(forward))
            else:
                self.perform(machine.handle(_IDLE, time.monotonic()))
                return
            self.perform(machine.handle(frame, time.monotonic()))
        self._schedule()

    def _take(self) -> None:
        """Move frames out of the socket until it is empty or enough of them wait here."""
        events, urgent, forward = self._events, self._urgent, self._forward
        # Asking first is cheaper than an exception for every time that there is nothing.
        while len(urgent) + len(forward) < TAKE and events() & _POLLIN:
            data = self._recv()
            kind = wire.kind_of(data)
            if kind in _URGENT:
                urgent.append(data)
            elif kind == wire.SPIKES:
                forward.append(data)
            else:
                self._garbage += 1

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
