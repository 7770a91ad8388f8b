"""The broker as a process of its own, over real sockets, with peers that speak the real protocol."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import zmq
import zmq.asyncio

from broker.server import LAST_WORDS_S
from monitor.client import Client
from neurond import data, runs
from tests.waiting import DEADLINE_S, comes
from topology import address, wire
from topology.address import BrokerUnreachable
from topology.load import load
from topology.plan import Plan
from topology.resolve import DataShape, resolve


@pytest.fixture
def plan() -> Plan:
    """The plan of a small network."""
    shape = data.describe("xor")
    return resolve(load("xor"), DataShape(shape.features, shape.classes, shape.targets, shape.train, shape.test))


@pytest.fixture
def run_dir(tmp_path: Path, plan: Plan) -> Path:
    """A run folder with that plan."""
    runs.write_plan(tmp_path, plan)
    return tmp_path


@pytest.fixture
def sockets(scratch: Path) -> Iterator[str]:
    """An ipc address of the test's own; its folder must be gone when the broker is."""
    folder = address.make_folder()
    yield address.of_folder(folder)
    assert not folder.exists()


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


async def test_life_of_a_run(run_dir: Path, sockets: str, plan: Plan) -> None:
    """A run is registered, heard, saved and stopped over real sockets, and leaves exit code 0 and a manifest."""
    with broker(run_dir, sockets) as child:
        async with listening(sockets) as (client, heard), network(sockets, plan) as everyone:
            source = everyone["source"]
            (welcome,) = source.of(wire.Welcome)
            assert (welcome.incarnation, welcome.run_dir, welcome.resume) == (1, str(run_dir), False)
            assert welcome.plan["readout"] == "out"
            (roster,) = source.of(wire.Roster)
            assert roster.complete
            assert roster.peers == {n: (f"ipc:///nowhere/{n}", 1) for n in plan.processes}

            await source.report(source.telemetry(seq=1, confirmed=12))
            await comes(lambda: heard.telemetry("source"), "telemetry of the source")
            assert heard.telemetry("source")[0].counters == {"confirmed": 12}

            saved = await client.command("save")
            assert saved.ok
            assert saved.data["generation"] == 1
            manifest = json.loads((run_dir / "checkpoints" / "manifest.json").read_text())
            assert manifest["generation"] == 1
            assert manifest["files"]["out"] == {"file": "1/out.safetensors", "sha256": "0"}

            assert (await client.command("stop")).ok
            await comes(lambda: heard.events("ended"), "the end of the run")
            (ended,) = heard.events("ended")
            assert ended.data["why"] == "stopped"
            assert ended.data["generation"] == 2
            assert sorted(t["name"] for t in ended.data["telemetry"]) == sorted(plan.processes)
            assert source.told() == ["save", "drain", "save", "exit"]
            assert await child.code() == 0


async def test_a_save_that_one_refuses(run_dir: Path, sockets: str, plan: Plan) -> None:
    """A save counts only when every process saved; the manifest before stays as it is."""
    with broker(run_dir, sockets):
        async with Client(sockets) as client, network(sockets, plan) as everyone:
            assert (await client.command("save")).ok
            before = (run_dir / "checkpoints" / "manifest.json").read_bytes()
            everyone["out"].refuse["save"] = "no space left"
            reply = await client.command("save")
            assert not reply.ok
            assert reply.error == "out: no space left"
            assert (run_dir / "checkpoints" / "manifest.json").read_bytes() == before


async def test_latecomers_are_brought_up_to_date(run_dir: Path, sockets: str, plan: Plan) -> None:
    """A new subscriber gets the past events once each and the last telemetry; the first one no event twice."""
    with broker(run_dir, sockets):
        async with listening(sockets) as (_, first), network(sockets, plan) as everyone:
            peer = everyone["source"]
            for seq in range(3):
                await peer.report(peer.telemetry(seq=seq))
            await comes(lambda: [t.seq for t in first.telemetry("source")[-1:]] == [2], "the last telemetry")
            async with listening(sockets) as (_, late):
                await peer.send(wire.Event("source", "evaluated", {"test_accuracy": 1.0}))
                await comes(lambda: late.events("evaluated") and first.events("evaluated"), "the evaluation, at both")
                for heard in (first, late):
                    assert len(heard.events("joined")) == len(plan.processes)
                    assert len(heard.events("running")) == 1
                    assert len(heard.events("evaluated")) == 1
                assert [t.seq for t in late.telemetry("source")] == [2]


async def test_a_run_that_ended_before_anybody_listened(run_dir: Path, sockets: str, plan: Plan) -> None:
    """Whoever comes just after the end still hears how it ended, and the broker leaves all the same."""
    with broker(run_dir, sockets) as child:
        async with network(sockets, plan) as everyone:
            await everyone["out"].send(wire.Event("out", "diverged", {"what": "x", "hint": "y"}))
            await comes(lambda: all("exit" in p.told() for p in everyone.values()), "everybody is told to exit")
            await asyncio.sleep(2 * LAST_WORDS_S)  # longer than the broker stays once everybody has heard
            async with listening(sockets) as (_, heard):
                await comes(lambda: heard.events("ended"), "the end of the run")
            assert await child.code() == 0


async def test_garbage_is_counted_and_harmless(run_dir: Path, sockets: str, plan: Plan) -> None:
    """Bytes that are no message, on any socket, are counted; the network and its commands go on."""
    with broker(run_dir, sockets):
        async with Client(sockets) as client, network(sockets, plan) as everyone:
            peer = everyone["out"]
            for junk in (b"", b"\xc1", b"\x00" * 1000, os.urandom(100)):
                await peer.dealer.send(junk)
                await peer.push.send(junk)
            await peer.dealer.send_multipart([b"two", b"frames"])
            await peer.push.send_multipart([b"two", b"frames"])
            await peer.send(wire.Refused("brokers are not told this"))
            await peer.send(wire.Event("hidden", "diverged"))  # in another's name
            await peer.push.send(wire.pack(wire.Beat(1)))

            async def errors() -> int:
                return int((await client.command("status")).data["wire_errors"])

            async def all_counted() -> bool:
                return await errors() >= 13

            await comes(all_counted, "every piece of garbage is counted")
            assert await errors() == 13
            assert (await client.command("pause")).ok


async def test_a_name_is_held_once(run_dir: Path, sockets: str, plan: Plan) -> None:
    """A second live process under a name is refused with the pid of the first, who does not notice."""
    with broker(run_dir, sockets):
        async with network(sockets, plan) as everyone, peers(sockets) as make, Client(sockets) as client:
            second = make("hidden")
            await second.hello(pid=4711)
            await comes(lambda: second.of(wire.Refused), "a refusal")
            assert second.of(wire.Refused)[0].why.startswith("name 'hidden' is taken by pid 2")
            stranger = make("h9")
            await stranger.hello()
            await comes(lambda: stranger.of(wire.Refused), "a refusal")
            assert "no process 'h9'" in stranger.of(wire.Refused)[0].why
            assert (await client.command("status", "hidden")).ok
            assert everyone["hidden"].told() == ["status"]


async def test_a_silent_process_is_lost_and_comes_back(run_dir: Path, sockets: str, plan: Plan) -> None:
    """A process without a beat is announced as lost; when it beats again it is in the roster again."""
    with broker(run_dir, sockets, "--beat-timeout", "0.4"):
        async with listening(sockets) as (_, heard), network(sockets, plan) as everyone:
            peer = everyone["hidden"]
            await comes(lambda: heard.events("running") and peer.beaten, "a running network and a beat")
            peer.beats = False
            await comes(lambda: heard.events("lost"), "the loss of a process")
            assert heard.events("lost")[0].data == {"process": "hidden", "why": "no beat for 0.4 s"}
            rosters = len(peer.of(wire.Roster))
            peer.beats = True
            await comes(lambda: len(peer.of(wire.Roster)) > rosters, "a new roster")
            assert peer.of(wire.Roster)[-1].peers["hidden"] == ("ipc:///nowhere/hidden", 1)


async def test_a_successor_resumes_from_the_checkpoint(run_dir: Path, sockets: str, plan: Plan) -> None:
    """A process that takes a lost one's place has the next incarnation and is told to load the checkpoint."""
    with broker(run_dir, sockets, "--beat-timeout", "0.4"):
        async with network(sockets, plan) as everyone, peers(sockets) as make, listening(sockets) as (c, heard):
            assert (await c.command("save")).ok
            await comes(lambda: everyone["hidden"].beaten, "a beat")
            everyone["hidden"].beats = False
            await comes(lambda: heard.events("lost"), "the loss of a process")
            successor = make("hidden")
            await successor.hello(pid=4711)
            await comes(lambda: successor.of(wire.Roster), "the successor's roster")
            (welcome,) = successor.of(wire.Welcome)
            assert (welcome.incarnation, welcome.resume) == (2, True)
            old = everyone["hidden"]
            await successor.report(old.telemetry(incarnation=1, seq=50))
            await successor.report(successor.telemetry(seq=1))
            await comes(lambda: heard.telemetry("hidden"), "telemetry of the successor")
            assert [t.incarnation for t in heard.telemetry("hidden")] == [2]


async def test_a_retry_is_done_once(run_dir: Path, sockets: str, plan: Plan) -> None:
    """The same command id gets the same answer, and the command is carried out once."""
    with broker(run_dir, sockets):
        async with network(sockets, plan) as everyone, peers(sockets) as make:
            client = make("a client")
            for _ in range(3):
                await client.send(wire.Command("x1", "save"))
            await comes(lambda: client.of(wire.Reply), "the first answer")
            await client.send(wire.Command("x1", "save"))
            await comes(lambda: len(client.of(wire.Reply)) == 2, "the second answer")
            assert client.of(wire.Reply)[0] == client.of(wire.Reply)[1]
            assert everyone["hidden"].told() == ["save"]


async def test_a_broker_started_anew(run_dir: Path, sockets: str, plan: Plan) -> None:
    """After kill -9 a new broker takes the stale files over; who lived on keeps its incarnation, clients too."""
    with broker(run_dir, sockets) as first:
        async with listening(sockets) as (client, heard), network(sockets, plan) as everyone:
            assert (await client.command("status")).data["state"] == "running"
            await comes(lambda: heard.events("running"), "a running network")
            first.process.kill()
            await first.code()
            with broker(run_dir, sockets):
                for peer in everyone.values():
                    peer.got.clear()

                async def registered() -> bool:
                    for pid, peer in enumerate(everyone.values(), 1):
                        await peer.hello(pid, incarnation=5)  # again: one may have gone to the dead one
                    return all(p.of(wire.Roster) for p in everyone.values())

                await comes(registered, "everybody is registered anew")
                assert {p.incarnation for p in everyone.values()} == {5}
                status = (await client.command("status", timeout_s=DEADLINE_S)).data
                assert status["state"] == "running"
                await comes(lambda: len(heard.events("running")) == 2, "a running network again")
                await everyone["source"].send(wire.Event("source", "diverged", {"what": "x", "hint": "y"}))
                await comes(lambda: heard.events("ended"), "the end of the run")
                assert heard.events("ended")[0].data["message"] == "x"


@pytest.mark.parametrize("kind", ["ipc", "tcp"])
async def test_address_in_use(run_dir: Path, scratch: Path, kind: str) -> None:
    """A second broker at one address says so in one line and leaves with 1; the first works on."""
    folder = address.make_folder()
    at = address.of_folder(folder) if kind == "ipc" else f"tcp://127.0.0.1:{free_ports()}"
    with broker(run_dir, at) as first:
        async with Client(at) as client:
            assert (await client.command("status", timeout_s=DEADLINE_S)).ok
            with broker(run_dir, at) as second:
                assert await second.code() == 1
                (line,) = second.words().splitlines()
                assert line.startswith(f"broker: address in use: {address.control(at)}")
            assert (await client.command("status")).ok
            assert first.process.poll() is None
    address.remove_folder(folder)


def free_ports() -> int:
    """The first of three free ports in a row."""
    while True:
        with socket.socket() as a, socket.socket() as b, socket.socket() as c:
            a.bind(("127.0.0.1", 0))
            base = int(a.getsockname()[1])
            try:
                b.bind(("127.0.0.1", base + 1))
                c.bind(("127.0.0.1", base + 2))
            except OSError:
                continue
            return base


async def test_tether(run_dir: Path, sockets: str) -> None:
    """A tethered broker leaves when its standard input ends, and takes its files with it."""
    with broker(run_dir, sockets) as child:
        async with Client(sockets) as client:
            assert (await client.command("status", timeout_s=DEADLINE_S)).ok
        assert child.process.stdin is not None
        child.process.stdin.close()
        assert await child.code() == 1
        assert "whoever started this process is gone" in child.words()


async def test_tether_when_nobody_reads(run_dir: Path, sockets: str) -> None:
    """A broker leaves with whoever started it, even if its last words have nowhere to go."""
    with broker(run_dir, sockets) as child:
        async with Client(sockets) as client:
            assert (await client.command("status", timeout_s=DEADLINE_S)).ok
        assert child.process.stdin is not None
        assert child.process.stderr is not None
        child.process.stderr.close()
        child.process.stdin.close()
        await child.code()


@pytest.mark.parametrize(
    ("number", "verbs", "code"),
    [(signal.SIGINT, ["drain", "save", "exit"], 130), (signal.SIGTERM, [], 0)],
    ids=["SIGINT", "SIGTERM"],
)
async def test_signals(
    run_dir: Path, sockets: str, plan: Plan, number: signal.Signals, verbs: list[str], code: int
) -> None:
    """Ctrl-C stops the run in good order, SIGTERM leaves at once; both leave no file."""
    with broker(run_dir, sockets) as child:
        async with network(sockets, plan) as everyone:
            child.process.send_signal(number)
            assert await child.code() == code
            assert everyone["source"].told() == verbs


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, r"broker: cannot read .*plan.json: No such file or directory"),
        ("{", r"broker: .*plan.json is not a plan of this version: .*"),
        ('{"version": 1}', r"broker: .*plan.json is not a plan of this version: 'name'"),
        ("[]", r"broker: .*plan.json is not a plan of this version: .*"),
    ],
)
async def test_bad_plan(tmp_path: Path, sockets: str, content: str | None, expected: str) -> None:
    """A plan that is none is one clear line and exit code 1."""
    address.remove_folder(Path(sockets.removeprefix("ipc://")))
    if content is not None:
        (tmp_path / "plan.json").write_text(content)
    with broker(tmp_path, sockets) as child:
        assert await child.code() == 1
        (line,) = child.words().splitlines()
        assert re.fullmatch(expected, line)


async def test_nobody_there(sockets: str) -> None:
    """A command to nobody is BrokerUnreachable, with the address, within its time."""
    async with Client(sockets) as client:
        with pytest.raises(BrokerUnreachable, match=r"no broker answers at ipc://.*; is it running"):
            await client.command("status", timeout_s=0.3)
    address.remove_folder(Path(sockets.removeprefix("ipc://")))


async def test_a_command_waits_for_a_late_broker(run_dir: Path, sockets: str) -> None:
    """A command that was sent before the broker was there is answered once it is."""
    async with Client(sockets) as client:
        asked: Awaitable[wire.Reply] = asyncio.create_task(client.command("status", timeout_s=DEADLINE_S))
        with broker(run_dir, sockets):
            assert (await asked).data["state"] == "waiting"
