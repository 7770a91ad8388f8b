"""Surroundings that a run cannot start in, or only elsewhere: found out before a process is started."""

from __future__ import annotations

import resource
import stat
import subprocess
from pathlib import Path

import psutil
import pytest

import neurond
from monitor.view import View
from tests.command import NEUROND, environment
from tests.supervised import broker_address
from tests.waiting import DEADLINE_S
from topology import address


@pytest.mark.parametrize("kind", ["missing", "a file", "a program", "read-only"])
async def test_a_runtime_folder_that_cannot_be_used(
    tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The sockets go into a private folder of the temporary directory, with a word, and the run takes place."""
    runtime = Path("/proc") if kind == "read-only" else tmp_path / "runtime"
    if kind in ("a file", "a program"):
        runtime.touch(0o755 if kind == "a program" else 0o644)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    notes: list[str] = []
    folders: list[Path] = []

    def on_view(view: View) -> None:
        if not folders:
            (line,) = (line for p in psutil.Process().children() if "broker" in (line := p.cmdline()))
            folder = address.folder(broker_address(line))
            assert folder is not None
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            folders.append(folder)
            notes.extend(view.notes)

    run = await neurond.run_async("xor", {"source.epochs": 1}, run_dir=tmp_path / "run", on_view=on_view)
    assert run.summary["why"] == "finished"
    assert folders[0].parent == scratch
    assert notes == [f"XDG_RUNTIME_DIR={runtime} cannot hold sockets; they are in {folders[0]}"]


async def test_a_runtime_folder_that_can_be_used(
    tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is used, and there is nothing to say."""
    runtime = scratch / "runtime"
    runtime.mkdir(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    notes: list[str] = []
    held: list[Path] = []

    def on_view(view: View) -> None:
        notes.extend(view.notes)
        held.extend(runtime.iterdir())

    await neurond.run_async("xor", {"source.epochs": 1}, run_dir=tmp_path / "run", on_view=on_view)
    assert held
    assert notes == []
    runtime.rmdir()


def limited(folder: Path, open_files: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, run to its end in `folder` with so many open files allowed."""
    return subprocess.run(
        [*NEUROND, *arguments],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, open_files)),
    )


@pytest.mark.parametrize("allowed", [8, 24, 40])
def test_too_few_open_files(tmp_path: Path, allowed: int) -> None:
    """A limit on open files that the processes could not work under is one line and 1, before there is a folder."""
    done = limited(tmp_path, allowed, "run", "xor", "--run", "run")
    assert done.stderr == (
        f"neurond: a run of 3 processes needs 44 open files in each, and {allowed} are allowed; "
        "raise it with: ulimit -n 1024\n"
    )
    assert done.returncode == 1
    assert list(tmp_path.iterdir()) == []


def test_as_few_open_files_as_it_asks_for(tmp_path: Path) -> None:
    """With what the line asks for, the largest of the ready networks runs."""
    asked = 32 + 4 * 13
    done = limited(tmp_path, asked, "run", "deep", "--run", "run", "--set", "source.epochs=1")
    assert done.returncode == 0, done.stderr
