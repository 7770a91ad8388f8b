"""Whole networks as containers: the compose files that are shipped and written, run by compose itself."""

from __future__ import annotations

import re
import time
from pathlib import Path

from tests.containers.compose import Stack, docker
from tests.endless import ENDLESS
from tests.fault.faults import Fault, Place, injects
from tests.waiting import until

REPO = Path(__file__).resolve().parents[2]
DIGITS = {"broker", "source", "h1", "h2", "out"}
DIVERGES = "groups.h1.optimizer.lr=1e6"
HEALTHY_S = 90.0  # on however busy a machine: six of them each start Python to ask, every few seconds
PAUSE_S = 3.0  # as long as the broker waits for a beat
MORE = 20_000  # stimuli that show that it trains again

TWO_KINDS = """\
neurond: 1
source: {data: 'csv:my data/two kinds.csv', label: kind, test: 0.2}
groups: {on: {size: 4}, out: {size: 2, neuron: linear}}
loss: {reads: out}
links: {source -> on: , on -> out: }
"""


def accuracy(said: str) -> float:
    """The result that a broker printed, 0 to 1."""
    (percent,) = re.findall(r"test accuracy ([\d.]+) %, ", said)
    return float(percent) / 100


def test_the_shipped_file_trains_digits(stack: Stack) -> None:
    """`docker-compose up` in a clone builds, trains to the end, prints the result and exits 0, as all services do."""
    stack.file = REPO / "docker-compose.yml"
    done = stack("up", "--build", timeout_s=300)
    assert accuracy(done.stdout) >= 0.95
    assert stack.exits() == dict.fromkeys(DIGITS, (0, 0))


def test_the_exit_code_of_the_broker_is_to_be_had(stack: Stack) -> None:
    """With --exit-code-from, a script hears what became of the run."""
    stack.write("digits", "--set", "source.epochs=5")
    stack("up", "--exit-code-from", "broker")
    stack.write("digits", "--set", DIVERGES)
    assert stack("up", "--exit-code-from", "broker", check=False).returncode == 1


def test_a_run_that_diverges_ends_by_itself(stack: Stack) -> None:
    """Nothing is started again for a run that is over: the broker says why and leaves with 1, the others with 0."""
    stack.write("digits", "--set", DIVERGES)
    done = stack("up")
    assert "diverged: " in done.stdout
    assert stack.exits() == {**dict.fromkeys(DIGITS, (0, 0)), "broker": (1, 0)}


def test_a_sharded_network(stack: Stack) -> None:
    """A group in two processes is two containers, and learns all the same."""
    stack.write("sharded")
    done = stack("up")
    assert accuracy(done.stdout) >= 0.95
    assert stack.exits() == dict.fromkeys({"broker", "source", "h1.0", "h1.1", "h2", "out"}, (0, 0))


def test_a_network_and_data_of_the_user(stack: Stack) -> None:
    """A topology file and its csv reach the containers that read them, from folders of any name."""
    data = stack.folder / "my data"
    data.mkdir()
    (data / "two kinds.csv").write_text("a,b,kind\n" + "0.5,1.5,u\n1.5,0.5,v\n" * 100)
    (stack.folder / "mine.yaml").write_text(TWO_KINDS)
    stack.write("mine.yaml", "--set", "source.epochs=20")
    done = stack("up")
    assert accuracy(done.stdout) == 1.0
    assert stack.exits() == dict.fromkeys(("broker", "source", "on", "out"), (0, 0))


def test_health_in_seconds_and_nothing_to_be_reached(stack: Stack) -> None:
    """Every container is found healthy, has an init, writes nowhere but to its runs; nobody outside reaches it."""
    stack.write("digits", "--set", ENDLESS)
    stack.start()

    def healthy() -> bool:
        return all(one["State"]["Health"]["Status"] == "healthy" for one in stack.containers().values())

    until(healthy, "all are healthy", within_s=HEALTHY_S)
    for one in stack.containers().values():
        last = one["State"]["Health"]["Log"][-1]
        assert last["ExitCode"] == 0, last
        host = one["HostConfig"]
        assert (host["Init"], host["ReadonlyRootfs"], host["PortBindings"], host["CapDrop"]) == (
            True,
            True,
            {},
            ["ALL"],
        )
        (network,) = one["NetworkSettings"]["Networks"]
    assert docker("network", "inspect", "--format", "{{.Internal}}", network).stdout == "true\n"


def test_a_pause_does_not_end_the_run(stack: Stack) -> None:
    """A container that stands still until it is given up for lost takes its place again, and the network goes on."""
    stack.write("digits", "--set", ENDLESS)
    stack.start()
    paused = stack.containers()["h1"]["Id"]
    docker("pause", paused)
    time.sleep(PAUSE_S)  # what is tested: it is gone for so long
    docker("unpause", paused)
    stack.train(MORE)
    assert stack.status()["state"] == "running"
    assert stack.alive() == dict.fromkeys(DIGITS - {"broker"}, (True, 1))
    assert stack.end() >= 0.95


def test_stopped_in_order(stack: Stack) -> None:
    """`stop` ends every container of a running network in seconds, none by force; `down` leaves nothing of it."""
    stack.write("digits", "--set", ENDLESS)
    stack.start()
    began = time.monotonic()
    stack("stop")
    assert time.monotonic() - began < 20
    assert stack.exits() == dict.fromkeys(DIGITS, (0, 0))
    stack("down", "--volumes")
    assert stack.containers("--all") == {}
    mine = f"label=com.docker.compose.project={stack.project}"
    for kind in ("network", "volume"):
        assert docker(kind, "ls", "--quiet", "--filter", mine).stdout == ""


def test_ended_early_and_saved(stack: Stack) -> None:
    """SIGINT to the broker drains and saves the run; every service ends by itself, and its checkpoint can be used."""
    stack.write("digits", "--set", ENDLESS)
    stack.start()
    stack("kill", "-s", "SIGINT", "broker")
    stack.wait()
    assert stack.exits() == {**dict.fromkeys(DIGITS, (0, 0)), "broker": (130, 0)}
    said = stack("logs", "broker").stdout
    (folder,) = re.findall(r"interrupted, saved; go on with --resume (\S+)", said)
    assert "classes" in stack("run", "--rm", "broker", "eval", folder, "--json").stdout


@injects(Place.CONTAINERS, Fault.KILL_FLOOD)
def test_a_process_that_dies_is_started_again(stack: Stack) -> None:
    """The engine starts a group that was killed as often as it takes to get its place; the network learns on."""
    stack.write("digits", "--set", ENDLESS)
    stack.start()
    stack.kill("h1")
    until(lambda: stack.alive().get("h1") == (True, 2), "it has its place again")
    assert stack.restarts("h1") >= 1
    stack.train(MORE)
    assert stack.end() >= 0.95


def test_limits(stack: Stack) -> None:
    """What the topology allows a process is what its container gets, and little is enough to train."""
    everybody = (
        "{broker: {memory: 128m}, source: {memory: 96m, cpus: 0.5}, hidden: {memory: 64m}, out: {memory: 64m}}"
    )
    stack.write("xor", "--set", f"limits={everybody}")
    done = stack("up")
    assert accuracy(done.stdout) >= 0.95
    assert set(stack.exits().values()) == {(0, 0)}
    given = {name: one["HostConfig"] for name, one in stack.containers("--all").items()}
    assert {name: host["Memory"] >> 20 for name, host in given.items()} == {
        "broker": 128,
        "source": 96,
        "hidden": 64,
        "out": 64,
    }
    assert given["source"]["NanoCpus"] == 5 * 10**8


@injects(Place.CONTAINERS, Fault.TWO_WAY_CUT)
def test_a_container_that_is_cut_off(stack: Stack) -> None:
    """A group that is taken off the network for longer than the broker waits is back in its place when that heals."""
    stack.write("digits", "--set", ENDLESS)
    stack.start()
    stack.disconnect("h1")
    until(lambda: not stack.alive().get("h1", (True, 0))[0], "it is missed")
    stack.connect("h1")
    until(lambda: stack.alive().get("h1", (False, 0))[0], "it is back")
    stack.train(MORE)
    assert stack.end() >= 0.95
