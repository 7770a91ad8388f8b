"""A broker that is started again by hand, or by whoever keeps containers running, finds the run that was left."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from neurond.runs import open_run
from tests.byhand import DIGITS, ByHand, by_hand
from tests.command import neurond
from tests.fault.faults import Fault, Place, injects
from tests.waiting import until
from topology.files import INCARNATIONS

EPOCHS = "source.epochs=80"  # some seconds, so that it is killed in the midst of them
TOTAL = 80 * 1438


def summary(folder: Path) -> dict[str, object]:
    """What the run came to."""
    return dict(json.loads((folder / "run" / "summary.json").read_text()))


@injects(Place.PROCESSES, Fault.BROKER_KILLED)
def running(network: ByHand) -> dict[str, Any]:
    """What the broker tells, once all have registered; empty before."""
    told = network.status()
    return told if told.get("state") == "running" else {}


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_broker_takes_the_place_of_the_last(tmp_path: Path, how: signal.Signals) -> None:
    """The others train on without a broker, register with the next one, and the run ends as if nothing had been."""
    with by_hand(tmp_path, EPOCHS) as network:
        network.start_broker("--again")  # where nothing was left it begins a run, as ever
        network.start_processes()
        network.processes["broker"].send_signal(how)
        network.processes["broker"].wait()
        assert (tmp_path / "run" / INCARNATIONS).is_file()
        network.start_broker("--again")
        told = until(lambda: running(network), "all have registered again")["processes"]
        assert {name: told[name]["incarnation"] for name in DIGITS} == dict.fromkeys(DIGITS, 1)
        assert network.wait() == dict.fromkeys(("broker", *DIGITS), 0)
        assert not (tmp_path / "run" / INCARNATIONS).exists()
    found = summary(tmp_path)
    assert (found["why"], found["stimuli"]) == ("finished", TOTAL)
    assert "taking its place" in (tmp_path / "broker.log").read_text()


@injects(Place.PROCESSES, Fault.KILL_FLOOD)
def test_everything_is_killed_and_started_again(tmp_path: Path) -> None:
    """After a loss of all processes at once the run goes on from the journals, each stimulus counted once."""
    with by_hand(tmp_path, EPOCHS) as network:
        network.start_broker()
        network.start_processes()
        until(lambda: network.status()["processes"]["source"]["progress"] > 10_000, "it trains")
        for name in ("broker", *DIGITS):
            network.kill(name)
        network.start_broker("--again")
        network.start_processes()
        told = network.status()["processes"]
        assert {name: told[name]["incarnation"] for name in DIGITS} == dict.fromkeys(DIGITS, 2)
        assert network.wait() == dict.fromkeys(("broker", *DIGITS), 0)
    for name in DIGITS:
        assert "goes on from the journal of incarnation 1" in (tmp_path / f"{name}.log").read_text()
    found = summary(tmp_path)
    assert (found["why"], found["stimuli"]) == ("finished", TOTAL)
    counted = [row["stimuli"] for row in open_run(tmp_path / "run").metrics]
    assert counted == sorted(counted)


def test_what_the_last_broker_put_down_is_damaged(tmp_path: Path) -> None:
    """A broker that cannot read it says so in one line, and leaves with 1 and the run as it was."""
    with by_hand(tmp_path, EPOCHS) as network:
        network.start_broker()
        network.start_processes()
        network.kill("broker")
        path = tmp_path / "run" / INCARNATIONS
        path.write_text("{")
        here = ("--set", EPOCHS, "--run", "run", "--address", network.address)
        found = neurond(tmp_path, "broker", "digits", "--again", *here)
        assert (found.returncode, path.read_text()) == (1, "{")
        *_, line = found.stderr.splitlines()
        assert re.fullmatch(r"neurond: .*incarnations.json is damaged: .*; go on from the last .*--resume", line)
        assert "fault of neurond" not in found.stderr


def test_only_a_run_of_the_same_network(tmp_path: Path) -> None:
    """A run that was left by another network, or has ended, is left alone, and a new one begun beside it."""
    with by_hand(tmp_path, EPOCHS) as network:
        network.start_broker()
        network.start_processes()
        network.kill("broker")
        at = network.address
        other = neurond(tmp_path, "broker", "xor", "--again", "--address", at, "--run", "run")
        assert (other.returncode, other.stderr.count("\n")) == (1, 1)
        assert other.stderr.startswith("neurond: run is not empty; choose another folder")
        both = neurond(tmp_path, "broker", "--again", "--resume", "run", "--address", at)
        assert (both.returncode, both.stderr.count("\n")) == (2, 1)
        assert "leave one of them out" in both.stderr
