"""docker and docker-compose as the tests call them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

RUN_S = 180.0  # of a stack, from its first container to its last


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
        self.image = environment["NEUROND_TEST_IMAGE"]
        self._command = [*command]
        self._environment = {**os.environ, **environment}

    def __call__(
        self, *arguments: str, check: bool = True, timeout_s: float = RUN_S
    ) -> subprocess.CompletedProcess[str]:
        """A command of compose, run to its end."""
        return _called([*self._named(), *arguments], check, timeout_s, env=self._environment)

    def containers(self, *arguments: str) -> list[str]:
        """Names of the project's containers that `docker ps` lists."""
        mine = f"label=com.docker.compose.project={self.project}"
        return docker("ps", *arguments, "--filter", mine, "--format", "{{.Names}}").stdout.split()

    def container(self, service: str) -> str:
        """The identifier of a service's container."""
        return self("ps", "-q", service).stdout.strip()

    def remove(self) -> None:
        """Remove containers, networks and volumes; images stay."""
        if self.file.exists():
            self("down", "--volumes", "--remove-orphans", "--timeout", "1", check=False)

    def _named(self) -> list[str]:
        return [*self._command, "--project-name", self.project, "--file", str(self.file)]


def _called(command: list[str], check: bool, timeout_s: float, **more: Any) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=timeout_s, stdin=subprocess.DEVNULL, check=False, **more
    )
    assert not check or done.returncode == 0, f"{command} exited {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done
