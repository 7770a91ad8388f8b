"""The journal of one process, in files: its state as of the last write, also after `kill -9` or a loss of power.

    journal/h1.2.5.journal    of the process h1, in its second incarnation; the fifth file of it

A file begins with the whole state and grows by what changes (`changes.py`). When it has grown too long the next one
takes its place, and the one before it stays, in case the newest cannot be read. Each write goes to the disk before
it counts as done, so at any time all but the write under way can be recovered.

The incarnation in the name is a fence: a process that was taken for dead and goes on writes to files that its
successor does not read, and gives up as soon as it sees that there is one.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from neurond.changes import Change, Contents, DamagedError, Header, Shadow, apply, contents, record
from topology.files import JOURNALS, sync_folder, write_whole

SHORT = 4 << 20
"""Bytes of changes that a file may always hold."""
TIMES = 4
"""Beyond that, a file may hold this many times the bytes of the whole state in changes."""

_sync = getattr(os, "fdatasync", os.fsync)  # macOS has only the latter


class SupersededError(OSError):
    """A later incarnation keeps the journal of this process."""


class _File(NamedTuple):
    incarnation: int
    generation: int
    path: Path
    whole: bool  # false: `write_whole` was killed at it


def folder(run_dir: Path) -> Path:
    """Where the journals of a run are."""
    return run_dir / JOURNALS


def remove(run_dir: Path, process: str, incarnation: int | None = None) -> None:
    """Remove the journals of a process, up to those of this incarnation; None is all. OSError if one stays."""
    for file in _files(run_dir, process):
        if incarnation is None or file.incarnation <= incarnation:
            file.path.unlink(missing_ok=True)


class Journal:
    """The journal of one incarnation of a process, open for writing.

    Args:
        run_dir: the run folder.
        process: its name in the plan.
        incarnation: of the process.
        fingerprint: of the arrays (`changes.fingerprint`).

    """

    def __init__(self, run_dir: Path, process: str, incarnation: int, fingerprint: bytes) -> None:
        self.bytes = 0  # written so far
        self._run_dir = run_dir
        self._process = process
        self._incarnation = incarnation
        self._fingerprint = fingerprint
        self._generation = max((f.generation for f in self._own()), default=0)
        self._number = 0  # of the last record
        self._header = b""
        self._fd: int | None = None  # None: the next write begins a file
        self._size = 0  # of the file, up to the last record that is whole
        self._longest = 0

    def write(self, changes: Sequence[Change], shadow: Shadow) -> None:
        """Put `changes` on the disk; `shadow` holds everything as it is with them.

        Raises OSError if that cannot be done, and then the next call begins anew with all of it.
        """
        if self._fd is not None and not changes:
            return
        self._number += 1
        if self._fd is None:
            self._begin(shadow)
            return
        self._append(record(self._header, self._number, changes))
        if self._size > self._longest:
            try:
                self._begin(shadow)
            except OSError:
                if self._fd is None:
                    raise
                self._longest = 2 * self._size  # all is in the file that there is, so there is no hurry

    def close(self) -> None:
        """Close the file."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def remove(self) -> None:
        """Close the file, and remove it and those before it, as far as that can be done."""
        self.close()
        with contextlib.suppress(OSError):
            remove(self._run_dir, self._process, self._incarnation)
            folder(self._run_dir).rmdir()  # the last one does; in others' are still files

    def _append(self, content: bytes) -> None:
        assert self._fd is not None
        try:
            if not os.fstat(self._fd).st_nlink:
                raise FileNotFoundError(None, "the journal was removed", str(folder(self._run_dir)))
            _write_all(self._fd, content)
            _sync(self._fd)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._size)  # half a record is of no use, and the room may be
            self.close()
            raise
        self._size += len(content)
        self.bytes += len(content)

    def _begin(self, shadow: Shadow) -> None:
        """Begin the next file with the whole state; what it replaces is removed once it is on the disk."""
        if any(f.incarnation > self._incarnation for f in _files(self._run_dir, self._process)):
            self.close()
            raise SupersededError(None, "a later incarnation keeps the journal", str(folder(self._run_dir)))
        path = _path(self._run_dir, self._process, self._incarnation, self._generation + 1)
        header = Header(self._incarnation, self._generation + 1, self._fingerprint).pack()
        content = header + record(header, self._number, shadow.whole())
        try:
            write_whole(path, content)
        except FileNotFoundError:  # nobody has made the folder, or somebody else's last file has just left it
            folder(self._run_dir).mkdir(exist_ok=True)
            sync_folder(self._run_dir)
            write_whole(path, content)
        self._generation += 1
        self._header, self._size = header, len(content)
        self._longest = len(content) + max(SHORT, TIMES * len(content))
        self.bytes += len(content)
        self.close()
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        for file in _files(self._run_dir, self._process):
            if (file.incarnation, file.generation) < (self._incarnation, self._generation - 1):
                with contextlib.suppress(OSError):
                    file.path.unlink()

    def _own(self) -> Iterator[_File]:
        return (f for f in _files(self._run_dir, self._process) if f.incarnation == self._incarnation)


@dataclass(slots=True)
class Recovered:
    """What a journal holds of a process; `arrays` is None where nothing can be used of it."""

    arrays: dict[str, NDArray[Any]] | None = None
    incarnation: int = 0  # whose it was
    records: int = 0  # after the first
    torn: int = 0  # bytes of a record that the process was killed in; never promised
    left_records: int = 0
    left_bytes: int = 0  # that cannot be used
    unusable: list[str] = field(default_factory=list)  # files, and why


def recover(run_dir: Path, process: str, incarnation: int, fingerprint: bytes) -> Recovered:
    """The last state of a process that its journal holds, of an incarnation up to `incarnation`.

    The newest incarnation of which anything can be used; in it the newest file that begins well, and what follows up
    to the first damage. Nothing that is in the files makes it raise.
    """
    recovered = Recovered()
    files = [f for f in _files(run_dir, process) if f.whole and f.incarnation <= incarnation]
    for number in sorted({f.incarnation for f in files}, reverse=True):
        chain: list[Contents] = []
        for file in sorted((f for f in files if f.incarnation == number), reverse=True):
            held = _read(file, fingerprint, recovered)
            if held is not None:
                chain.insert(0, held)
                if _replay(chain, recovered):
                    recovered.incarnation = number
                    return recovered
                recovered.unusable.append(f"{file.path.name}: its beginning is damaged")
        for held in chain:
            recovered.left_records += len(held.later) + held.left_records
            recovered.left_bytes += held.left_bytes
    return recovered


def _read(file: _File, fingerprint: bytes, recovered: Recovered) -> Contents | None:
    """What a file holds; None, and a word why, if it is of no use."""
    content = b""
    try:
        content = file.path.read_bytes()
        held = contents(content)
        if held.header.fingerprint != fingerprint:
            raise DamagedError("it is of another network")
        if (held.header.incarnation, held.header.generation) != file[:2]:
            raise DamagedError("it has the name of another")
        return held
    except OSError as error:
        recovered.unusable.append(f"{file.path.name}: {error.strerror or error}")
    except DamagedError as error:
        recovered.unusable.append(f"{file.path.name}: {error}")
        recovered.left_bytes += len(content)
    return None


def _replay(files: list[Contents], recovered: Recovered) -> bool:
    """Let the records of these files happen one after the other; false if the first record is of no use."""
    if files[0].first is None:
        return False
    last, changes = files[0].first
    arrays: dict[str, NDArray[Any]] = {}
    if not _applied(changes, arrays):
        return False
    recovered.arrays, going = arrays, True
    for held in files:
        for number, changes in held.later:
            going = going and number == last + 1 and _applied(changes, arrays)  # each once, and none left out
            last += going
            recovered.records += going
            recovered.left_records += not going
        going = going and not held.left_records
        recovered.torn += held.torn
        recovered.left_records += held.left_records
        recovered.left_bytes += held.left_bytes
    return True


def _applied(changes: list[Change], arrays: dict[str, NDArray[Any]]) -> bool:
    try:
        apply(changes, arrays)
    except DamagedError:
        return False
    return True


def _write_all(fd: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(fd, left) :]


def _path(run_dir: Path, process: str, incarnation: int, generation: int) -> Path:
    return folder(run_dir) / f"{process}.{incarnation}.{generation}.journal"


def _files(run_dir: Path, process: str) -> list[_File]:
    """The files of a process; none where the folder is not there, or cannot be looked into."""
    name = re.compile(re.escape(process) + r"\.([0-9]{1,10})\.([0-9]{1,10})\.journal(\.part)?")
    try:
        found = [(name.fullmatch(path.name), path) for path in folder(run_dir).iterdir()]
    except OSError:
        return []
    return [_File(int(m[1]), int(m[2]), path, not m[3]) for m, path in found if m]
