"""The keys of a network: one CURVE pair a process, in a folder of small text files.

    public.keys   who has which public key, a line each: ``h1 rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7``
    h1.secret     the other half, one file a name, for its owner's eyes only (0600)

A process needs public.keys and its own secret, no more. A key is bound to its name: whoever holds the key of h1 is
h1, and nobody else. A line that ends with ``revoked`` is kept so that the key is never taken up again. Processes
look at the file's time now and then, so that what is changed there is known to all within a second or two.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import zmq

from topology import exits
from topology.plan import BROKER, MONITOR, NAME, SOURCE

FOLDER = "keys"
PUBLIC = "public.keys"
REVOKED = "revoked"

_KEY = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")  # Z85, as ZeroMQ writes 32 bytes
_PROCESS = re.compile(rf"{NAME}(\.[0-9]{{1,5}})?")  # never a path


class KeysError(ValueError):
    """Keys cannot be used, or there are none; the message is one line for the user."""

    exit_code = exits.USAGE


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of public.keys."""

    name: str
    key: str
    revoked: bool = False

    def __str__(self) -> str:
        return f"{self.name} {self.key}" + (f" {REVOKED}" if self.revoked else "")


class Keyring:
    """The pair of one process, and everybody's public keys as they are now. `refresh` looks for changes.

    Args:
        folder: of the key files.
        name: whose secret is taken.

    Raises KeysError.

    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self._seen = _signature(folder)
        self._read()
        self.secret = read_secret(folder, name)
        self.public = zmq.curve_public(self.secret)
        if self.owner(self.public.decode()) != name:
            what = f"{secret_path(folder, name)} is not the secret of {name} in {folder / PUBLIC}"
            raise KeysError(f"{what}: copy both from where they were made, or make new ones: neurond keys init")

    def owner(self, key: str) -> str | None:
        """The name that a public key belongs to; None for one that is not accepted, or not any more."""
        return self._owners.get(key)

    def key_of(self, name: str) -> bytes | None:
        """The public key of a name; None if it has none."""
        return self._keys.get(name)

    def refresh(self) -> bool:
        """Read the public keys again if their file has changed; whether it has.

        Raises KeysError, once, for a file that cannot be used: the keys known so far are good until there are others.
        """
        seen = _signature(self.folder)
        if seen is None or seen == self._seen:
            return False
        self._seen = seen
        self._read()
        return True

    def _read(self) -> None:
        accepted = [entry for entry in read_public(self.folder) if not entry.revoked]
        self._owners = {entry.key: entry.name for entry in accepted}
        self._keys = {entry.name: entry.key.encode() for entry in accepted}


def of_process(name: str, endpoints: Iterable[str], folder: str | None, insecure: bool) -> Keyring | None:
    """The keys that a process needs for its endpoints; None where all are ipc, or `insecure` was said.

    Raises KeysError: an endpoint is tcp, and there are no keys that can be used.
    """
    tcp = next((endpoint for endpoint in endpoints if endpoint.startswith("tcp://")), None)
    if tcp is None or insecure:
        return None
    return Keyring(_folder(folder, tcp), name)


def of_client(broker: str, folder: str | None, insecure: bool, asks: bool = False) -> Keyring | None:
    """The keys of a client of the broker at an address: those of `monitor`.

    Who only `asks` how the run stands may do so with the only secret that is there, as a container that has its own
    alone. Raises KeysError.
    """
    if insecure or not broker.startswith("tcp://"):
        return None
    where = _folder(folder, broker)
    names = sorted(path.stem for path in where.glob("*.secret"))
    if MONITOR not in names and not (asks and len(names) == 1):
        what = f"no key for a client in {where}: {MONITOR}.secret is not there"
        raise KeysError(f"{what}; neurond keys init TOPOLOGY makes it, or copy it from where that was done")
    return Keyring(where, MONITOR if MONITOR in names else names[0])


def folder_of(given: str | None) -> Path:
    """The folder of the keys: the one that is named, else `keys` in the current directory."""
    return Path(given or FOLDER)


def secret_path(folder: Path, name: str) -> Path:
    """Where the secret of a name is."""
    return folder / f"{name}.secret"


def is_process_name(name: str) -> bool:
    """Whether it can be the name of a process, and so part of a file's name."""
    return _PROCESS.fullmatch(name) is not None


def names_of(processes: Iterable[str]) -> tuple[str, ...]:
    """Everybody in a network who needs a key; `processes` are its groups."""
    return (BROKER, SOURCE, *processes, MONITOR)


def check_folder(folder: Path) -> None:
    """Raise KeysError where others than its owner can put files into the folder of the keys, or take them out."""
    with contextlib.suppress(FileNotFoundError):  # of which whoever reads a file in it will tell
        loose = folder.stat().st_mode & 0o022
        if not loose:
            return
        raise KeysError(f"{folder} can be changed by others: chmod 700 {shlex.quote(str(folder))}")


def read_public(folder: Path) -> list[Entry]:
    """All lines of public.keys; KeysError if one is none, or if others than the owner can write there."""
    path = folder / PUBLIC
    check_folder(folder)
    entries: list[Entry] = []
    for number, line in enumerate(_read(path, 0o022, "be changed by others").splitlines(), 1):
        words = line.split()
        if not words or line.startswith("# "):
            continue
        if not 2 <= len(words) <= 3 or words[2:] not in ([], [REVOKED]) or not is_process_name(words[0]):
            raise KeysError(f"{path}:{number}: should be NAME KEY, as `neurond keys show` prints it")
        if not _KEY.fullmatch(words[1]):
            raise KeysError(f"{path}:{number}: the key of {words[0]} should be 40 characters of Z85")
        entries.append(Entry(words[0], words[1], len(words) == 3))
    if len({entry.key for entry in entries}) < len(entries):
        raise KeysError(f"{path}: one key stands there twice; a key belongs to one name")
    accepted = [entry.name for entry in entries if not entry.revoked]
    if len(set(accepted)) < len(accepted):
        raise KeysError(f"{path}: one name stands there twice; revoke one of its keys")
    return entries


def read_secret(folder: Path, name: str) -> bytes:
    """The secret key of a name; KeysError if it is none, or if others than its owner can read it."""
    path = secret_path(folder, name)
    key = _read(path, 0o077, "be read by others").strip()
    if not _KEY.fullmatch(key):
        raise KeysError(f"{path} is no secret key: it should be 40 characters of Z85")
    return key.encode()


def _folder(given: str | None, endpoint: str) -> Path:
    if not zmq.has("curve"):
        raise KeysError(f"{endpoint}: this libzmq has no CURVE; use ipc, or --insecure on a network that you trust")
    folder = folder_of(given)
    if not (folder / PUBLIC).exists():
        what = f"{endpoint} needs keys, and there are none in {folder}{os.sep}: neurond keys init TOPOLOGY"
        raise KeysError(f"{what} makes them (--keys DIR for others), or --insecure on a network that you trust")
    return folder


def _signature(folder: Path) -> tuple[int, int, int] | None:
    """What changes when public.keys does; None if it is not there."""
    try:
        seen = (folder / PUBLIC).stat()
    except OSError:
        return None
    return seen.st_mtime_ns, seen.st_size, seen.st_ino


def _read(path: Path, forbidden: int, could: str) -> str:
    """The text of a file that nobody but its owner can do more with than is allowed."""
    try:
        with path.open(encoding="ascii") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & forbidden:
                what = f"{path} can {could} (mode {mode:04o})"
                raise KeysError(f"{what}; chmod {mode & ~forbidden & 0o777:o} {path}")
            return file.read(1 << 20)
    except OSError as error:
        raise KeysError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise KeysError(f"{path} is no text of ours") from error
