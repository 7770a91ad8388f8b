"""Which runs are alive on this machine, and which of them a verb means."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from neurond import living, runs
from neurond.cli import attached
from neurond.cli.down import meant
from neurond.cli.processes import row_of
from neurond.errors import BrokerUnreachable, RunError, WrongUse
from tests.locked import locked
from tests.ports import free_ports
from topology import address

AT = "tcp://127.0.0.1:1"  # where nobody answers


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No broker of the user's, at the address for those that are started by hand, and an empty current folder."""
    port = free_ports()
    monkeypatch.setattr(address, "DEFAULT_PORT", port)
    monkeypatch.setattr(address, "DEFAULT", f"tcp://127.0.0.1:{port}")
    monkeypatch.chdir(tmp_path)


@contextmanager
def run_in(folder: Path, broker: str = AT) -> Iterator[Path]:
    """A run folder that somebody runs in."""
    folder.mkdir(parents=True)
    with runs.held(folder), living.announced(folder, broker):
        yield folder


@contextmanager
def sockets() -> Iterator[str]:
    """The address of a broker whose socket is bound, though it never answers."""
    at = address.of_folder(address.make_folder())
    with locked(address.control(at)):
        yield at


def test_a_run_is_announced_as_long_as_it_runs(tmp_path: Path) -> None:
    """The folder of a run says who runs in it and where its broker is, until it is over."""
    with run_in(tmp_path / "mine") as folder:
        assert living.running(folder) == living.Running(os.getpid(), AT)
    assert living.running(folder) is None
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "left",
    [
        "",
        "{",
        "[]",
        "{}",
        json.dumps({"pid": os.getpid(), "broker": AT, "more": 1}),
        '{"pid": 1, "broker": "nowhere"}',
        json.dumps({"pid": 10**30, "broker": AT}),
        '{"pid": 1e999, "broker": "tcp://127.0.0.1:1"}',
        200_000 * "[",
    ],
)
def test_what_is_no_word_of_a_run(tmp_path: Path, left: str) -> None:
    """A file that says nothing sensible is no run, even in a folder that is held."""
    with runs.held(tmp_path):
        (tmp_path / living.RUNNING).write_text(left)
        assert living.running(tmp_path) is None


def test_a_pipe_is_no_word_of_a_run(tmp_path: Path) -> None:
    """It is not waited for."""
    with runs.held(tmp_path):
        os.mkfifo(tmp_path / living.RUNNING)
        assert living.running(tmp_path) is None


def test_the_word_of_a_run_that_was_killed_is_not_believed(tmp_path: Path) -> None:
    """Who is killed leaves the file, but not the lock."""
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom neurond import living, runs\n"
        f"folder = Path({str(tmp_path)!r})\n"
        f"with runs.held(folder), living.announced(folder, {AT!r}):\n    print(flush=True)\n    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    ) as held:
        assert held.stdout is not None
        held.stdout.readline()
        assert living.running(tmp_path) == living.Running(held.pid, AT)
        held.kill()
    assert (tmp_path / living.RUNNING).exists()
    assert living.running(tmp_path) is None


def test_sockets_are_found_while_they_are_held(tmp_path: Path) -> None:
    """A run anywhere is found by its sockets, once; a folder in which nobody holds a socket is nobody's."""
    empty = address.make_folder()
    with sockets() as at, sockets() as known, run_in(tmp_path / "runs" / "mine", known) as folder:
        found = living.alive()
        assert [(one.broker, one.folder and one.folder.name) for one in found] == [(known, folder.name), (at, None)]
    assert living.alive() == []
    empty.rmdir()


def test_looking_takes_nothing(scratch: Path) -> None:
    """A lock that its holder has left can be taken after somebody has looked at it, and looking leaves it there."""
    folder = address.make_folder()
    (folder / "control.lock").touch()
    assert not address.in_use(folder)
    with locked(address.control(address.of_folder(folder))):
        assert address.in_use(folder)


def test_nowhere_to_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no folder can be written to, as in a container, nothing is alive; that is no error."""

    def nowhere(path: str, mode: int) -> bool:
        return False

    monkeypatch.setattr(os, "access", nowhere)
    assert living.alive() == []


def find(broker: str | None = None, run: Path | None = None) -> str:
    """Where a verb with these options asks."""
    return attached.find(broker, run, None, insecure=False)


def test_what_is_named_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--broker or --run come before the variable, and that before what is alive; both options exclude each other."""
    monkeypatch.setenv("NEUROND_BROKER", "tcp://there:7000")
    with run_in(tmp_path / "elsewhere" / "mine") as folder, sockets() as at:
        assert find() == "tcp://there:7000"
        assert find("tcp://box:6000") == "tcp://box:6000"
        assert find(run=folder) == AT
        with pytest.raises(WrongUse, match="leave one of them out"):
            find("tcp://box:6000", folder)
        monkeypatch.delenv("NEUROND_BROKER")
        assert find() == at


def test_the_only_one_alive_is_meant_and_none_of_several() -> None:
    """One that is alive is found; of two none is guessed, both are named."""
    with sockets() as one:
        assert find() == one
        with sockets() as other, pytest.raises(WrongUse, match="2 runs are alive: ") as told:
            find()
        assert one in str(told.value)
        assert other in str(told.value)
        assert find() == one


def test_nothing_is_alive() -> None:
    """Where nothing is alive that is said, unless the verb waits for a broker at the address for those by hand."""
    with pytest.raises(BrokerUnreachable, match="no run of yours is alive on this machine"):
        find()
    assert attached.find(None, None, None, insecure=False, waits=True) == address.DEFAULT


def test_a_folder_in_which_nobody_runs(tmp_path: Path) -> None:
    """A folder that is no run's is said to be none."""
    with pytest.raises(RunError, match="not a run folder"):
        find(run=tmp_path)


def test_words_that_are_not_known_get_a_guess() -> None:
    """The closest known word, or all of them where none is close."""
    assert attached.checked("h1", ["h1"], "process") == "h1"
    with pytest.raises(WrongUse, match="no setting 'threshhold'; did you mean 'threshold'"):
        attached.checked("threshhold", ["lr", "threshold"], "setting")
    with pytest.raises(WrongUse, match="no process 'x'; known: h1, source"):
        attached.checked("x", ["h1", "source"], "process")


def test_a_replay_is_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recording that is played is not meant, nor ended, where a run is; nor taken for the run it was made of."""
    told = {"run": "digits", "run_dir": str(tmp_path / "mine"), "processes": {}, "state": "running"}
    played = {**told, "replay": {"speed": 1.0, "pid": 4711}}

    async def ask_all(found: Iterable[living.Alive], *_: object) -> list[attached.Asked]:
        return [attached.Asked(one, told if one.folder else played) for one in found]

    monkeypatch.setattr(attached, "ask_all", ask_all)
    with sockets() as at:
        with run_in(tmp_path / "runs" / "mine"):
            assert find() == AT
            run, replay = attached.everywhere(None, insecure=False)
            assert meant(None, [replay, run]) is run
            assert replay.folder is None
            assert replay.called == at
            with pytest.raises(WrongUse, match="is a replay, not a run: kill -INT 4711 ends it"):
                meant(at, [replay, run])
        assert meant(None, attached.everywhere(None, insecure=False)) is None
        with sockets(), pytest.raises(WrongUse, match="2 replays are alive"):
            find()
        row = row_of(replay, None)
        assert (row["run"], row["state"], row["pid"], row["pids"]) == (at, "replay", 4711, {})
