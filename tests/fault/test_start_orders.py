"""Processes that are started by hand, in every order that there is."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from neurond import data
from tests.command import NEUROND, environment
from tests.fault.faults import Fault, Place, injects
from tests.waiting import DEADLINE_S, until
from topology import address

PROCESSES = ("broker", "hidden", "out", "source")
ORDERS = [
    pytest.param(order, marks=[] if order == PROCESSES[::-1] else pytest.mark.faults, id="-".join(order))
    for order in itertools.permutations(PROCESSES)
]


@injects(Place.PROCESSES, Fault.START_ORDER)
@pytest.mark.timeout(120)
@pytest.mark.parametrize("order", ORDERS)
def test_every_order_of_start(tmp_path: Path, order: tuple[str, ...]) -> None:
    """In whatever order they come, each as soon as the one before it is up, they find one another and learn."""
    folder = address.make_folder()
    at = address.of_folder(folder)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        running = []
        for name in order:
            if name == "broker":
                command = [*NEUROND, "broker", "xor", "--address", at, "--run", "run", "--set", "source.epochs=3"]
                bound = folder / "control"
            else:
                role = [name] if name == "source" else ["group", name]
                command = [sys.executable, "-m", "neurond.daemon", *role, "--broker", at]
                bound = folder / name
            with (tmp_path / f"{name}.log").open("wb") as log:
                process = subprocess.Popen(command, cwd=tmp_path, env=environment(), stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.kill)
            running.append(process)
            until(bound.exists, f"{name} is up")
        for name, process in zip(order, running, strict=True):
            assert process.wait(2 * DEADLINE_S) == 0, (tmp_path / f"{name}.log").read_text()
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["stimuli"] == 3 * data.describe("xor").train
