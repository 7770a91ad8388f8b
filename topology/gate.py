"""The gate of one process: answers ZAP requests for its bound tcp sockets, counts who was turned away, watches keys.

Drained from the loop like every other socket: no thread, nothing awaited, so many requests a turn and no more. Those
that connect wait for it in libzmq, with what they were to send; those that are turned away never cost more than that.
"""

from __future__ import annotations

import asyncio
from typing import Any

import zmq
from zmq.utils import z85

from topology import sockets, zap
from topology.keys import Keyring, KeysError
from topology.process import say

ENDPOINT = "inproc://zeromq.zap.01"
KEY_BYTES = 32  # of a public key of CURVE
BUDGET = 16  # requests, and events of each socket, before the loop gets its turn


class Gate:
    """Stands at the bound sockets of one process from when it is made, and works from `open` on.

    Args:
        context: the process' ZeroMQ context, which has one gate at most; make it before the sockets.
        keys: who is accepted, as `zap.answer` says.

    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], keys: Keyring) -> None:
        self.keys = keys
        self.denied = 0  # connections that came to nothing: a key that is not accepted, a wrong one, none
        self._context = context
        # REP: HWM 1000, linger 0; libzmq asks and waits, for two seconds (HANDSHAKE_IVL).
        self._requests = context.socket(zmq.REP)
        self._requests.setsockopt(zmq.LINGER, 0)
        self._requests.bind(ENDPOINT)
        self._monitors: list[tuple[zmq.Socket[bytes], zmq.Socket[Any]]] = []  # and what each watches
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turned_away = 0  # of whom libzmq has not told yet
        self._due = False

    def watch(self, socket: zmq.Socket[Any]) -> None:
        """Count those that are turned away at a bound socket; `sockets.bind` calls it."""
        pair = sockets.monitor(self._context, socket, sockets.FAILURES)
        self._monitors.append((pair, socket))
        if self._loop is not None:
            self._loop.add_reader(pair.FD, self._pump)
            self._pump()

    def unwatch(self, socket: zmq.Socket[Any]) -> None:
        """Count for a socket no more, which is about to be closed."""
        for pair, watched in self._monitors:
            if watched is socket:
                if self._loop is not None:
                    self._loop.remove_reader(pair.FD)
                watched.monitor(None, 0)
                pair.close(0)
        self._monitors = [both for both in self._monitors if both[1] is not socket]

    def open(self) -> None:
        """Begin to answer, in the running loop."""
        self._loop = asyncio.get_running_loop()
        for socket in (self._requests, *(pair for pair, _ in self._monitors)):
            self._loop.add_reader(socket.FD, self._pump)
        self._pump()  # what came before the descriptors were watched gives no edge

    def refresh(self) -> bool:
        """Look whether the keys have changed; whether they have. To be called once a second or so."""
        try:
            return self.keys.refresh()
        except KeysError as error:
            say(f"{self.keys.name}: {error}; going on with the keys known so far")
            return False

    def close(self) -> None:
        """Stop answering and close the gate's sockets; before those that it watches are closed."""
        for _, watched in self._monitors:
            self.unwatch(watched)
        if self._loop is not None:
            self._loop.remove_reader(self._requests.FD)
        self._requests.close(0)
        self._loop = None

    def _pump(self) -> None:
        """Take in so much of everything; the descriptors are edge-triggered, so come back if there may be more."""
        self._due = False
        if self._loop is None:
            return
        more = self._answer()
        for pair, _ in self._monitors:
            events = [event for event, _ in sockets.told(pair, BUDGET)]
            for event in events:
                self._failed(event)
            more |= len(events) == BUDGET
        if more and not self._due:
            self._due = True
            self._loop.call_soon(self._pump)

    def _answer(self) -> bool:
        for _ in range(BUDGET):
            try:
                request = self._requests.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return False
            key = z85.encode(request[-1]).decode() if len(request[-1]) == KEY_BYTES else ""
            reply = zap.answer(request, key, self.keys.owner)
            if zap.turns_away(reply):
                self._turned_away += 1
                self._count()
            self._requests.send_multipart(reply, zmq.NOBLOCK)
        return True

    def _failed(self, event: int) -> None:
        """A connection has come to nothing. Whom we turned away is counted; of those libzmq may tell, or not."""
        if event != zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL and self._turned_away:
            self._turned_away -= 1
        else:
            self._count()

    def _count(self) -> None:
        self.denied += 1
        if self.denied & (self.denied - 1) == 0:  # 1, 2, 4, 8, ...: a flood does not fill the log
            say(f"{self.keys.name}: {self.denied} connections denied so far: no key, or one that is not accepted")
