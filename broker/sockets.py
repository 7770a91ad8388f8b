"""The broker's three sockets, bound and locked; released in the order in which that is safe."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import zmq

from topology import address

MAX_MESSAGE = 16 * 2**20  # bytes; a longer one ends its sender's connection before it takes memory here
LINGER_MS = 1000

Socket = zmq.Socket[bytes]


@dataclass(frozen=True, slots=True)
class Sockets:
    """What a broker is bound to. `close` does so, once; whoever serves them closes them within its loop."""

    address: str
    control: Socket
    telemetry_in: Socket
    telemetry_out: Socket
    close: Callable[[], None]


@contextmanager
def bound(broker_address: str) -> Iterator[Sockets]:
    """The sockets at a broker address, closed at the end if they are not yet.

    Raises AddressInUse, or AddressError where it cannot be bound for another reason.
    """
    endpoints = (
        address.control(broker_address),
        address.telemetry_in(broker_address),
        address.telemetry_out(broker_address),
    )
    with ExitStack() as stack:
        for endpoint in endpoints:  # given back last, when no thread of libzmq touches the files any more
            stack.callback(address.bind_lock(endpoint).release)
        context: zmq.Context[Socket] = zmq.Context()
        stack.callback(context.term)
        # ROUTER: HWM 1000 a peer, linger 0; an unknown or full peer is an error that is counted, never a wait.
        control = context.socket(zmq.ROUTER)
        stack.callback(control.close, 0)
        control.setsockopt(zmq.ROUTER_MANDATORY, 1)
        control.setsockopt(zmq.ROUTER_HANDOVER, 1)
        # PULL: HWM 1000 a peer, nothing to linger; what exceeds it waits or is lost at the senders.
        telemetry_in = context.socket(zmq.PULL)
        stack.callback(telemetry_in.close, 0)
        # XPUB: HWM 10,000 a subscriber, linger 1 s for the last event; a subscriber too slow for that loses.
        telemetry_out = context.socket(zmq.XPUB)
        stack.callback(telemetry_out.close, LINGER_MS)
        telemetry_out.setsockopt(zmq.XPUB_VERBOSE, 1)
        telemetry_out.setsockopt(zmq.SNDHWM, 10_000)
        sockets = (control, telemetry_in, telemetry_out)
        for socket, endpoint in zip(sockets, endpoints, strict=True):
            socket.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE)
            _bind(socket, endpoint)
        yield Sockets(broker_address, *sockets, stack.close)


def _bind(socket: Socket, endpoint: str) -> None:
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        if error.errno == zmq.EADDRINUSE:
            raise address.AddressInUse(f"address in use: {endpoint}") from error
        if error.errno in (errno.ENODEV, errno.EADDRNOTAVAIL):
            what = "this machine has no such address; tcp://127.0.0.1:PORT is for itself, tcp://0.0.0.0:PORT for all"
            raise address.AddressError(f"cannot bind {endpoint}: {what}") from error
        raise address.AddressError(f"cannot bind {endpoint}: {zmq.strerror(error.errno or 0)}") from error
