"""What a run on this machine starts from: its folder, its plan, and the command of each process."""

from __future__ import annotations

import os
import sys
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from neurond import runs
from neurond.errors import RunError
from topology import address

if TYPE_CHECKING:
    from topology.spec import Topology


def prepare(
    topology: Topology | None,
    run_dir: str | PathLike[str] | None,
    resume: str | PathLike[str] | None,
    data_dir: str | PathLike[str] | None,
) -> tuple[runs.Run, Topology]:
    """The run's folder and plan, and the topology that they are of; nothing is started or written yet.

    Arguments and errors are those of `supervise`.
    """
    from neurond import data  # NumPy
    from topology.resolve import DataShape, resolve

    earlier = None if resume is None else runs.open_saved(resume)
    if topology is None:
        if earlier is None:
            raise ValueError("neither a topology nor a run to resume")
        topology = earlier.topology
    source = topology.source
    shape = data.describe(source.data, data_dir=text(data_dir), label=source.label, test=source.test)
    fitted = DataShape(shape.features, shape.classes, shape.targets, shape.train, shape.test)
    plan = resolve(topology, fitted, text(data_dir))
    total = round(plan.source.epochs * shape.train)
    if earlier is not None and (done := earlier.summary.get("stimuli") or 0) >= total:
        more = f"{2 * plan.source.epochs:g}"
        raise RunError(f"{earlier.path} is finished, {done:,} of {total:,} stimuli; add --set source.epochs={more}")
    path = earlier.path if earlier is not None else runs.create(topology.name, run_dir)
    return runs.Run(path, plan), topology


def commands(run: runs.Run, broker_address: str, resume: bool, data_dir: str | None) -> dict[str, list[str]]:
    """Process name -> program and arguments, the broker first."""
    # -P: a file named like one of our packages in the current directory is not ours.
    python = [sys.executable, "-P", "-m"]
    daemon = [*python, "neurond.daemon"]
    here = ["--broker", broker_address, "--tethered"]
    broker = [*python, "broker", "--plan", str(run.path / "plan.json"), "--run-dir", str(run.path.absolute())]
    broker += ["--address", broker_address, "--tethered", *(["--resume"] if resume else [])]
    source = [*daemon, "source", *here, *(["--data-dir", data_dir] if data_dir else [])]
    groups = {g.name: [*daemon, "group", g.name, *here] for g in run.plan.groups}
    return {"broker": broker, "source": source, **groups}


def text(path: str | PathLike[str] | None) -> str | None:
    """A path as the command line takes it."""
    return None if path is None else str(path)


def environment() -> dict[str, str]:
    """The processes' environment: they find our packages where we did, also in a source checkout."""
    found = dict(os.environ)
    root = str(Path(address.__file__).parents[1])
    if "site-packages" not in root:
        found["PYTHONPATH"] = os.pathsep.join(filter(None, (root, found.get("PYTHONPATH"))))
    return found
