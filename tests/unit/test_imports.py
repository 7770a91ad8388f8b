"""What import contracts cannot see: what the `__init__` of a package brings in, and what is installed for nothing."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from neurond.cli import doctor

ROOT = Path(__file__).parents[2]
PACKAGES = ("broker", "monitor", "neurond", "topology")
OTHERS = {
    *sys.stdlib_module_names,
    *PACKAGES,
    "pydantic_core",
    "aiohttp",
}  # come with others

VERBS = ("console", "experiments", "metrics", "tensorboard", "web")  # extras that a verb needs
HEAVY = {"matplotlib", "pydantic", "rich", "ruamel", "typer"}


@pytest.mark.parametrize("module", ["broker.server", "neurond.daemon", "neurond.group", "neurond.source"])
def test_a_daemon_loads_nothing_that_reads_what_people_write(module: str) -> None:
    """A process of a run starts without the packages of the command line and of the topology reader."""
    code = "import importlib, json, sys; importlib.import_module(sys.argv[1]); print(json.dumps([*sys.modules]))"
    loaded = subprocess.run([sys.executable, "-c", code, module], capture_output=True, text=True, check=True)
    assert not HEAVY & set(json.loads(loaded.stdout))


def test_what_a_user_installs_is_what_is_imported() -> None:
    """The dependencies, and the extras for a verb, are what our modules import; doctor looks at the dependencies."""
    roots = set()
    for file in (file for package in PACKAGES for file in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            roots |= {name.partition(".")[0] for name in names}
    homes = packages_distributions()
    imported = {home for root in roots - OTHERS for home in homes[root]}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    def names(requirements: list[str]) -> set[str]:
        return {re.split(r"[><=;\s]", requirement)[0].lower() for requirement in requirements}

    wanted = names(project["dependencies"])
    extra = set().union(*(names(project["optional-dependencies"][verb]) for verb in VERBS))
    assert {name.lower().replace("_", "-") for name in imported} == wanted | extra
    assert wanted == set(doctor.PACKAGES)
