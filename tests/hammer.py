"""A stranger that hammers at doors, as a process: it connects with keys that nobody knows, again and again.

    python -m tests.hammer ENDPOINT=SERVERKEY ...

It says a line once it is at work, and goes on until its standard input ends. What it does is done at the lowest
priority: here it shares the machine with those that it disturbs, who would have it for themselves.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping

import zmq

from tests.command import environment
from tests.keyed import Network
from topology import address, sockets
from topology.keys import Keyring
from topology.plan import BROKER, MONITOR

AT_ONCE = 16  # connections under way
PATIENCE_MS = 50  # then it tries the next


def main(places: Mapping[str, str]) -> None:
    """Hammer until standard input ends."""
    with zmq.Context() as context:
        said = False
        while not select.select([sys.stdin], [], [], 0)[0]:
            tried = []
            for _ in range(AT_ONCE // len(places)):
                for endpoint, server in places.items():
                    public, secret = zmq.curve_keypair()
                    socket = context.socket(zmq.DEALER)
                    socket.curve_publickey, socket.curve_secretkey, socket.curve_serverkey = (
                        public,
                        secret,
                        server.encode(),
                    )
                    monitor = sockets.monitor(context, socket, sockets.FAILURES)
                    socket.setsockopt(zmq.LINGER, 0)
                    socket.connect(endpoint)
                    tried.append((socket, monitor))
            for socket, monitor in tried:
                monitor.poll(PATIENCE_MS)
                socket.monitor(None, 0)
                monitor.close(0)
                socket.close(0)
            if not said:
                said = True
                print("at work", flush=True)


async def doors(net: Network) -> dict[str, bytes]:
    """Every bound socket of a network that trains, with the public key of who is there."""
    status = await net.runs()
    ring = Keyring(net.keys, MONITOR)
    found = {process["endpoint"]: ring.key_of(name) for name, process in status["processes"].items()}
    for plane in (address.control, address.telemetry_in, address.telemetry_out):
        found[plane(net.at)] = ring.key_of(BROKER)
    return {at: key for at, key in found.items() if key is not None}


@contextlib.contextmanager
def hammering(places: Mapping[str, bytes], count: int = 3) -> Iterator[None]:
    """So many strangers at these doors (endpoint -> public key of who is there), until the context ends."""
    command = [sys.executable, "-m", "tests.hammer", *(f"{at}={key.decode()}" for at, key in places.items())]
    with contextlib.ExitStack() as stack:
        strangers = []
        for _ in range(count):
            stranger = subprocess.Popen(
                command, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            strangers.append(stack.enter_context(stranger))
            stack.callback(stranger.kill)
        for stranger in strangers:
            assert stranger.stdout is not None
            assert stranger.stdout.readline() == "at work\n"
        yield
        for stranger in strangers:
            assert stranger.poll() is None, "a stranger gave up"
            assert stranger.stdin is not None
            stranger.stdin.close()
            stranger.wait()


if __name__ == "__main__":
    os.nice(19)
    main(dict(place.split("=", 1) for place in sys.argv[1:]))
