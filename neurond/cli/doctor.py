"""The verb `doctor`: whether this machine can run a network, and what would slow it down."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from neurond.cli.output import out, out_json, say, suggest
from neurond.cli.topologies import DataDir
from topology import exits
from topology.threads import blas_threads

PACKAGES = [
    "numpy",
    "pyzmq",
    "msgpack",
    "uvloop",
    "safetensors",
    "pydantic",
    "ruamel.yaml",
    "rich",
    "typer",
]
OPTIONAL = frozenset({"uvloop"})
MIN_PYTHON = (3, 11)
MIN_FREE_MIB = 200


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    state: str  # ok | note | broken
    words: str


def doctor(
    data_dir: DataDir = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON list of findings.")] = False,
) -> None:
    """Check Python, packages, ZeroMQ, sockets, cores, folders and data. Leaves with 1 if something is broken."""
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        _python,
        _packages,
        _zmq,
        _sockets,
        _cores,
        _folders,
        lambda: _data(data_dir),
    )
    found = [finding for check in checks for finding in check()]
    if json:
        out_json([{"what": f.what, "state": f.state, "words": f.words} for f in found])
    else:
        wide = max(len(f.what) for f in found)
        for f in found:
            out(f"{f.state:<7} {f.what:<{wide}}  {f.words}")
    broken = sum(f.state == "broken" for f in found)
    if broken:
        say(f"{broken} broken; put that right first")
        raise typer.Exit(exits.FAILED)
    suggest("neurond run digits")


def _python() -> Iterator[Finding]:
    fine = sys.version_info >= MIN_PYTHON
    wanted = ".".join(map(str, MIN_PYTHON))
    words = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    yield Finding("python", "ok" if fine else "broken", words if fine else f"{words}; {wanted} or newer is needed")


def _packages() -> Iterator[Finding]:
    from importlib.metadata import PackageNotFoundError, version

    versions, missing = [], []
    for package in PACKAGES:
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            missing.append(package)
    needed = [m for m in missing if m not in OPTIONAL]
    listed = ", ".join(needed)
    yield Finding("packages", "broken" if needed else "ok", ", ".join(versions))
    if needed:
        yield Finding("packages", "broken", f"missing: {listed}; install neurond again with its dependencies")
    for package in set(missing) & OPTIONAL:
        yield Finding(package, "note", "not here; asyncio's own loop is used, which is slower")


def _zmq() -> Iterator[Finding]:
    try:
        import zmq
    except ImportError as error:
        yield Finding("zmq", "broken", f"cannot be imported: {error}")
        return
    curve = "with CURVE" if zmq.has("curve") else "without CURVE: no encryption between hosts"
    yield Finding("zmq", "ok" if zmq.has("curve") else "note", f"libzmq {zmq.zmq_version()}, {curve}")


def _sockets() -> Iterator[Finding]:
    """A message over a real ipc socket, in a folder as a run makes it, and one over tcp on this host."""
    try:
        import zmq
    except ImportError:
        return
    from topology import address

    yield _echoed("tcp", "tcp://127.0.0.1:*")
    if not zmq.has("ipc"):
        yield Finding("ipc", "note", "this libzmq has no ipc; tcp on 127.0.0.1 is used")
        return
    try:
        folder = address.make_folder()
    except (address.AddressError, OSError) as error:
        yield Finding("ipc", "broken", str(error))
        return
    try:
        yield _echoed("ipc", address.in_folder(folder, "doctor"))
    finally:
        (folder / "doctor").unlink(missing_ok=True)
        address.remove_folder(folder)


def _echoed(what: str, endpoint: str) -> Finding:
    import zmq

    try:
        _echo(endpoint)
    except (zmq.ZMQError, TimeoutError) as error:
        return Finding(what, "broken", f"{endpoint}: {error}")
    return Finding(what, "ok", f"a message went through {endpoint}")


def _echo(endpoint: str) -> None:
    """Send one message through `endpoint`; TimeoutError if it does not arrive in a second, ZMQError if refused."""
    import zmq

    with zmq.Context() as context, context.socket(zmq.PULL) as inbox, context.socket(zmq.PUSH) as outbox:
        inbox.linger = outbox.linger = 0
        inbox.bind(endpoint)
        outbox.connect(inbox.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0"))
        outbox.send(b"hello")
        if not inbox.poll(1000):
            raise TimeoutError("sent, but did not arrive within 1 s")
        inbox.recv()


def _cores() -> Iterator[Finding]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    many = "" if cores > 1 else "; processes will take turns, so a run is no faster than one process"
    yield Finding("cores", "ok" if cores > 1 else "note", f"{cores}{many}")
    more = {k: v for k, v in blas_threads(os.environ).items() if v != "1"}
    if more:
        words = f"{', '.join(f'{k}={v}' for k, v in more.items())} as you have set; 1 a process is fastest"
        yield Finding("BLAS", "note", words)
    else:
        yield Finding("BLAS", "ok", "one thread a process")


def _folders() -> Iterator[Finding]:
    import shutil

    from neurond import runs

    folder = runs.parent().absolute()
    there = next((p for p in (folder, *folder.parents) if p.exists()), folder)
    if not os.access(there, os.W_OK | os.X_OK):
        yield Finding("runs", "note", f"{there} cannot be written; give --run DIR or set NEUROND_RUNS")
        return
    free_mib = shutil.disk_usage(there).free // 2**20
    little = f"; less than {MIN_FREE_MIB} MiB" if free_mib < MIN_FREE_MIB else ""
    yield Finding("runs", "note" if little else "ok", f"{folder}, {free_mib:,} MiB free{little}")


def _data(data_dir: Path | None) -> Iterator[Finding]:
    try:
        from neurond.data import known
    except ImportError as error:
        yield Finding("data", "broken", f"cannot be imported: {error}")
        return
    for data in known(data_dir):
        where = data.where if data.where is not None else f"not here: {data.fetch}"
        yield Finding(f"data {data.name}", "ok" if data.where is not None else "note", where)
