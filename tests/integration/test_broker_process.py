"""The broker as a process: its address, its tether, signals, and what it cannot start from."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import Awaitable
from pathlib import Path

import pytest

from monitor.client import Client
from neurond import data
from tests.fault.faults import Fault, Place, injects
from tests.peers import broker, network
from tests.ports import free_ports
from tests.waiting import DEADLINE_S
from topology import address, wire
from topology.address import BrokerUnreachable
from topology.files import INCARNATIONS
from topology.load import load
from topology.plan import Plan, to_dict
from topology.resolve import resolve


@injects(Place.PROCESSES, Fault.PORT_IN_USE)
@pytest.mark.parametrize("kind", ["ipc", "tcp"])
async def test_address_in_use(run_dir: Path, scratch: Path, kind: str) -> None:
    """A second broker at one address says so in one line and leaves with 1; the first works on."""
    folder = address.make_folder()
    at = address.of_folder(folder) if kind == "ipc" else f"tcp://127.0.0.1:{free_ports()}"
    with broker(run_dir, at, "--insecure") as first:
        async with Client(at) as client:
            assert (await client.command("status", timeout_s=DEADLINE_S)).ok
            with broker(run_dir, at, "--insecure") as second:
                assert await second.code() == 1
                (line,) = second.words().splitlines()
                assert line.startswith(f"broker: address in use: {address.control(at)}")
            assert (await client.command("status")).ok
            assert first.process.poll() is None
    address.remove_folder(folder)


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


def many() -> str:
    """A plan that is sound but for a size that is no number."""
    whole = to_dict(resolve(load("xor"), data.describe("xor")))
    whole["groups"][0]["size"] = "many"
    return json.dumps(whole)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, r"broker: cannot read .*plan.json: No such file or directory"),
        ("{", r"broker: .*plan.json is damaged or of another version: .*"),
        ('{"version": 1}', r"broker: .*plan.json is damaged or of another version: no 'name'"),
        ("[]", r"broker: .*plan.json is damaged or of another version: .*"),
        (many(), r"broker: .*plan.json is damaged or of another version: .*groups\[0\].size cannot be 'many'"),
    ],
    ids=["missing", "no JSON", "incomplete", "a list", "another type"],
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


@pytest.mark.parametrize("content", ["{", "[]", '{"a": "b"}', ""], ids=["no JSON", "a list", "no number", "empty"])
async def test_damaged_incarnations(run_dir: Path, sockets: str, content: str) -> None:
    """A broker that cannot read what the one before has put down says so in one line, and leaves with 1."""
    address.remove_folder(Path(sockets.removeprefix("ipc://")))
    (run_dir / INCARNATIONS).write_text(content)
    with broker(run_dir, sockets, "--again") as child:
        assert await child.code() == 1
        (line,) = child.words().splitlines()
        assert line.startswith(f"broker: {run_dir / INCARNATIONS} is damaged: ")
        assert line.endswith("go on from the last checkpoint with --resume")


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
