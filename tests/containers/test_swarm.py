"""A stack for a swarm, deployed by the engine itself on a swarm of this one machine."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import neurond
from tests.containers.compose import RUN_S, docker
from tests.containers.test_stack import TWO_KINDS, accuracy
from tests.waiting import until

OVER = ("Complete", "Failed", "Rejected", "Shutdown", "Orphaned")


@pytest.fixture(scope="module")
def swarm(engine: None) -> Iterator[str]:
    """The name of this machine in a swarm: the one that it is in, or one of its own that is left again."""
    state = docker("info", "--format", "{{.Swarm.LocalNodeState}} {{.Swarm.ControlAvailable}}").stdout.split()
    if state[0] == "inactive":
        made = docker("swarm", "init", "--advertise-addr", "127.0.0.1", check=False)
        if made.returncode:
            pytest.skip(f"the engine makes no swarm: {made.stderr.strip().splitlines()[-1]}")
    elif state != ["active", "true"]:
        pytest.skip("this machine is in a swarm that others manage")
    yield docker("node", "inspect", "self", "--format", "{{.Description.Hostname}}").stdout.strip()
    if state[0] == "inactive":
        docker("swarm", "leave", "--force")


@pytest.fixture
def stack(swarm: str) -> Iterator[str]:
    """A name for a stack; nothing of it is left afterwards."""
    name = f"neurond-test-{os.getpid()}"
    yield name
    mine = f"label=com.docker.stack.namespace={name}"
    docker("stack", "rm", name)
    until(lambda: not docker("ps", "--all", "--quiet", "--filter", mine).stdout, "its containers are gone")
    until(lambda: not docker("network", "ls", "--quiet", "--filter", mine).stdout, "its network is gone")
    docker("volume", "rm", "--force", f"{name}_runs")


def tasks(stack: str) -> dict[str, str]:
    """The state of each task of a stack that did not come to be replaced, by its service, with what went wrong."""
    told = docker("stack", "ps", "--no-trunc", "--format", "{{json .}}", stack).stdout.splitlines()
    found = [json.loads(line) for line in told]
    mine = {one["Name"]: f"{one['CurrentState'].split()[0]} {one['Error']}".strip() for one in reversed(found)}
    return {name.removeprefix(f"{stack}_").rpartition(".")[0]: state for name, state in mine.items()}


def test_a_network_trains_in_a_swarm(stack: str, swarm: str, image: str, tmp_path: Path) -> None:
    """A topology of the user's, its data, a place and a limit reach a swarm; the network trains to its end.

    The services are the processes, found by name on an encrypted network; the topology goes along as a config.
    """
    data = tmp_path / "my data"
    data.mkdir()
    (data / "two kinds.csv").write_text("a,b,kind\n" + "0.5,1.5,u\n1.5,0.5,v\n" * 100)
    limits = f"place: {{on: {swarm}}}\nlimits: {{on: {{cpus: 0.5, memory: 128m}}}}\n"
    (tmp_path / "mine.yaml").write_text(TWO_KINDS + limits)
    arguments = ("mine.yaml", "--set", "source.epochs=20", "--image", image, "--swarm", "-o", "stack.yml")
    written = neurond(tmp_path, "compose", *arguments)
    assert written.returncode == 0, written.stderr
    deployed = subprocess.run(
        ["docker", "stack", "deploy", "--compose-file", "stack.yml", stack],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    assert deployed.returncode == 0, deployed.stderr
    assert "unsupported" not in deployed.stderr
    on = json.loads(docker("service", "inspect", f"{stack}_on").stdout)[0]["Spec"]["TaskTemplate"]
    assert on["Placement"]["Constraints"] == [f"node.hostname == {swarm}"]
    assert on["Resources"]["Limits"] == {"NanoCPUs": 5 * 10**8, "MemoryBytes": 128 << 20}
    until(lambda: all(state.startswith(OVER) for state in tasks(stack).values()), "all have ended")
    assert tasks(stack) == dict.fromkeys(("broker", "source", "on", "out"), "Complete")
    assert accuracy(docker("service", "logs", "--raw", f"{stack}_broker").stderr) == 1.0
