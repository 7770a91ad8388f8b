"""What tests of the broker as a process share: a small plan, a run folder with it, an address."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from neurond import run as train
from neurond import runs
from tests.zoo import plan_of
from topology import address
from topology.plan import Plan


@pytest.fixture
def plan() -> Plan:
    """The plan of a small network."""
    return plan_of("xor")


@pytest.fixture
def run_dir(tmp_path: Path, plan: Plan) -> Path:
    """A run folder with that plan."""
    runs.write_plan(tmp_path, plan)
    return tmp_path


@pytest.fixture
def sockets(scratch: Path) -> Iterator[str]:
    """An ipc address of the test's own; its folder must be gone when the broker is."""
    folder = address.make_folder()
    yield address.of_folder(folder)
    assert not folder.exists()


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a real run of digits that has ended; not to be written to."""
    folder = tmp_path_factory.mktemp("run") / "digits"
    train("digits", {"source.epochs": 12}, run_dir=folder)
    return folder
