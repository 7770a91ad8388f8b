"""Where the sockets of a run are: one broker address is given to everybody, the others follow from it.

``ipc:///run/user/1000/neurond-4f2a/`` names a folder: the broker's sockets are the files `control`,
`telemetry-in` and `telemetry-out` in it. ``tcp://host:5570`` names the first of three ports in a row.

ZeroMQ lets a second process bind an ipc file that is in use and silently steals it, so a bound ipc file has
a lock file beside it (`bind_lock`). The lock is the kernel's (flock): it goes away with its process, however
that dies, and what such a process left behind is cleared by the next one to bind.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from topology import exits

DEFAULT_PORT = 5570
DEFAULT = f"tcp://127.0.0.1:{DEFAULT_PORT}"
FOLDER_PREFIX = "neurond-"
"""A socket folder of this name was made by `make_folder`, and is removed with the last socket in it."""

IPC_PATH_MAX = 107 if sys.platform == "linux" else 103  # sun_path less its closing zero: libzmq refuses more
_PLANES = ("control", "telemetry-in", "telemetry-out")
_made: dict[Path, int] = {}  # folders that this process has made -> what they are locked by
_HOST = re.compile(r"[^\W_][\w.-]*|\*")  # containers have names with an underscore


class AddressError(ValueError):
    """An address that the user gave cannot be used; the message is one line for them."""

    exit_code = exits.USAGE


class AddressInUse(AddressError):  # noqa: N818 (a fact, and said so to the user)
    """Another live process is bound there."""

    exit_code = exits.FAILED


class BrokerUnreachable(ConnectionError):  # noqa: N818 (likewise)
    """Nobody answers at the broker's address."""

    exit_code = exits.UNREACHABLE


def is_endpoint(text: str) -> bool:
    """Whether a process could be reached there: ``ipc:///PATH`` or ``tcp://HOST:PORT``."""
    scheme, _, rest = text.partition("://")
    if scheme == "ipc":
        return rest.startswith("/") and "\0" not in rest and len(os.fsencode(rest)) <= IPC_PATH_MAX
    host, _, port = rest.rpartition(":")
    known = _HOST.fullmatch(host) is not None and host != "*"
    return scheme == "tcp" and known and port.isascii() and port.isdigit() and 0 < int(port) < 2**16


def unanswered(address: str) -> str:
    """What to say where nobody answers at a broker's address."""
    keys = ", with keys or without as you are" if address.startswith("tcp://") else ""
    return f"no broker answers at {address}; is it running{keys}?"


def control(address: str) -> str:
    """Endpoint of the broker's control ROUTER."""
    return _endpoint(address, 0)


def telemetry_in(address: str) -> str:
    """Endpoint of the broker's PULL that takes in telemetry."""
    return _endpoint(address, 1)


def telemetry_out(address: str) -> str:
    """Endpoint of the broker's XPUB that gives telemetry out."""
    return _endpoint(address, 2)


def of_folder(folder: Path) -> str:
    """The broker address whose sockets lie in `folder`."""
    return f"ipc://{folder.absolute()}/"


def in_folder(folder: Path, name: str) -> str:
    """Endpoint of the socket file `name` in `folder`; AddressError if its path is too long."""
    return _ipc(folder.absolute() / name)


def folder(address: str) -> Path | None:
    """The socket folder that an ipc address names; None for tcp."""
    return Path(address.removeprefix("ipc://")) if address.startswith("ipc://") else None


def make_folder() -> Path:
    """A new private (0700) and short folder for the sockets of one run.

    It is this process' until `remove_folder`, or until it dies: then the next one to make a folder removes it.
    """
    for left in _ours():
        if not in_use(left):
            _sweep(left)
    path = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir=_parent()))
    _made[path] = os.open(path, os.O_RDONLY)
    with suppress(OSError):  # a file system that cannot lock: then it may be taken for one that was left
        fcntl.flock(_made[path], fcntl.LOCK_EX | fcntl.LOCK_NB)
    return path


def folders() -> list[Path]:
    """The folders of this user's runs, made by `make_folder`, in which a process has a socket now.

    They are looked for where one would be made now, so XDG_RUNTIME_DIR and TMPDIR should be as they were then.
    """
    return [path for path in _ours() if in_use(path)]


def in_use(path: Path) -> bool:
    """Whether a living process holds a socket in a folder."""
    # Inboxes first: where they are held, the lock of a broker that is just being started anew is not touched.
    return any(_is_held(lock) for lock in sorted(path.glob("*.lock"), key=lambda lock: lock.stem in _PLANES))


def _ours() -> list[Path]:
    """All socket folders of this user, in use or left."""
    found: list[Path] = []
    with suppress(OSError, AddressError):  # no folder at all can be written to, so there are none
        for parent in dict.fromkeys((_parent(), tempfile.gettempdir())):
            found += sorted(Path(parent).glob(FOLDER_PREFIX + "*"))
    return [path for path in found if _is_ours(path)]


def _sweep(path: Path) -> None:
    """Remove a folder that was left, with its sockets and locks, unless whoever made it lives; and nothing else."""
    if _is_held(path):
        return
    with suppress(OSError):  # another process was faster
        for file in path.iterdir():
            if file.suffix == ".lock" or file.is_socket():
                file.unlink(missing_ok=True)
        path.rmdir()


def _parent() -> str:
    """The folder in which socket folders are made."""
    parents = [os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), "/tmp"]
    usable = [p for p in parents if p and os.access(p, os.W_OK | os.X_OK)]
    # Room for the longest socket name a run may have; /tmp is the short way out (macOS' own is 49 long).
    short = [p for p in usable if len(p) <= 40] or usable
    if not short:
        raise AddressError(f"no folder for sockets: cannot write to {', '.join(filter(None, parents))}")
    return short[0]


def _is_ours(path: Path) -> bool:
    found = _stat(path)
    return found is not None and stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()


def _is_held(lock: Path) -> bool:
    try:
        fd = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def remove_folder(path: Path) -> None:
    """Remove a folder that `make_folder` made, if no socket is left in it; leave any other folder alone."""
    if path.name.startswith(FOLDER_PREFIX):
        try:
            path.rmdir()
        except OSError:  # not empty yet, or another process was faster
            return
        finally:
            if path in _made and not path.exists():
                os.close(_made.pop(path))


def _endpoint(address: str, plane: int) -> str:
    scheme, separator, rest = address.partition("://")
    if scheme == "ipc" and rest.startswith("/"):
        return _ipc(Path(rest) / _PLANES[plane])
    if scheme == "tcp" and rest:
        return _tcp(address, rest, plane)
    what = (
        "a path from the root (ipc:///...)" if scheme == "ipc" and separator else "tcp://HOST:PORT or ipc:///FOLDER/"
    )
    raise AddressError(f"broker address {address!r}: should be {what}")


def _ipc(path: Path) -> str:
    length = len(os.fsencode(path))
    if length > IPC_PATH_MAX:
        raise AddressError(
            f"ipc path too long ({length} bytes, at most {IPC_PATH_MAX}): {path}; use a shorter folder or tcp"
        )
    return f"ipc://{path}"


def _tcp(address: str, rest: str, plane: int) -> str:
    if rest.startswith("["):  # [::1]:5570
        what = "should be tcp://HOST:PORT with a name or an IPv4 address, for IPv6 is not spoken yet"
        raise AddressError(f"broker address {address!r}: {what}")
    host, _, tail = rest.partition(":")
    port = int(tail) if tail.isascii() and tail.isdigit() else (DEFAULT_PORT if not tail else 0)
    last = 65535 - len(_PLANES) + 1
    if not _HOST.fullmatch(host) or not 1 <= port <= last:
        raise AddressError(f"broker address {address!r}: should be tcp://HOST:PORT with PORT from 1 to {last}")
    return f"tcp://{host}:{port + plane}"


class Lock:
    """The right to bind one endpoint, until `release` or the death of the process."""

    def __init__(self, path: Path | None, fd: int, made: Sequence[Path] = ()) -> None:
        self._path = path
        self._fd = fd
        self._made = made

    def release(self) -> None:
        """Remove the socket file and the lock file, and give the endpoint free. Idempotent.

        Folders that were made for them go too, if nothing else is in them: the address may have been mistyped.

        Close the socket and terminate its context first: libzmq unlinks an ipc file when its own thread gets
        to it, and that file must not be the next holder's.
        """
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            _lock_path(self._path).unlink(missing_ok=True)
            os.close(self._fd)
            remove_folder(self._path.parent)
            for folder in self._made:
                with suppress(OSError):  # something else is in it
                    folder.rmdir()
            self._path = None


def _lock_path(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


def bind_lock(endpoint: str) -> Lock:
    """Take the right to bind `endpoint`, before binding it; hold the lock for as long as it is bound.

    For tcp the kernel itself refuses a second bind, so the lock is empty. Raises AddressInUse if another live
    process holds the endpoint, AddressError if its folder cannot be used. A stale socket file is removed.
    """
    if not endpoint.startswith("ipc://"):
        return Lock(None, -1)
    path = Path(endpoint.removeprefix("ipc://"))
    _ipc(path)
    lock = _lock_path(path)
    made: list[Path] = []  # folders, the innermost first
    while True:
        try:
            made = [parent for parent in path.parents if not parent.exists()] or made
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise AddressError(f"cannot use {path.parent} for sockets: {error.strerror}") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held, named = os.fstat(fd), _stat(lock)
            if named is None or (held.st_dev, held.st_ino) != (named.st_dev, named.st_ino):
                os.close(fd)  # its last holder removed the file between our open and our lock: once more
                continue
            stale = _stat(path)
            if stale is not None and not stat.S_ISSOCK(stale.st_mode):
                lock.unlink(missing_ok=True)
                os.close(fd)
                raise AddressError(f"{path} is in the way: it is not a socket; use another folder")
            path.unlink(missing_ok=True)
            return Lock(path, fd, made)
        except BlockingIOError as error:
            os.close(fd)
            raise AddressInUse(f"address in use: {endpoint} is held by another process") from error


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except FileNotFoundError:
        return None
