"""Containers that are killed, restarted and moved while the network trains: it goes on where it was."""

from __future__ import annotations

import re

import pytest

from tests.containers.compose import Stack, docker
from tests.endless import ENDLESS
from tests.fault.faults import Fault, Place, injects
from tests.waiting import until

GROUPS = ("source", "h1", "h2", "out")
MORE = 20_000  # stimuli that show that it trains


@pytest.fixture
def training(stack: Stack) -> Stack:
    """digits, without an end of its own, that has trained a while."""
    stack.write("digits", "--set", ENDLESS)
    stack.start()
    stack.train(MORE)
    return stack


def end(stack: Stack) -> None:
    """End the run in good order: it is saved, and has learned."""
    assert stack.end() >= 0.95
    assert {name: code for name, (code, _) in stack.exits().items()} == {**dict.fromkeys(GROUPS, 0), "broker": 130}


@injects(Place.CONTAINERS, Fault.BROKER_KILLED)
@pytest.mark.parametrize("how", [["restart", "broker"], ["kill", "broker"]])
def test_a_broker_that_is_started_again(training: Stack, how: list[str]) -> None:
    """Nobody else is started anew for it: the others train on, and register with the next one."""
    training(*how)
    if how[0] == "kill":
        training("up", "--detach", "broker")
    until(lambda: training.status().get("state") == "running", "all have registered again")
    assert training.alive() == dict.fromkeys(GROUPS, (True, 1))
    assert "taking its place" in training("logs", "broker").stdout
    training.train(MORE)
    end(training)


@injects(Place.CONTAINERS, Fault.KILL_FLOOD)
def test_everything_is_killed_at_once(training: Stack) -> None:
    """As after a loss of power, `up` goes on with the run: every process from its journal, in the same folder."""
    folder, before = training.status()["run_dir"], training.trained()
    training("kill")
    training("up", "--detach")
    until(lambda: training.status().get("state") == "running", "the network is complete")
    assert training.alive() == dict.fromkeys(GROUPS, (True, 2))
    assert training.status()["run_dir"] == folder
    for name in GROUPS:
        assert "goes on from the journal of incarnation 1" in training("logs", name).stdout
    training.train(MORE)
    rows = training("exec", "-T", "broker", "cat", f"{folder}/metrics.jsonl").stdout
    stimuli = [int(found) for found in re.findall(r'"stimuli": (\d+)', rows)]
    assert max(stimuli) > before
    assert stimuli == sorted(stimuli), "what was counted is counted no more"
    end(training)


@injects(Place.CONTAINERS, Fault.MOVED, Fault.TWO_WAY_CUT)
def test_a_process_that_is_back_at_a_new_address(training: Stack) -> None:
    """A group whose address somebody else has taken while it was cut off is found at its new one."""

    def address() -> str:
        return str(training.containers()["h2"]["NetworkSettings"]["Networks"][network]["IPAddress"])

    network = f"{training.project}_neurond"
    before = address()
    training.disconnect("h2")
    image = training.environment["NEUROND_IMAGE"]
    taken = ["run", "--detach", "--rm", "--network", network, "--ip", before, "--entrypoint", "sleep", image, "300"]
    stranger = docker(*taken, check=False)
    if stranger.returncode:  # an address may be asked for only where the network's range was given: take the next
        stranger = docker(*(part for part in taken if part not in ("--ip", before)))
    try:
        until(lambda: not training.alive().get("h2", (True, 0))[0], "it is missed")
        training.connect("h2")
        assert address() != before
        until(lambda: training.alive().get("h2", (False, 0))[0], "it is back")
        assert training.alive() == dict.fromkeys(GROUPS, (True, 1))
        training.train(MORE)
        end(training)
    finally:
        docker("rm", "--force", stranger.stdout.strip(), check=False)
