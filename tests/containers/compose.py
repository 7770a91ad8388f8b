"""docker and docker-compose as the tests call them."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.command import neurond
from tests.waiting import until

RUN_S = 180.0  # of a stack, from its first container to its last
CALM_LR = 0.01
CALM = 5_000  # stimuli until what jittered has settled


def docker(*arguments: str, check: bool = True, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
    """A command of docker; with `check`, what went wrong is in the assertion."""
    return _called(["docker", *arguments], check, timeout_s)


class Stack:
    """One compose file, as a project of its own name.

    Args:
        command: docker-compose, or the plugin.
        folder: the project's folder.
        environment: for the variables of the compose file.

    """

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.project = f"neurond-test-{os.getpid()}-{folder.name.lower()}"
        self.file = folder / "docker-compose.yml"
        self._compose = [*command]
        self.environment = {**os.environ, **environment}

    def write(self, *arguments: str) -> None:
        """Let `neurond compose` write the file, with the image of the tests."""
        done = neurond(
            self.folder, "compose", *arguments, "--image", self.environment["NEUROND_IMAGE"], "-o", self.file.name
        )
        assert done.returncode == 0, done.stderr

    def __call__(
        self, *arguments: str, check: bool = True, timeout_s: float = RUN_S
    ) -> subprocess.CompletedProcess[str]:
        """A command of compose, run to its end."""
        return _called(self.command(*arguments), check, timeout_s, env=self.environment)

    def command(self, *arguments: str) -> list[str]:
        """A command of compose, for whoever runs it."""
        return [*self._compose, "--project-name", self.project, "--file", str(self.file), *arguments]

    def containers(self, *arguments: str) -> dict[str, dict[str, Any]]:
        """The project's containers that `docker ps` lists, as `docker inspect` tells of them, by their services."""
        mine = f"label=com.docker.compose.project={self.project}"
        ids = docker("ps", "--quiet", *arguments, "--filter", mine).stdout.split()
        found = json.loads(docker("inspect", *ids).stdout) if ids else []
        return {one["Config"]["Labels"]["com.docker.compose.service"]: one for one in found}

    def exits(self) -> dict[str, tuple[int, int]]:
        """Exit code and restarts of each service whose container is not running."""
        ended = self.containers("--filter", "status=exited")
        return {name: (one["State"]["ExitCode"], one["RestartCount"]) for name, one in ended.items()}

    def wait(self) -> None:
        """Wait until every container has ended by itself."""
        docker("wait", *(one["Id"] for one in self.containers("--all").values()), timeout_s=RUN_S)

    def status(self) -> dict[str, Any]:
        """What the broker tells of its run; empty while it does not answer."""
        told = self("exec", "-T", "broker", "neurond", "status", "--json", check=False)
        return dict(json.loads(told.stdout)) if told.returncode == 0 else {}

    def start(self) -> None:
        """Start everything, and wait until the network trains."""
        self("up", "--detach")
        until(lambda: self.status().get("state") == "running", "the network is complete")

    def kill(self, service: str) -> None:
        """SIGKILL to the process of a service, from within: `docker kill` would be taken for the user's wish."""
        self("exec", "-T", service, "sh", "-c", "kill -9 -1", check=False)

    def disconnect(self, service: str) -> None:
        """Take a service's container off the network: to the others it falls silent, with no word."""
        docker("network", "disconnect", f"{self.project}_neurond", self.containers()[service]["Id"])

    def connect(self, service: str) -> None:
        """Put it back, under its name."""
        network = f"{self.project}_neurond"
        docker("network", "connect", "--alias", service, network, self.containers()[service]["Id"])

    def restarts(self, service: str) -> int:
        """How often the engine has started a service's container again."""
        return int(self.containers("--all")[service]["RestartCount"])

    def alive(self) -> dict[str, tuple[bool, int]]:
        """Whether each process is alive, and its incarnation, as the broker knows it."""
        known = self.status().get("processes", {})
        return {name: (one["alive"], one["incarnation"]) for name, one in known.items()}

    def trained(self) -> int:
        """Stimuli that the source has had confirmed; 0 while it is not known."""
        return int(self.status().get("processes", {}).get("source", {}).get("progress", 0))

    def train(self, more: int) -> None:
        """Wait until the network has trained so many stimuli more."""
        goal = self.trained() + more
        until(lambda: self.trained() > goal, f"{more:,} stimuli more")

    def end(self) -> float:
        """End the run in good order, once its weights stand still enough to be judged; test accuracy, from 0 to 1.

        What the last evaluation sees is one moment. At a learning rate that stays at 0.1 one in twenty such moments
        of `digits` is below 95 %, also of a run that nothing ever happened to; with a tenth of it none of a thousand.
        """
        groups = [name for name, one in self.status()["processes"].items() if one["role"] == "group"]
        calm = " & ".join(f"neurond set {name} lr={CALM_LR}" for name in groups)
        said = self("exec", "-T", "broker", "sh", "-c", f"{calm} & wait").stdout
        assert said.count(f"{CALM_LR}") == len(groups), said
        self.train(CALM)
        self("kill", "-s", "SIGINT", "broker")
        self.wait()
        (percent,) = re.findall(r"test accuracy ([\d.]+) %, ", self("logs", "broker").stdout)
        return float(percent) / 100

    def remove(self) -> None:
        """Remove containers, networks and volumes; images stay."""
        if self.file.exists():
            profiles = ("--profile", "monitor", "--profile", "metrics")  # else their containers would stay
            self(*profiles, "down", "--volumes", "--remove-orphans", "--timeout", "1", check=False)


def _called(command: list[str], check: bool, timeout_s: float, **more: Any) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=timeout_s, stdin=subprocess.DEVNULL, check=False, **more
    )
    assert not check or done.returncode == 0, f"{command} exited {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done
