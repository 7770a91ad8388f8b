"""What every test gets: its own scratch folder, a check that it left nothing behind, and the real MNIST."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from weakref import WeakSet

import hypothesis
import psutil
import pytest
import zmq

LEAVE_S = 5.0
"""Seconds that a process of a test has to be gone after the test is over."""

# The profiles that judge a change are derandomized: it is never blamed for an example that it did not draw.
# New examples are looked for on purpose: make test ARGS="tests/property --hypothesis-profile=explore"
profile = hypothesis.settings.register_profile
profile("default", deadline=None, derandomize=True, max_examples=50, print_blob=True)
profile("ci", deadline=None, derandomize=True, max_examples=200, print_blob=True)
profile("explore", deadline=None, max_examples=2000, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder whose `mnist/` holds the four real MNIST files; the test is skipped where there is none."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("NEUROND_TEST_DATA", beside))
    if not (folder / "mnist" / "train-images-idx3-ubyte.gz").is_file():
        pytest.skip(f"no MNIST in {folder}/mnist: set NEUROND_TEST_DATA to the folder that holds mnist/")
    return folder


@pytest.fixture(scope="session")
def all_sockets() -> Iterator[WeakSet[zmq.Socket[Any]]]:
    """Every ZeroMQ socket that this process makes, for as long as it lives."""
    made: WeakSet[zmq.Socket[Any]] = WeakSet()
    plain = zmq.Socket.__init__

    def counted(self: zmq.Socket[Any], *args: Any, **kwargs: Any) -> None:
        plain(self, *args, **kwargs)
        made.add(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zmq.Socket, "__init__", counted)
        yield made


@pytest.fixture(scope="session", autouse=True)
def _test_folders(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Settles where pytest keeps `tmp_path`, before a test's own TMPDIR could decide it."""
    tmp_path_factory.getbasetemp()


@pytest.fixture(autouse=True)
def scratch(
    monkeypatch: pytest.MonkeyPatch, all_sockets: WeakSet[zmq.Socket[Any]], _test_folders: None
) -> Iterator[Path]:
    """The test's own TMPDIR, short enough for ipc paths; fails a test that leaves a process, file or socket.

    Processes are known by this TMPDIR in their environment, so orphans are found as well as children.
    The user's own settings of neurond do not reach the test.
    """
    folder = Path(tempfile.mkdtemp(prefix="nt-"))
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    for name in [n for n in os.environ if n.startswith("NEUROND_") and n != "NEUROND_TEST_DATA"]:
        monkeypatch.delenv(name)
    pids = set(psutil.pids())
    sockets = set(all_sockets)

    yield folder

    left = [f"process {pid}: {command}" for pid, command in _stragglers(folder, pids)]
    for socket in {s for s in all_sockets if not s.closed} - sockets:
        left.append(f"open socket: {socket!r}")
        socket.close(linger=0)
    left += [f"file: {path}" for path in sorted(folder.rglob("*"))]
    shutil.rmtree(folder)
    if left:
        pytest.fail("the test left behind:\n  " + "\n  ".join(left), pytrace=False)


def _stragglers(folder: Path, before: set[int]) -> list[tuple[int, str]]:
    """Numbers and commands of the test's processes that outlive it; they are killed once they are named."""
    end = time.monotonic() + LEAVE_S
    while (left := _processes(folder, before)) and time.monotonic() < end:
        time.sleep(0.02)
    named = []
    for process in left:
        with contextlib.suppress(psutil.Error):  # it left just now
            named.append((process.pid, " ".join(process.cmdline())))
            process.kill()
    return named


def _processes(folder: Path, before: set[int]) -> list[psutil.Process]:
    """Processes younger than `before` that carry the test's TMPDIR. A zombie has left, but for its number."""
    found = []
    for pid in set(psutil.pids()) - before:
        try:
            process = psutil.Process(pid)
            if process.environ().get("TMPDIR") == str(folder):
                found.append(process)
        except psutil.Error:
            continue
    return found
