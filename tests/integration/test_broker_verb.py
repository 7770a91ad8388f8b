"""The verb broker before its network is complete, and the verb status."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from neurond.cli.witness import from_here
from tests.command import DEADLINE_S, NEUROND, environment, neurond
from tests.waiting import until
from topology import address


@pytest.fixture
def at() -> str:
    """An address of the test's own."""
    return address.of_folder(address.make_folder())


@pytest.fixture
def broker(tmp_path: Path, at: str) -> Iterator[subprocess.Popen[str]]:
    """A broker of xor that nobody has joined."""
    command = [*NEUROND, "broker", "xor", "--address", at, "--run", "run"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True) as process:
        until(lambda: neurond(tmp_path, "status", NEUROND_BROKER=at).returncode == 0, "the broker answers")
        yield process
        process.terminate()


def test_status(tmp_path: Path, at: str, broker: subprocess.Popen[str]) -> None:
    """`status` says who is missing in a line, or everything as JSON; a process that is named must be alive."""
    told = neurond(tmp_path, "status", "--broker", at)
    assert told.stdout == "xor is waiting, 0 of 3 processes, checkpoint 0; not there: source, hidden, out\n"
    assert json.loads(neurond(tmp_path, "status", "--broker", at, "--json").stdout)["state"] == "waiting"
    assert neurond(tmp_path, "status", NEUROND_BROKER=at, NEUROND_NAME="hidden").returncode == 5
    joined = [*NEUROND, "group", "hidden", "--broker", at]
    with subprocess.Popen(joined, cwd=tmp_path, env=environment(), stderr=subprocess.DEVNULL) as group:
        named = ("status", "hidden", "--broker", at)
        until(lambda: neurond(tmp_path, *named).returncode == 0, "the group is alive")
        assert neurond(tmp_path, "status", "out", "--broker", at).returncode == 5
        group.terminate()
    unknown = neurond(tmp_path, "status", "h1", "--broker", at)
    assert (unknown.returncode, unknown.stderr) == (
        2,
        "neurond: no process 'h1'; known: source, hidden, out\n",
    )


def test_status_of_nobody(tmp_path: Path, at: str) -> None:
    """Where no broker answers, `status` is one line and 4, within seconds; an address that is none is 2."""
    told = neurond(tmp_path, "status", "--broker", at)
    assert (told.returncode, told.stdout) == (4, "")
    assert told.stderr == f"neurond: no broker answers at {at}; is it running?\n"
    assert neurond(tmp_path, "status", "--broker", "nowhere").returncode == 2
    Path(at.removeprefix("ipc://")).rmdir()  # nobody came to remove it


@pytest.mark.parametrize(
    ("number", "code", "says"),
    [(signal.SIGINT, 130, "neurond: interrupted, not saved (it had not begun)"), (signal.SIGTERM, 0, "")],
)
def test_stopped_before_it_began(
    tmp_path: Path, broker: subprocess.Popen[str], number: int, code: int, says: str
) -> None:
    """A broker that is interrupted while it waits says that nothing is saved; one that is told to leave does so."""
    broker.send_signal(number)
    said = broker.communicate(timeout=DEADLINE_S)[1]
    assert broker.returncode == code, said
    assert says in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("bound", "reached"),
    [
        ("tcp://0.0.0.0:5570", "tcp://127.0.0.1:5570"),
        ("tcp://*:7000", "tcp://127.0.0.1:7000"),
        ("tcp://10.0.0.2:5570", "tcp://10.0.0.2:5570"),
        ("ipc:///tmp/n/", "ipc:///tmp/n/"),
    ],
)
def test_where_a_broker_is_reached_from_its_own_machine(bound: str, reached: str) -> None:
    """What is bound on every interface is reached over the loopback."""
    assert from_here(bound) == reached
