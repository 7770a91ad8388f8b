"""Runs of this user on this machine that are alive, without a daemon that keeps a list of them.

Whoever runs in a folder says in ``running.json`` of it where its broker is; it is believed only as long as the
folder is held. Runs in other folders are found by their sockets, and their brokers know the rest.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from neurond import runs
from neurond.errors import RunError
from topology import address

RUNNING = "running.json"


@dataclass(frozen=True, slots=True)
class Running:
    """Who runs in a run folder.

    Args:
        pid: of the process that holds the folder: `neurond run`, or the broker that was started by hand.
        broker: the broker's address, as this machine reaches it.

    """

    pid: int
    broker: str


@dataclass(frozen=True, slots=True)
class Alive:
    """A run that is alive; its folder and who holds it are None where only its sockets were found."""

    broker: str
    folder: Path | None = None
    running: Running | None = None


@contextmanager
def announced(folder: Path, broker: str) -> Iterator[None]:
    """Say in a run folder, which the caller holds, where the broker is, for as long as the context lasts.

    A disk that is full costs that word, not the run.
    """
    file = folder / RUNNING
    with suppress(RunError):
        runs.write_json(file, asdict(Running(os.getpid(), broker)))
    try:
        yield
    finally:
        with suppress(OSError):
            file.unlink()


def running(folder: Path) -> Running | None:
    """Who runs in a folder; None if nobody does."""
    try:
        if not (folder / RUNNING).is_file():  # or a pipe would be waited for
            return None
        told = Running(**json.loads((folder / RUNNING).read_text(encoding="utf-8")))
        address.control(told.broker)
        os.kill(int(told.pid), 0)
    except (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return None
    return told if runs.is_held(folder) else None


def alive() -> list[Alive]:
    """The runs under the runs folder that somebody holds, and those whose sockets are in use, wherever they run."""
    found = []
    with suppress(OSError):
        for folder in sorted(file.parent for file in runs.parent().glob(f"*/{RUNNING}")):
            told = running(folder)
            if told is not None:
                found.append(Alive(told.broker, folder, told))
    known = {one.broker for one in found}
    ours = (address.of_folder(folder) for folder in address.folders())
    return found + [Alive(broker) for broker in ours if broker not in known]
