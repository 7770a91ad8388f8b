"""`neurond up -d` and `down`: a run in the background, begun, and ended with nothing left of it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from monitor.recording import Recording
from tests.background import Background
from tests.command import DEADLINE_S, neurond
from tests.ports import free_ports
from tests.waiting import until
from topology.load import load


@pytest.fixture
def background(tmp_path: Path, scratch: Path) -> Iterator[Background]:
    """A run of digits in the background, found by no option."""
    run = Background(tmp_path, scratch)
    yield run
    run.end()


def test_up_returns_once_it_trains_and_down_leaves_nothing(background: Background) -> None:
    """A run in the background has a session of its own, trains, is listed, and is ended and saved by `down`."""
    assert os.getsid(background.supervisor.pid) == background.supervisor.pid
    row = background.row()
    assert (row["run"], row["network"], row["state"], row["processes"]) == ("run", "digits", "running", "4/4")
    assert (row["broker"], row["pid"]) == (background.told["broker"], background.told["pid"])
    assert {*row["pids"].values()} < {process.pid for process in background.processes}  # the broker is none of them
    assert row["stimuli"] > 0
    until(lambda: (background.row()["accuracy"] or 0.0) > 0.95, "it has learned")
    with background.following() as follower:
        said = background.verb("down").stderr
        rest = [json.loads(line) for line in follower.communicate(timeout=DEADLINE_S)[0].splitlines()]
        assert follower.returncode == 0
    assert {"process": "broker", "line": "broker: asked to stop"} in rest
    assert said.startswith("run has ended, ")
    assert "test accuracy 9" in said
    assert background.nothing_is_left()
    assert not {path.name for path in (background.folder / "run").iterdir()} & {"incarnations.json", "journal"}
    assert json.loads((background.folder / "run" / "summary.json").read_text())["stimuli"] >= row["stimuli"]
    assert background.verb("ps", "--json").stdout == "[]\n"
    assert "nothing to end" in background.verb("down").stderr
    assert background.verb("logs", code=2).stderr.startswith("neurond: no run of yours is alive on this machine; ")
    assert "broker     | broker: asked to stop\n" in background.verb("logs", "--run", "run").stdout


def test_down_kills_what_does_not_go(background: Background) -> None:
    """What stands still is killed when its time is up, which is said, with 1; nothing of it is left either."""
    for process in (background.supervisor, *background.processes):
        process.send_signal(signal.SIGSTOP)
    done = background.verb("down", "run", "--within", "1s", code=1)
    assert "killed its supervisor (pid " in done.stderr
    assert background.nothing_is_left()
    assert background.verb("ps", "--json").stdout == "[]\n"


def test_down_says_that_it_was_not_saved(background: Background) -> None:
    """A run that cannot be saved at its end has ended all the same, which is said, with 1."""
    (background.folder / "run" / "checkpoints").write_text("in the way")
    done = background.verb("down", "--json", code=1)
    assert json.loads(done.stdout) == {"run": "run", "saved": False, "killed": [], "left": []}
    assert done.stderr.startswith("neurond: run has ended, but was not saved; ")
    assert background.nothing_is_left()


def test_up_does_beside_the_run_what_run_does(tmp_path: Path, scratch: Path) -> None:
    """In the background it is seeded, recorded and served as well."""
    port = free_ports()
    run = Background(tmp_path, scratch, "--seed", "7", "--record", "told.recording", "--metrics", str(port))
    try:
        assert load(str(tmp_path / "run" / "topology.yaml")).seed == 7
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=DEADLINE_S) as answer:
            assert b"neurond_stimuli_total" in answer.read()
        run.verb("down")
    finally:
        run.end()
    with Recording(tmp_path / "told.recording") as told:
        assert sum(1 for _ in told) > 10
    assert told.torn == ""


def test_a_run_that_goes_on_is_not_resumed(background: Background) -> None:
    """What the living run learns is not taken for what a second one does, and its log is left alone."""
    log = background.folder / "run" / "logs" / "supervisor.log"
    before = log.read_bytes()
    assert "run is in use by another run" in background.verb("up", "-d", "--resume", "run", code=1).stderr
    assert log.read_bytes() == before
    background.verb("down")
    assert background.nothing_is_left()


def test_up_says_why_it_does_not_train(tmp_path: Path) -> None:
    """A run that does not begin leaves its own line and exit code, and no folder."""
    before = neurond(tmp_path, "up", "digits", "-d", "--run", "run", "--set", "groups.h1.size=many")
    assert before.returncode == 3
    (tmp_path / "data.csv").write_text("a,b\n1,2\n")
    after = neurond(tmp_path, "up", "digits", "-d", "--run", "run", "--set", "source.data=csv:none.csv")
    assert after.returncode == 3
    assert "none.csv" in after.stderr
    assert len(after.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["data.csv"]
    used = neurond(tmp_path, "up", "-d", "--resume", "run")
    assert used.returncode == 2
    assert "run is no folder" in used.stderr


def test_up_of_a_run_that_ends_at_once(tmp_path: Path) -> None:
    """A run that is over before anybody looked is said to be, and is complete."""
    done = neurond(tmp_path, "up", "xor", "-d", "--run", "run", "--for", "1s", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["run"] == "run"
    until((tmp_path / "run" / "summary.json").exists, "it has ended")
    until(lambda: not (tmp_path / "run" / "running.json").exists(), "nothing is left")
