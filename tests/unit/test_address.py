import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import ROOT
from tests.locked import locked
from topology import address

CHILD = """
import sys
from topology import address
lock = address.bind_lock(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


def test_ipc_names_a_folder() -> None:
    """The three endpoints of an ipc address are files in its folder, with or without the last slash."""
    for given in ("ipc:///run/x", "ipc:///run/x/"):
        assert address.control(given) == "ipc:///run/x/control"
        assert address.telemetry_in(given) == "ipc:///run/x/telemetry-in"
        assert address.telemetry_out(given) == "ipc:///run/x/telemetry-out"
        assert address.folder(given) == Path("/run/x")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("tcp://h:6000", ["tcp://h:6000", "tcp://h:6001", "tcp://h:6002"]),
        ("tcp://h", ["tcp://h:5570", "tcp://h:5571", "tcp://h:5572"]),
    ],
)
def test_tcp_names_three_ports(given: str, expected: list[str]) -> None:
    """A tcp address is the first of three ports in a row, 5570 if it names none."""
    assert [f(given) for f in (address.control, address.telemetry_in, address.telemetry_out)] == expected
    assert address.folder(given) is None


@pytest.mark.parametrize(
    "given",
    ["", "h:5570", "ipc://relative", "udp://h:1", "tcp://", "tcp://:5570", "tcp://h:x", "tcp://h:0",
     "tcp://h:65534", "tcp://h:-5", "tcp://[::1:5570", "tcp://h:٥"],
)  # fmt: skip
def test_no_address(given: str) -> None:
    """What is no address is refused with the forms that are."""
    with pytest.raises(address.AddressError, match=r"should be .*(tcp://HOST:PORT|ipc:///)"):
        address.control(given)


@pytest.mark.parametrize("given", ["tcp://[::1]:6000", "tcp://[::1]"])
def test_ipv6_is_refused_by_name(given: str) -> None:
    """No socket here speaks IPv6, and what the system says of it ("No such device") helps nobody."""
    with pytest.raises(address.AddressError, match="a name or an IPv4 address, for IPv6 is not spoken yet"):
        address.control(given)


def test_long_path(tmp_path: Path) -> None:
    """An ipc path that the system would refuse is refused before, with its length and what to do."""
    with pytest.raises(address.AddressError, match=r"ipc path too long .*; use a shorter folder or tcp"):
        address.in_folder(tmp_path / ("x" * 110), "control")


def test_lock_is_exclusive_and_leaves_nothing(scratch: Path) -> None:
    """An endpoint is bound once at a time; after its release nothing of it is left."""
    folder = address.make_folder()
    assert folder.stat().st_mode & 0o777 == 0o700
    endpoint = address.in_folder(folder, "control")
    with locked(endpoint), pytest.raises(address.AddressInUse, match="address in use: ipc://"):
        address.bind_lock(endpoint)
    assert not folder.exists()


def test_release_is_idempotent(scratch: Path) -> None:
    """A lock that is released twice does not take the next holder's files away."""
    endpoint = address.in_folder(scratch / "sockets", "control")
    first = address.bind_lock(endpoint)
    first.release()
    second = address.bind_lock(endpoint)
    first.release()
    with pytest.raises(address.AddressInUse):
        address.bind_lock(endpoint)
    second.release()


def test_folders_made_for_an_endpoint_go_with_it(scratch: Path) -> None:
    """A folder made because of an address, perhaps a mistyped one, goes when empty; one that was there stays."""
    there = scratch / "there"
    there.mkdir()
    for folder in (there / "run" / "mistyped", there):
        with locked(f"ipc://{folder}/control"):
            pass
        assert list(there.iterdir()) == []
    with locked(f"ipc://{there}/run/used/control"):
        (there / "run" / "precious").touch()
    assert [path.name for path in there.rglob("*")] == ["run", "precious"]
    (there / "run" / "precious").unlink()
    (there / "run").rmdir()
    there.rmdir()


def test_another_process_holds_it_until_it_is_killed(scratch: Path) -> None:
    """A live holder is respected across processes; what a killed one left behind is reclaimed."""
    endpoint = address.in_folder(scratch / "sockets", "control")
    holder = subprocess.Popen(
        [sys.executable, "-c", CHILD, endpoint], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(address.AddressInUse):
            address.bind_lock(endpoint)
        holder.kill()
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(endpoint.removeprefix("ipc://"))
    with locked(endpoint):
        assert not Path(endpoint.removeprefix("ipc://")).exists()
    (scratch / "sockets").rmdir()


def test_a_file_in_the_way(scratch: Path) -> None:
    """A file that is no socket is not removed to make room for one."""
    path = scratch / "control"
    path.write_text("precious")
    with pytest.raises(address.AddressError, match="is not a socket"):
        address.bind_lock(f"ipc://{path}")
    assert path.read_text() == "precious"
    path.unlink()


def test_folder_that_cannot_be(scratch: Path) -> None:
    """A folder that cannot be made is one clear line."""
    (scratch / "file").touch()
    with pytest.raises(address.AddressError, match=r"cannot use .*/file/sub for sockets"):
        address.bind_lock(f"ipc://{scratch}/file/sub/control")
    (scratch / "file").unlink()


def test_a_folder_that_was_left_is_swept(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a maker who was killed has left goes when the next one makes a folder; what lives, or is not ours, stays.

    A socket may be left in it, and the lock of a process that was killed too.
    """
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(scratch))
    code = (
        "import os, socket\nfrom topology import address\nfolder = address.make_folder()\n"
        "endpoint = address.in_folder(folder, 'control')\nlock = address.bind_lock(endpoint)\n"
        "socket.socket(socket.AF_UNIX).bind(endpoint.removeprefix('ipc://'))\n"
        "print(folder, flush=True)\nos.kill(os.getpid(), 9)\n"
    )
    kept = address.make_folder()
    (kept / "mine.lock").touch()
    foreign = scratch / "neurond-notes"
    foreign.mkdir()
    (foreign / "notes.txt").touch()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    left = Path(done.stdout.strip())
    assert sorted(path.name for path in left.iterdir()) == ["control", "control.lock"]
    new = address.make_folder()
    assert not left.exists()
    assert [path.name for path in (*kept.iterdir(), *foreign.iterdir())] == ["mine.lock", "notes.txt"]
    (kept / "mine.lock").unlink()
    for folder in (kept, new):
        address.remove_folder(folder)
    (foreign / "notes.txt").unlink()
    foreign.rmdir()


def test_make_folder_is_short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A socket folder is short whatever the temporary folder is called, and another's folder is not removed."""
    long = tmp_path / ("x" * 80)
    long.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    folder = address.make_folder()
    assert len(os.fspath(folder)) < 60
    address.remove_folder(folder)
    assert not folder.exists()
    address.remove_folder(long)
    assert long.exists()
