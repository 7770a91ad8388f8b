"""A process of a network before its broker: an address that is none, a broker that is not there or talks nonsense."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zmq
import zmq.asyncio

from neurond import daemon
from tests.command import NEUROND, environment
from tests.locked import locked
from tests.waiting import DEADLINE_S
from tests.zoo import plan_of
from topology import address, plan, wire

VERBS = {"verb": NEUROND, "daemon": [sys.executable, "-m", "neurond.daemon"]}


@pytest.mark.parametrize("start", VERBS)
@pytest.mark.parametrize(
    "broker",
    ["nonsense", "tcp://", "tcp://127.0.0.1:0", "tcp://127.0.0.1:70000", "tcp://no such host:5570", "ipc://here/"],
)
def test_what_is_no_address(tmp_path: Path, start: str, broker: str) -> None:
    """A broker address that cannot be one is one line that quotes it, and 2, at once."""
    command = [*VERBS[start], "group", "h1", "--broker", broker]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    (line,) = done.stderr.splitlines()
    assert line.startswith("neurond: ")
    assert broker in line
    assert (done.returncode, done.stdout) == (2, "")


def test_an_inbox_that_is_no_endpoint(tmp_path: Path) -> None:
    """So is an inbox that cannot be bound because it is none."""
    command = [*NEUROND, "group", "h1", "--bind", "udp6://nowhere", "--insecure"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert done.stderr == "neurond: cannot bind udp6://nowhere: Protocol not supported\n"
    assert done.returncode == 2


def test_nobody_at_the_address(
    scratch: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where no broker answers, a process says so while it tries, gives up with 4, and leaves nothing behind."""
    monkeypatch.setattr(daemon, "PATIENT_S", 0.1)
    monkeypatch.setattr(daemon, "UNREACHABLE_S", 0.5)
    at = address.of_folder(scratch / "mistyped")
    assert daemon.serve(daemon.Settings("h1", at)) == 4
    assert not (scratch / "mistyped").exists()
    assert capsys.readouterr().err.splitlines() == [
        f"h1: no answer from {at} yet; still trying",
        f"neurond: no broker answers at {at}; is it running?",
    ]


@contextmanager
def group(at: str, name: str) -> Iterator[subprocess.Popen[bytes]]:
    """A group's process, tethered to the test."""
    command = [*VERBS["daemon"], "group", name, "--broker", at, "--tethered"]
    with subprocess.Popen(command, env=environment(), stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            assert process.stdin is not None
            process.stdin.close()


async def test_a_broker_that_talks_nonsense(scratch: Path) -> None:
    """What comes from the broker's side and is no message is dropped, and told in the telemetry's `wire_errors`."""
    whole = plan_of("xor")
    (part,) = (plan.to_dict(g) for g in whole.groups if g.name == "hidden")
    at = address.of_folder(address.make_folder())
    junk = [b"", b"\xc1", b"\x00" * 1000, os.urandom(100)]
    with (
        locked(address.control(at)),
        locked(address.telemetry_in(at)),
        zmq.asyncio.Context() as context,
        context.socket(zmq.ROUTER) as control,
        context.socket(zmq.PULL) as reports,
    ):
        control.bind(address.control(at))
        reports.bind(address.telemetry_in(at))
        with group(at, "hidden") as process:
            async with asyncio.timeout(DEADLINE_S):
                route, hello = await control.recv_multipart()
                assert isinstance(wire.unpack(hello), wire.Hello)
                for frame in junk:
                    await control.send_multipart([route, frame])
                await control.send_multipart([route, wire.pack(wire.Welcome(1, part, "run"))])
                told = wire.unpack(await reports.recv())
                assert isinstance(told, wire.Telemetry)
                assert told.counters["wire_errors"] == len(junk)
                assert told.counters["control_drops"] == 0
                await control.send_multipart([route, wire.pack(wire.Command("x", "exit", "hidden"))])
                assert await asyncio.to_thread(process.wait) == 0
