"""What import contracts cannot see: what the `__init__` of a package brings in when a module of it starts."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {"pydantic", "rich", "ruamel", "typer"}


@pytest.mark.parametrize("module", ["broker.server", "neurond.daemon", "neurond.group", "neurond.source"])
def test_a_daemon_loads_nothing_that_reads_what_people_write(module: str) -> None:
    """A process of a run starts without the packages of the command line and of the topology reader."""
    code = "import importlib, json, sys; importlib.import_module(sys.argv[1]); print(json.dumps([*sys.modules]))"
    loaded = subprocess.run([sys.executable, "-c", code, module], capture_output=True, text=True, check=True)
    assert not HEAVY & set(json.loads(loaded.stdout))
