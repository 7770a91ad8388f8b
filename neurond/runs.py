"""The folder of a run: made, written so that a crash leaves nothing half-written, and read again.

topology.yaml     as resolved, with every default       plan.json          what the processes were told
metrics.jsonl     a row every half second               summary.json       the run in one object
events.jsonl      what happened (neurond/events.py)
environment.json  where it ran                          logs/              of each process
checkpoints/      manifest.json and one file a process (topology/checkpoints.py)

While it runs also:

journal/          what a process that was killed goes on from (neurond/journal.py)
incarnations.json what a broker must know that takes another's place (broker/incarnations.py)
running.json      where it is to be asked (neurond/living.py)
"""

from __future__ import annotations

import errno
import fcntl
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from neurond import damaged
from neurond.errors import NoSuchRun, RunError
from topology import checkpoints
from topology.files import write_whole
from topology.plan import Plan, to_dict
from topology.sound import sound_plan

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from topology.spec import Topology

RUNS = "runs"
"""Parent of run folders in the current directory, unless `NEUROND_RUNS` names another."""

LOGS = "logs"


def parent() -> Path:
    """The folder of run folders."""
    return Path(os.environ.get("NEUROND_RUNS") or RUNS)


def create(
    name: str,
    run_dir: str | os.PathLike[str] | None = None,
    now: datetime | None = None,
    go_on: str = "--resume",
) -> Path:
    """A new run folder: `run_dir`, or ``<time>-<name>`` under the runs folder.

    Raises RunError if it cannot be made, or if `run_dir` has something in it: `go_on` is what takes a used one.
    """
    where = os.path.abspath(parent() if run_dir is None else run_dir)  # noqa: PTH100
    try:
        where.encode()
    except UnicodeEncodeError:
        what = "its name is not UTF-8, and no message could hold it"
        raise RunError(f"cannot make a run folder in {where!a}: {what}; choose another with --run") from None
    try:
        if run_dir is not None:
            path = Path(run_dir)
            path.mkdir(parents=True, exist_ok=True)
            if any(entry.name != LOGS for entry in path.iterdir()):  # `up` has begun one before there is a run
                raise RunError(f"{path} is not empty; choose another folder, or go on from it with {go_on} {path}")
            return path
        parent().mkdir(parents=True, exist_ok=True)
        stem = f"{now or datetime.now().astimezone():%Y%m%d-%H%M%S}-{name}"
        for number in range(1, 1000):
            path = parent() / (stem if number == 1 else f"{stem}-{number}")
            with suppress(FileExistsError):
                path.mkdir()
                return path
    except OSError as error:
        raise RunError(f"cannot make a run folder: {_why(error)}") from error
    raise RunError(f"cannot make a run folder: {parent()} has too many of this second")


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold a run folder: nobody else may run in it meanwhile. RunError if somebody does."""
    with locked(path, f"{path} is in use by another run; wait for it or stop it"):
        yield


@contextmanager
def locked(path: Path, taken: str) -> Iterator[None]:
    """Hold a lock on a folder, or raise RunError with the message `taken`.

    The lock is on the folder itself, so there is no lock file to leave behind.
    """
    fd = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunError(taken) from error
        yield
    finally:
        os.close(fd)


def is_held(path: Path) -> bool:
    """Whether somebody runs in a folder."""
    try:
        with held(path):
            return False
    except (RunError, OSError):
        return True


def write_text(path: Path, text: str) -> None:
    """Write a file that appears whole or not at all; RunError if it cannot be."""
    try:
        write_whole(path, text.encode())
    except OSError as error:
        raise RunError(f"cannot write {path}: {_why(error)}") from error


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON, as `write_text` does."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def write_plan(path: Path, plan: Plan) -> Path:
    """Write ``plan.json`` of the run folder `path`; where it is."""
    write_json(path / "plan.json", to_dict(plan))
    return path / "plan.json"


class Rows:
    """``metrics.jsonl``, or another file of its kind, open for appending: a JSON object a line, written at once."""

    def __init__(self, run_dir: Path, name: str = "metrics.jsonl") -> None:
        self._path = run_dir / name
        self._file: IO[bytes] | None = None
        self._torn = b""  # what ends a row that could not be written whole

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a row; RunError if it cannot be written, and then the next one is tried anew."""
        try:
            if self._file is None:
                self._file = self._path.open("ab", buffering=0)
            self._file.write(self._torn + json.dumps(row).encode() + b"\n")
            self._torn = b""
        except OSError as error:
            if self._file is not None:
                self._torn = b"\n"  # part of it may be there
            self.close()
            raise RunError(f"cannot write {self._path}: {_why(error)}") from error

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


class Run:
    """A run as its folder tells it. Everything is read when it is asked for.

    Args:
        path: the run folder.
        plan: what the processes were told.

    """

    def __init__(self, path: Path, plan: Plan) -> None:
        self.path = path
        self.plan = plan
        self.damaged: dict[str, int] = {}
        """How many lines of a file were left out when it was last read, for they are not what they should be."""

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @property
    def topology(self) -> Topology:
        """The topology, with every default filled in."""
        return self.changed(())

    def changed(self, settings: Iterable[str]) -> Topology:
        """The topology with other values in it, as `--set` takes them; TopologyError if it then cannot be."""
        from topology.load import load  # brings pydantic and ruamel

        return load(self.path / "topology.yaml", settings, env={})

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The rows of ``metrics.jsonl`` in the order of time; what is damaged is left out."""
        return self._rows("metrics.jsonl", damaged.row)

    @property
    def events(self) -> list[dict[str, Any]]:
        """What happened, as `neurond.events` writes it; empty for a run that was made before that was written."""
        return self._rows("events.jsonl", damaged.event)

    @property
    def changed_settings(self) -> list[dict[str, Any]]:
        """Settings that were changed while it ran: `t_s`, `process`, `key`, `value` and the value `before`."""
        keys = ("key", "value", "before")
        changes = [event for event in self.events if event["kind"] == "set"]
        return [
            {"t_s": e["t_s"], "process": e.get("process", ""), **{key: e["data"].get(key) for key in keys}}
            for e in changes
        ]

    @property
    def environment(self) -> dict[str, Any]:
        """Where it ran; empty if it was killed before that was written."""
        return damaged.environment(self._object("environment.json"))

    def _rows(self, name: str, sound: Callable[[dict[str, Any]], dict[str, Any]]) -> list[dict[str, Any]]:
        *lines, torn = _read(self.path / name, missing=b"").split(b"\n")
        rows, self.damaged[name] = [], 0
        for line in filter(None, (*lines, torn)):
            try:
                rows.append(sound(damaged.parsed(line)))
            except ValueError:
                self.damaged[name] += line is not torn  # which a crash leaves behind, or a row that is being written
        return rows

    @property
    def summary(self) -> dict[str, Any]:
        """The run in one object; empty if it never came to its end."""
        return damaged.summary(self._object("summary.json"))

    def _object(self, name: str) -> dict[str, Any]:
        try:
            return damaged.parsed(_read(self.path / name, missing=b"{}"))
        except ValueError as error:
            raise RunError(f"{self.path / name} is damaged: {error}") from error

    @cached_property
    def weights(self) -> dict[str, NDArray[np.float32]]:
        """Weights of the last checkpoint, by the names of the topology: shards put together.

        ``"h1 -> h2"`` is float32 (neurons of h2, neurons of h1); ``"h2.bias"`` is float32 (neurons of h2,).
        """
        import numpy as np

        whole: dict[str, NDArray[np.float32]] = {}
        for group in self.plan.groups:
            rows, own = slice(group.start, group.start + group.size), self._parts[group.name]
            bias = whole.setdefault(f"{group.group}.bias", np.zeros(group.group_size, np.float32))
            bias[rows] = own["b"].reshape(-1)
            for link in group.links_in:
                columns = slice(link.pre_start, link.pre_start + link.n_pre)
                name, shape = f"{link.pre_group} -> {group.group}", (group.group_size, link.pre_size)
                whole.setdefault(name, np.zeros(shape, np.float32))[rows, columns] = own[f"w.{link.pre}"]
        return whole

    def predict(self, x: ArrayLike) -> NDArray[np.float32]:
        """What the readout makes of inputs, from the last checkpoint, in this process.

        Args:
            x: (n, features), or (features,) for one; an image may keep its axes. Scaled as in training, or raw
                whole-number pixels.

        Returns:
            float32 (n, outputs); for classes, the largest of a row is the answer.

        Raises:
            RunError: no usable checkpoint. ValueError: another number of features.

        """
        import numpy as np

        from neurond.data.inputs import as_trained
        from neurond.forward import forward

        inputs, features = np.asarray(x), self.plan.source.features
        if inputs.ndim == 1 or inputs.size == features:
            inputs = inputs.reshape(1, -1)
        elif inputs.ndim > 2 and math.prod(inputs.shape[1:]) == features:
            inputs = inputs.reshape(len(inputs), features)
        return forward(self.plan, self._parts, as_trained(inputs, self.plan.source.reading.scale))

    @cached_property
    def _parts(self) -> dict[str, dict[str, NDArray[Any]]]:
        return load_weights(self)


def open_run(path: str | os.PathLike[str]) -> Run:
    """The run in a folder; NoSuchRun with a guess if there is none, RunError if it is damaged."""
    folder = Path(path)
    file = folder / "plan.json"
    if not file.is_file():
        what = "is not a run folder: it has no plan.json" if folder.is_dir() else "is no folder"
        shown = str(folder) if str(folder).isprintable() else ascii(str(folder))  # in one line
        raise NoSuchRun(f"{shown} {what}; {_meant(folder) or f'runs are folders under {parent()}/'}")
    try:
        plan = sound_plan(_read(file).decode())
    except (ValueError, RecursionError) as error:
        raise RunError(f"{file} is damaged or of another version: {error}") from error
    return Run(folder, plan)


def _meant(folder: Path) -> str:
    """A run beside a folder that is none, or among all runs, whose name is close to its; "" if there is none."""
    from topology.errors import guessed  # only errors need it

    known: dict[str, Path] = {}
    for place in (parent(), folder.parent):
        with suppress(OSError, ValueError):
            known |= {one.parent.name: one.parent for one in place.glob("*/plan.json")}
    name = guessed(folder.name, known)
    return f"did you mean {str(known[name])!r}?" if name is not None else ""


def open_saved(path: str | os.PathLike[str]) -> Run:
    """The run in a folder, to be gone on from; RunError if there is none, or no sound checkpoint of it."""
    run = open_run(path)
    load_weights(run)
    return run


def load_weights(run: Run) -> dict[str, dict[str, NDArray[Any]]]:
    """Weights and bias of each group process in the last checkpoint, as `neurond.forward` takes them.

    Raises RunError if there is no checkpoint, if a file of it is missing or not the one that was saved, or if
    it is not of this plan.
    """
    from neurond import checkpoint  # NumPy
    from neurond.forward import check_weights

    try:
        manifest = checkpoints.read_manifest(run.path)
        states = {g.name: checkpoint.read(run.path, manifest, g.name) for g in run.plan.groups}
    except checkpoints.CheckpointError as error:
        raise RunError(str(error)) from error
    # What follows a slash belongs to the learning rules, not to the network.
    weights = {
        process: {name: array for name, array in state.items() if name == "b" or _is_weight(name)}
        for process, state in states.items()
    }
    try:
        check_weights(run.plan, weights)
    except ValueError as error:
        what = f"{run.path}: plan.json and the last checkpoint are of different networks: {error}"
        raise RunError(what) from error
    return weights


def _is_weight(name: str) -> bool:
    return name.startswith("w.") and "/" not in name


def _read(path: Path, missing: bytes | None = None) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        if missing is not None:
            return missing
        raise RunError(f"cannot read {path}: {_why(error)}") from error
    except OSError as error:
        raise RunError(f"cannot read {path}: {_why(error)}") from error


def _why(error: Exception) -> str:
    """An error of the file system in words."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    hint = {
        errno.ENOSPC: "; free some space or choose another folder (--run DIR)",
        errno.EDQUOT: "; free some space or choose another folder (--run DIR)",
        errno.EACCES: "; choose another folder (--run DIR, or NEUROND_RUNS)",
        errno.EROFS: "; choose another folder (--run DIR, or NEUROND_RUNS)",
    }.get(error.errno or 0, "")
    where = f" ({error.filename})" if error.filename else ""
    return f"{error.strerror}{where}{hint}"
