"""The broker's three sockets, bound and locked; released in the order in which that is safe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import zmq

from topology import address, sockets
from topology.gate import Gate
from topology.keys import Keyring

Socket = zmq.Socket[bytes]


@dataclass(slots=True)
class Sockets:
    """What a broker is bound to. `close` does so, once; whoever serves them closes them within its loop."""

    address: str
    control: Socket
    telemetry_in: Socket
    telemetry_out: Socket | None  # while it is bound anew, there is none
    gate: Gate | None
    close: Callable[[], None]
    renew: Callable[[Socket | None], Socket | None]

    def renew_feed(self) -> bool:
        """Bind `telemetry_out` anew, so that whoever listens proves a key again; false if its port is not free yet.

        There is no other way to be rid of a connection that is there already.
        """
        self.telemetry_out = self.renew(self.telemetry_out)
        return self.telemetry_out is not None


@contextmanager
def bound(broker_address: str, keys: Keyring | None = None) -> Iterator[Sockets]:
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
        gate = None if keys is None else Gate(context, keys)
        made: list[Socket] = []

        def close() -> None:
            if gate is not None:
                gate.close()  # before what it watches
            for socket in made:
                socket.close()

        def renew(feed: Socket | None) -> Socket | None:
            if feed is not None:
                made.remove(feed)
                if gate is not None:
                    gate.unwatch(feed)
                feed.close(0)
            try:
                made.append(sockets.bind_address(context, sockets.FEED, endpoints[-1], gate))
            except address.AddressInUse:  # libzmq's thread has not come to it yet
                return None
            return made[-1]

        stack.callback(close)
        for kind, endpoint in zip((sockets.CONTROL, sockets.REPORTS, sockets.FEED), endpoints, strict=True):
            made.append(sockets.bind_address(context, kind, endpoint, gate))
        control, telemetry_in, telemetry_out = made
        yield Sockets(broker_address, control, telemetry_in, telemetry_out, gate, stack.close, renew)
