"""Keys made and taken back: what `neurond keys` writes into the folder that `keys.py` reads.

A secret is made with its final mode and never overwritten; the list of public keys appears whole or not at all. Each
step leaves a folder that the next `issue` completes, wherever it was interrupted.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import zmq

from topology.files import write_whole
from topology.keys import (
    PUBLIC,
    Entry,
    KeysError,
    check_folder,
    is_process_name,
    read_public,
    read_secret,
    secret_path,
)

HEAD = "# Public keys, one a line; written by `neurond keys`. Every process needs this file and its own secret.\n"


def issue(folder: Path, names: Iterable[str], replace: bool = False) -> tuple[list[str], list[str]]:
    """Give each name a pair of keys, where it has none; the names that got one, and those that had one.

    Args:
        folder: made with mode 0700 if it is not there.
        names: of processes.
        replace: revoke what is there, and make all new.

    Raises KeysError, OSError.

    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_folder(folder)
    entries = read_public(folder) if (folder / PUBLIC).exists() else []
    made, kept = [], []
    for name in names:
        if not is_process_name(name):
            raise KeysError(f"{name!r} cannot be the name of a process")
        held = _held(entries, name)
        if held is not None and not replace:
            kept.append(name)
            continue
        if held is not None:
            entries[entries.index(held)] = Entry(name, held.key, revoked=True)
        revoked = {entry.key for entry in entries if entry.revoked}
        entries.append(Entry(name, _pair(folder, name, revoked, replace)))
        made.append(name)
    if made:
        _write(folder, entries)
    for name in kept:
        if secret_path(folder, name).exists():
            read_secret(
                folder, name
            )  # refused where others can read it, and not found out by the process that needs it
    return made, kept


def revoke(folder: Path, name: str) -> None:
    """Take a name's key back: it is accepted nowhere any more, and its secret, if it is here, removed.

    Raises KeysError if the name has none, OSError.
    """
    entries = read_public(folder)
    held = _held(entries, name)
    if held is None:
        there = ", ".join(entry.name for entry in entries if not entry.revoked) or "nobody"
        raise KeysError(f"no key of {name!r} in {folder / PUBLIC}; there are those of {there}")
    entries[entries.index(held)] = Entry(name, held.key, revoked=True)
    _write(folder, entries)
    secret_path(folder, name).unlink(missing_ok=True)


def _held(entries: Iterable[Entry], name: str) -> Entry | None:
    """The entry of a name's key that is accepted."""
    return next((entry for entry in entries if entry.name == name and not entry.revoked), None)


def _pair(folder: Path, name: str, revoked: set[str], replace: bool) -> str:
    """The public key of a new secret, or of one whose making was interrupted before its public key was written."""
    path = secret_path(folder, name)
    if path.exists():
        if not replace:
            public = zmq.curve_public(read_secret(folder, name)).decode()
            if public not in revoked:
                return public
        path.unlink()
    public_key, secret_key = zmq.curve_keypair()
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, secret_key + b"\n")
        os.fsync(fd)
    finally:
        os.close(fd)
    return public_key.decode()


def _write(folder: Path, entries: Iterable[Entry]) -> None:
    path = folder / PUBLIC
    write_whole(path, (HEAD + "".join(f"{entry}\n" for entry in entries)).encode())
    path.chmod(0o644)  # whatever the umask: others may read it, and nobody else may write
