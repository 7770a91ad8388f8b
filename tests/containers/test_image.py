"""The image that the Dockerfile builds."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

from tests.containers.compose import docker

REPO = Path(__file__).resolve().parents[2]
LARGEST = 115_000_000  # bytes on top of the base: with the public slim one, about 130 MB, under 250 MB


def test_it_is_the_command(image: str) -> None:
    """The image runs `neurond`, of this version."""
    version = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert docker("run", "--rm", image, "--version").stdout == f"neurond {version}\n"


def test_it_trains_with_nothing_but_a_folder_for_runs(image: str) -> None:
    """One container trains digits as an ordinary user, on a read-only file system, with no network and no right."""
    narrow = ["--read-only", "--tmpfs=/tmp", "--tmpfs=/runs:uid=10001", "--cap-drop=ALL", "--network=none"]
    done = docker("run", "--rm", *narrow, image, "run", "digits", "--set", "source.epochs=3", "--json", "--quiet")
    assert json.loads(done.stdout)["test_accuracy"] > 0.8


def test_nobody_is_root(image: str) -> None:
    """The image's user is not root, and cannot change the program."""
    script = "id -u; id -g; test -w /runs && echo runs; test -w /opt/neurond || echo program; ls -A ~ | wc -l"
    done = docker("run", "--rm", "--entrypoint", "sh", image, "-c", script)
    assert done.stdout.split()[:4] == ["10001", "10001", "runs", "program"]


def test_nothing_is_left_of_the_build(image: str, base: str) -> None:
    """The last stage has neither pip nor setuptools nor the sources beside what runs, and is small."""
    script = "ls /opt/neurond/lib/python3*/site-packages /opt/neurond/bin; ls -d /src /pip"
    done = docker("run", "--rm", "--entrypoint", "sh", image, "-c", script, check=False)
    names = set(done.stdout.split())
    assert "neurond" in names
    assert not names & {"pip", "setuptools", "wheel", "/src", "/pip"}
    size, base_size = (int(docker("image", "inspect", "--format", "{{.Size}}", i).stdout) for i in (image, base))
    assert size - base_size < LARGEST


def test_the_versions_are_the_locked_ones(image: str) -> None:
    """What is installed is what requirements.lock says, hash by hash: pip was told to refuse anything else."""
    code = "from importlib.metadata import distributions as d; print(*(f'{x.name}=={x.version}' for x in d()))"
    done = docker("run", "--rm", "--entrypoint", "/opt/neurond/bin/python", image, "-c", code)
    lines = (REPO / "requirements.lock").read_text(encoding="utf-8").splitlines()
    locked = {line.split()[0] for line in lines if "==" in line}
    installed = {_normal(name) for name in done.stdout.split() if not name.startswith("neurond==")}
    assert len(installed) > 10
    assert installed <= locked


def _normal(requirement: str) -> str:
    """A name and version with the name as locks spell it."""
    name, _, version = requirement.partition("==")
    return f"{re.sub('[-_.]+', '-', name).lower()}=={version}"
