"""The verb monitor: a run that goes on elsewhere, followed from a process of its own."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.byhand import DIGITS, by_hand
from tests.command import DEADLINE_S, DEAF, NEUROND, environment, neurond
from tests.endless import ENDLESS
from tests.ports import free_ports
from tests.waiting import until

WIDTH, HEIGHT = 100, 30  # of the terminal


@contextmanager
def monitor(folder: Path, at: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    """`neurond monitor` as a child process, its output in pipes."""
    command = [*NEUROND, "monitor", "--broker", at, *options]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=folder, env=environment(), text=True, **pipes) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            process.kill()


def test_a_run_from_before_its_broker_to_its_end(tmp_path: Path) -> None:
    """The monitor waits for a broker that is not there yet, shows the run in lines, and leaves with 0 at its end."""
    with by_hand(tmp_path) as network, monitor(tmp_path, network.address) as watching:
        assert watching.stderr is not None
        first = watching.stderr.readline()
        assert first == f"no word from the broker at {network.address}; waiting for it\n"
        network.start_broker()
        network.start_processes()
        said = watching.communicate(timeout=DEADLINE_S)[1]
        assert watching.returncode == 0, said
        assert set(network.wait().values()) == {0}
    assert said.startswith(f"the broker at {network.address} answers\n")
    assert "43,140/43,140 stimuli" in said
    assert "weight updates: " in said
    assert "test accuracy 9" in said


def test_rows(tmp_path: Path) -> None:
    """With --json each line is a row of figures, as in metrics.jsonl, up to the last one; nothing else is printed."""
    with by_hand(tmp_path) as network:
        network.start_broker()
        with monitor(tmp_path, network.address, "--json") as watching:
            network.start_processes()
            out, said = watching.communicate(timeout=DEADLINE_S)
            assert (watching.returncode, said) == (0, "")
            network.wait()
    rows = [json.loads(line) for line in out.splitlines()]
    counts = [row["stimuli"] for row in rows]
    assert len(rows) > 2
    assert counts == sorted(counts)
    last = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    assert {k: rows[-1][k] for k in ("stimuli", "updates", "bytes", "test_accuracy")} == {
        k: last[k] for k in ("stimuli", "updates", "bytes", "test_accuracy")
    }


def test_a_broker_that_starts_anew(tmp_path: Path) -> None:
    """A broker that is killed is told of; the one in its place is followed, to the end of the run."""
    with by_hand(tmp_path, ENDLESS) as network:
        network.start_broker()
        network.start_processes()
        with monitor(tmp_path, network.address) as watching:
            assert watching.stderr is not None
            assert "stimuli" in watching.stderr.readline()
            network.kill("broker")
            for line in watching.stderr:
                if line == f"no word from the broker at {network.address}; waiting for it\n":
                    break
            network.start_broker("--again")
            until(lambda: network.status().get("state") == "running", "all have registered again")
            for line in watching.stderr:
                if line == f"the broker at {network.address} answers\n":
                    break
            assert " stimuli  " in watching.stderr.readline()
            network.processes["broker"].send_signal(signal.SIGINT)
            said = watching.communicate(timeout=DEADLINE_S)[1]
            assert watching.returncode == 0, said
            assert "test accuracy 9" in said


def test_leaving_it(tmp_path: Path) -> None:
    """Ctrl-C leaves the monitor with 130 in a line; the run goes on."""
    with by_hand(tmp_path, ENDLESS) as network:
        network.start_broker()
        network.start_processes()
        with monitor(tmp_path, network.address) as watching:
            assert watching.stderr is not None
            watching.stderr.readline()
            watching.send_signal(signal.SIGINT)
            said = watching.communicate(timeout=DEADLINE_S)[1]
        assert watching.returncode == 130
        assert said.endswith("neurond: left; the run goes on\n")
        assert "Traceback" not in said
        # What a script puts in the background starts deaf to SIGINT.
        deaf = [*DEAF, *NEUROND, "monitor", "--broker", network.address]
        with subprocess.Popen(deaf, cwd=tmp_path, env=environment(), text=True, stderr=subprocess.PIPE) as watching:
            assert watching.stderr is not None
            watching.stderr.readline()
            watching.send_signal(signal.SIGINT)
            said = watching.communicate(timeout=DEADLINE_S)[1]
        assert (watching.returncode, said.splitlines()[-1]) == (130, "neurond: left; the run goes on")
        told = network.status()
        assert told["state"] == "running"
        assert all(one["alive"] for one in told["processes"].values())


def test_an_address_that_is_none(tmp_path: Path) -> None:
    """Wrong use is one line and 2, at once."""
    told = neurond(tmp_path, "monitor", "--broker", "nowhere")
    assert (told.returncode, told.stdout, len(told.stderr.splitlines())) == (2, "", 1)


@pytest.mark.parametrize("verb", [["monitor"], ["monitor", "--json"], ["metrics", "--listen", "127.0.0.1:0"]])
def test_who_is_refused_does_not_wait(tmp_path: Path, verb: list[str]) -> None:
    """A broker that lets nobody in without a key is no broker to wait for: one line, and 4."""
    at = f"tcp://127.0.0.1:{free_ports()}"
    assert neurond(tmp_path, "keys", "init", "xor").returncode == 0
    with subprocess.Popen([*NEUROND, "broker", "xor", "--address", at], cwd=tmp_path, env=environment()) as broker:
        until(lambda: neurond(tmp_path, "status", "--broker", at).returncode == 0, "the broker answers")
        told = neurond(tmp_path, *verb, "--broker", at, "--insecure")
        broker.terminate()
    assert told.returncode == 4
    *before, last = told.stderr.splitlines()
    assert last == f"neurond: the broker at {at} has keys and this process is --insecure, or the other way round"
    assert len(before) == (verb[0] == "metrics")  # which says first where it serves


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
def test_on_a_terminal(tmp_path: Path, scratch: Path) -> None:
    """On a terminal, tmux's here, it is the live display of `neurond run`: curves, a line a process, the end."""
    tmux = ["tmux", "-S", str(scratch / "tmux"), "-f", "/dev/null"]

    def screen() -> str:
        return subprocess.run([*tmux, "capture-pane", "-p"], capture_output=True, text=True, check=True).stdout

    def shown(*words: str) -> None:
        until(lambda: all(word in screen() for word in words), f"{words}")

    def running(seen: str) -> list[str]:
        rows = [line.split() for line in seen.splitlines()]
        return [row[0] for row in rows if row[1:2] == ["running"]]

    with by_hand(tmp_path, ENDLESS) as network:
        command = f"{shlex.join(NEUROND)} monitor --broker {network.address}; echo left with $?; sleep {DEADLINE_S}"
        size = ["-x", str(WIDTH), "-y", str(HEIGHT)]
        whole = environment() | {"TMPDIR": str(scratch)}
        subprocess.run([*tmux, "new-session", "-d", *size, command], cwd=tmp_path, env=whole, check=True)
        try:
            shown("no word from the broker")
            network.start_broker()
            network.start_processes()
            shown("digits", "stimuli/s", "saved: notifications", "accuracy")
            until(lambda: running(screen()) == [*DIGITS], "a line of each process")
            network.processes["broker"].send_signal(signal.SIGINT)
            shown("event-driven", "weight updates", "test accuracy", "left with 0")
        finally:
            subprocess.run([*tmux, "kill-server"], check=False)
            (scratch / "tmux").unlink(missing_ok=True)
