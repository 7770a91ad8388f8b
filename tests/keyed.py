"""A network whose processes were started one by one over tcp, each with its own key, and those who try to get in."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import zmq

from monitor.client import Client
from tests.command import NEUROND, environment
from tests.waiting import DEADLINE_S, comes
from topology import sockets
from topology.graph import process_names
from topology.issue import issue
from topology.keys import PUBLIC, Keyring, names_of, secret_path
from topology.load import load
from topology.plan import MONITOR


class Network:
    """Its processes, by name.

    Args:
        at: the broker's address.
        keys: folder with the keys of all; each process has a folder of its own, with its own secret alone.
        processes: by name, the broker's too.

    """

    def __init__(self, at: str, keys: Path, processes: dict[str, subprocess.Popen[str]]) -> None:
        self.at, self.keys, self.processes = at, keys, processes

    def client(self, name: str = MONITOR) -> Client:
        """A client with the key of somebody."""
        return Client(self.at, Keyring(self.keys, name))

    async def status(self) -> dict[str, Any]:
        """What the broker tells of the run."""
        async with self.client() as client:
            return (await client.command("status", timeout_s=DEADLINE_S)).data

    async def runs(self) -> dict[str, Any]:
        """The status, once it trains."""

        async def running() -> dict[str, Any] | None:
            status = await self.status()
            return status if status["state"] == "running" else None

        found: dict[str, Any] = await comes(running, "the network trains")
        return found

    async def counter(self, process: str, name: str) -> int:
        """A counter of a process, as it tells it now."""
        return int((await self._telemetry(process))["counters"][name])

    async def gauge(self, process: str, name: str) -> float:
        """A gauge of a process, as it tells it now."""
        return float((await self._telemetry(process))["gauges"][name])

    async def _telemetry(self, process: str) -> dict[str, Any]:
        async with self.client() as client:
            reply = await client.command("status", process, timeout_s=DEADLINE_S)
        found: dict[str, Any] = reply.data[process]["telemetry"]
        return found

    async def stopped(self) -> dict[str, str]:
        """End the run as its owner would; what each process said. All must have left with 0."""
        async with self.client() as client:
            assert (await client.command("stop", timeout_s=DEADLINE_S)).ok
        return self.left()

    def left(self, within_s: float = DEADLINE_S) -> dict[str, str]:
        """What each process said, once all have left; with 0."""
        said = {name: process.communicate(timeout=within_s)[1] for name, process in self.processes.items()}
        assert {name: process.returncode for name, process in self.processes.items()} == dict.fromkeys(said, 0), said
        return said


def folder_for(name: str, keys: Path, where: Path) -> Path:
    """A folder with the public keys and one secret, as it is brought to another machine."""
    where.mkdir(mode=0o700)
    for path in (keys / PUBLIC, secret_path(keys, name)):
        shutil.copy2(path, where)
    return where


@contextmanager
def network(
    folder: Path, port: int, *settings: str, topology: str = "xor", insecure: bool = False
) -> Iterator[Network]:
    """A network over tcp, started in a folder, its run in `run`; whatever still runs at the end is killed."""
    keys, at = folder / "keys", f"tcp://127.0.0.1:{port}"
    groups = process_names(load(topology, settings))
    issue(keys, names_of(groups))
    sets = [part for setting in settings for part in ("--set", setting)]
    broker = ["broker", topology, "--address", at, "--run", "run", *sets]
    verbs = {"broker": broker, "source": ["source", "--broker", at]}
    verbs |= {name: ["group", name, "--broker", at] for name in groups}
    with ExitStack() as stack:
        started = {}
        for name, verb in verbs.items():
            own = folder_for(name, keys, folder / f"keys-{name}")
            command = [*NEUROND, *verb, *(["--insecure"] if insecure else ["--keys", str(own)])]
            started[name] = stack.enter_context(
                subprocess.Popen(command, cwd=folder, env=environment(), stderr=subprocess.PIPE, text=True)
            )
            stack.callback(started[name].kill)
        yield Network(at, keys, started)


class Intruder:
    """A socket of somebody who should not get in.

    Args:
        kind: of `topology.sockets`.
        endpoint: where to.
        server: the public key that the other side is believed to have; None to go without keys.
        pair: public and secret key; None for new ones, that nobody knows.
        says: sent as soon as there is a connection.

    """

    def __init__(
        self,
        kind: sockets.Kind,
        endpoint: str,
        server: bytes | None,
        pair: tuple[bytes, bytes] | None = None,
        says: Iterable[bytes] = (),
    ) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.socket = self._context.socket(kind.type)
        self.socket.setsockopt(zmq.LINGER, 0)
        if server is not None:
            public, secret = pair or zmq.curve_keypair()
            self.socket.setsockopt(zmq.CURVE_SERVERKEY, server)
            self.socket.setsockopt(zmq.CURVE_PUBLICKEY, public)
            self.socket.setsockopt(zmq.CURVE_SECRETKEY, secret)
        events = zmq.EVENT_HANDSHAKE_SUCCEEDED | sockets.FAILURES
        self._monitor = sockets.monitor(self._context, self.socket, events)
        self._events: list[int] = []
        self.socket.connect(endpoint)
        for frame in says:
            with suppress(zmq.Again):  # it has been turned away already
                self.socket.send(frame, zmq.NOBLOCK)
        if kind.type == zmq.SUB:
            self.socket.setsockopt(zmq.SUBSCRIBE, b"")

    def events(self) -> list[int]:
        """What libzmq told of its connection so far."""
        self._events += [event for event, _ in sockets.told(self._monitor, 1000)]
        return self._events

    def close(self) -> None:
        """Go away."""
        self.socket.monitor(None, 0)
        self._monitor.close(0)
        self.socket.close(0)
        self._context.term()

    def __enter__(self) -> Intruder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def pair_of(keys: Path, name: str) -> tuple[bytes, bytes]:
    """Public and secret key of a name."""
    ring = Keyring(keys, name)
    return ring.public, ring.secret
