"""What a run on this machine starts from: its folder, its plan, its sockets, and the command of each process."""

from __future__ import annotations

import math
import os
import resource
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from neurond import runs
from neurond.errors import RunError, WrongUse
from topology import address
from topology.plan import BROKER, SOURCE

if TYPE_CHECKING:
    from neurond.machine import Machine
    from neurond.until import Target
    from topology.plan import DataShape, Plan
    from topology.spec import Topology

Transport = Literal["ipc", "tcp"]

_RESUME = "--resume"
OPEN_FILES, OPEN_FILES_A_PEER = 32, 4  # measured: 24 and 3


def prepare(
    topology: Topology | None,
    run_dir: str | PathLike[str] | None,
    resume: str | PathLike[str] | None,
    data_dir: str | PathLike[str] | None,
    transport: Transport = "ipc",
    until: Target | None = None,
) -> tuple[runs.Run, Topology]:
    """The run's folder and plan, and the topology that they are of; nothing is started or written yet.

    Arguments and errors are those of `supervise`; `transport` is that of the links.
    """
    if resume is not None and run_dir is not None:
        raise WrongUse(f"a resumed run goes on in its own folder, {resume}; leave out --run (run_dir)")
    earlier = None if resume is None else runs.open_saved(resume)
    if topology is None:
        if earlier is None:
            raise WrongUse("neither a topology nor a run to resume")
        topology = earlier.topology
    if data_dir is None and earlier is not None:
        data_dir = earlier.plan.source.data_dir
    topology, plan, shape = planned(topology, path_text(data_dir), transport)
    if until is not None:
        check_goal(until, plan)
    total = round(plan.source.epochs * shape.train)
    if earlier is not None and (done := earlier.summary.get("stimuli") or 0) >= total:
        more = f"{math.ceil(done / shape.train) + math.ceil(plan.source.epochs):g}"
        raise RunError(f"{earlier.path} is finished, {done:,} of {total:,} stimuli; add --set source.epochs={more}")
    if earlier is not None:
        _check_saved(earlier.path, plan, shape)
    _check_open_files(len(plan.processes))
    path = earlier.path if earlier is not None else runs.create(topology.name, run_dir)
    return runs.Run(path, plan), topology


def check_goal(until: Target, plan: Plan) -> None:
    """Raise WrongUse for a goal that a network of this plan can never reach."""
    if until.gauge.endswith("accuracy") and not plan.source.classes:
        raise WrongUse(f"'{until.text}' can never be reached: a regression has no accuracy; write loss<=0.1, say")


def planned(
    topology: Topology, data_dir: str | None, transport: Transport = "ipc"
) -> tuple[Topology, Plan, DataShape]:
    """A topology with the whole path of its data, its plan, checked against the data, and the data's shape.

    Raises TopologyError, DataError.
    """
    from neurond.data import DataError, absolute, describe  # NumPy
    from topology.resolve import resolve

    source = topology.source
    try:
        shape = describe(source.data, data_dir=data_dir, label=source.label, test=source.test)
    except DataError as error:
        problem = topology.problem(("source", "data"), str(error))
        raise DataError(str(problem), placed=True) from error
    located = source.model_copy(update={"data": absolute(source.data)})  # the folder is read from anywhere
    topology = topology.model_copy(update={"source": located})
    if data_dir is not None:
        data_dir = os.path.abspath(os.path.expanduser(data_dir))  # noqa: PTH100, PTH111 - no home: no error
    return topology, resolve(topology, shape, data_dir, transport), shape


def _check_saved(run_dir: Path, plan: Plan, shape: DataShape) -> None:
    """Raise RunError unless every process of `plan` can go on from its part of the last checkpoint.

    Each part is taken up here, by the machine that is to go on with it, so that nothing is started for what
    cannot be.
    """
    from neurond import begin  # NumPy, msgpack

    try:
        for machine in _machines(plan, shape):
            begin.restore(machine, run_dir)
    except begin.StartError as error:
        raise RunError(str(error)) from error


def _machines(plan: Plan, shape: DataShape) -> Iterator[Machine]:
    """The machine of each process, one after the other; the source's stimuli are blank, and take no memory."""
    import numpy as np
    from numpy.typing import NDArray

    from neurond.data import Dataset
    from neurond.group import GroupMachine
    from neurond.source import SourceMachine

    def blank(n: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        return np.broadcast_to(np.uint8(0), (n, shape.features)), np.broadcast_to(np.int64(0), n)

    stimuli = Dataset(*blank(shape.train), *blank(shape.test), 1.0, ())
    yield SourceMachine(plan.source, stimuli)
    for group in plan.groups:
        yield GroupMachine(group)


def _check_open_files(processes: int) -> None:
    """Each process is connected to every other: it is told now, and not by one that cannot open a socket."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = OPEN_FILES + OPEN_FILES_A_PEER * processes
    if allowed != resource.RLIM_INFINITY and allowed < needed:
        what = f"a run of {processes} processes needs {needed} open files in each, and {allowed} are allowed"
        raise RunError(f"{what}; raise it with: ulimit -n {max(needed, 1024)}")


def socket_folder() -> tuple[Path, str]:
    """A new private folder for the sockets of a run, and a word where it is not in XDG_RUNTIME_DIR."""
    wanted = os.environ.get("XDG_RUNTIME_DIR", "")
    try:
        folder = address.make_folder()
    except OSError:  # it may look as if it could be written to: a read-only or full file system, a program
        folder = Path(tempfile.mkdtemp(prefix=address.FOLDER_PREFIX))
    if wanted and folder.parent != Path(wanted):
        return folder, f"XDG_RUNTIME_DIR={wanted} cannot hold sockets; they are in {folder}"
    return folder, ""


def write_origin(run: runs.Run, topology: Topology, more: Mapping[str, Any] = MappingProxyType({})) -> None:
    """Write into the run's folder what is trained, and where; and what more there is to say of that."""
    from neurond.environment import environment
    from topology.write import dump

    runs.write_text(run.path / "topology.yaml", dump(topology))
    runs.write_json(run.path / "environment.json", {**environment(), **more})


def commands(run: runs.Run, broker_address: str, resume: bool, data_dir: str | None) -> dict[str, list[str]]:
    """Process name -> program and arguments, the broker first."""
    # -P: a file named like one of our packages in the current directory is not ours.
    python = [sys.executable, "-P", "-m"]
    daemon = [*python, "neurond.daemon"]
    here = ["--broker", broker_address, "--tethered"]
    broker = [*python, "broker", "--plan", str(run.path / "plan.json"), "--run-dir", str(run.path.absolute())]
    broker += ["--address", broker_address, "--tethered", *([_RESUME] if resume else [])]
    source = [*daemon, "source", *here, *(["--data-dir", data_dir] if data_dir else [])]
    groups = {g.name: [*daemon, "group", g.name, *here] for g in run.plan.groups}
    return {BROKER: broker, SOURCE: source, **groups}


def again(command: Sequence[str]) -> list[str]:
    """The command of a broker in place of one that died: its processes live on, and resume nothing."""
    return [*(word for word in command if word != _RESUME), "--again"]


def path_text(path: str | PathLike[str] | None) -> str | None:
    """A path as the command line takes it."""
    return None if path is None else str(path)


def variables() -> dict[str, str]:
    """The processes' environment: they find our packages where we did, also in a source checkout."""
    found = dict(os.environ)
    root = str(Path(address.__file__).parents[1])
    if "site-packages" not in root:
        found["PYTHONPATH"] = os.pathsep.join(filter(None, (root, found.get("PYTHONPATH"))))
    return found
