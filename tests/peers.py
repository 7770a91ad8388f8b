"""The broker as a process of its own, and what is around it: peers that speak the real protocol, and listeners."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import zmq
import zmq.asyncio

from monitor.client import Client
from tests.waiting import DEADLINE_S, comes
from topology import address, wire
from topology.plan import Plan


class Broker:
    """``python -m broker`` as a child process."""

    def __init__(self, run_dir: Path, at: str, *options: str) -> None:
        self.address = at
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "broker",
                "--address",
                at,
                "--plan",
                f"{run_dir}/plan.json",
                "--run-dir",
                str(run_dir),
                "--tethered",
                *options,
            ],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    async def code(self) -> int:
        """The exit code, once it has left."""
        async with asyncio.timeout(DEADLINE_S):
            return await asyncio.to_thread(self.process.wait)

    def words(self) -> str:
        """All that it said; it must have left."""
        assert self.process.stderr is not None
        return self.process.stderr.read()


@contextmanager
def broker(run_dir: Path, at: str, *options: str) -> Iterator[Broker]:
    """A broker for the time of a test."""
    child = Broker(run_dir, at, *options)
    with child.process:
        try:
            yield child
        finally:
            assert child.process.stdin is not None
            child.process.stdin.close()  # the tether


class Peer:
    """A process of the plan as the broker sees it: registers, beats, answers; notes all that it is sent."""

    def __init__(self, context: zmq.asyncio.Context, at: str, name: str, identity: bytes = b"") -> None:
        self.name = name
        self.got: list[wire.ControlMessage] = []
        self.refuse: dict[str, str] = {}
        self.beats = True
        self.beaten = 0
        self.incarnation = 0
        self.dealer = context.socket(zmq.DEALER)
        self.dealer.setsockopt(zmq.IDENTITY, identity or f"{name}-{id(self):x}".encode())
        self.dealer.connect(address.control(at))
        self.push = context.socket(zmq.PUSH)
        self.push.connect(address.telemetry_in(at))
        self.tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._beat())]

    async def send(self, message: wire.ControlMessage) -> None:
        """Send to the broker."""
        await self.dealer.send(wire.pack(message))

    async def hello(self, pid: int = 1, incarnation: int = 0) -> None:
        """Register."""
        role = "source" if self.name == "source" else "group"
        await self.send(wire.Hello(self.name, role, pid, f"ipc:///nowhere/{self.name}", incarnation))

    def telemetry(self, seq: int = 0, incarnation: int | None = None, **counters: int) -> wire.Telemetry:
        """What this process would report."""
        n = self.incarnation if incarnation is None else incarnation
        return wire.Telemetry(self.name, "group", n, seq, counters, {}, {})

    async def report(self, telemetry: wire.Telemetry) -> None:
        """Send telemetry."""
        await self.push.send(wire.pack(telemetry))

    def of(self, kind: type[Any]) -> list[Any]:
        """What came of this kind."""
        return [m for m in self.got if isinstance(m, kind)]

    def told(self) -> list[str]:
        """Verbs of the commands that came."""
        return [c.verb for c in self.of(wire.Command)]

    async def _read(self) -> None:
        while True:
            message = wire.unpack(await self.dealer.recv())
            self.got.append(message)
            if isinstance(message, wire.Welcome):
                self.incarnation = message.incarnation
            elif isinstance(message, wire.Command):
                error = self.refuse.get(message.verb, "")
                last = self.telemetry(seq=99, stimuli=7)
                reply = {
                    "save": {"file": f"{message.args.get('folder')}/{self.name}.safetensors", "sha256": "0"},
                    "exit": {"telemetry": {f: getattr(last, f) for f in wire.Telemetry.__slots__}},
                }.get(message.verb, {})
                await self.send(wire.Reply(message.id, not error, reply, error))
                if message.verb == "drain":
                    await self.send(wire.Event(self.name, "finished"))
                elif message.verb == "exit":
                    self.beats = False

    async def _beat(self) -> None:
        while True:
            if self.beats and self.incarnation:
                await self.send(wire.Beat(1))
                self.beaten += 1
            await asyncio.sleep(0.05)

    async def close(self) -> None:
        """Be gone."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.dealer.close(0)
        self.push.close(0)


@asynccontextmanager
async def peers(at: str) -> AsyncIterator[Callable[..., Peer]]:
    """Makes peers that are closed at the end."""
    context = zmq.asyncio.Context()
    made: list[Peer] = []

    def make(name: str, identity: bytes = b"") -> Peer:
        made.append(Peer(context, at, name, identity))
        return made[-1]

    try:
        yield make
    finally:
        for peer in made:
            await peer.close()
        context.term()


@asynccontextmanager
async def network(at: str, plan: Plan) -> AsyncIterator[dict[str, Peer]]:
    """Every process of the plan as a peer, registered."""
    async with peers(at) as make:
        everyone = {name: make(name) for name in plan.processes}
        for pid, peer in enumerate(everyone.values(), 1):
            await peer.hello(pid)
        await comes(lambda: all(p.of(wire.Roster) for p in everyone.values()), "everybody has the roster")
        yield everyone


class Listener:
    """What a client's stream has brought so far."""

    def __init__(self, client: Client) -> None:
        self.items: list[wire.Telemetry | wire.Event] = []
        self.task = asyncio.create_task(self._listen(client))

    async def _listen(self, client: Client) -> None:
        async for item in client.stream():
            self.items.append(item)

    def events(self, kind: str) -> list[wire.Event]:
        """Events of a kind."""
        return [i for i in self.items if isinstance(i, wire.Event) and i.kind == kind]

    def telemetry(self, name: str) -> list[wire.Telemetry]:
        """Telemetry of a process."""
        return [i for i in self.items if isinstance(i, wire.Telemetry) and i.name == name]


@asynccontextmanager
async def listening(at: str) -> AsyncIterator[tuple[Client, Listener]]:
    """A client and what it hears."""
    async with Client(at) as client:
        listener = Listener(client)
        try:
            yield client, listener
        finally:
            listener.task.cancel()
            await asyncio.gather(listener.task, return_exceptions=True)
