"""The verbs record and replay: a real run, kept, and shown again by the verbs that show a run."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

from monitor.recording import Recording
from tests.byhand import by_hand
from tests.command import DEADLINE_S, DEAF, NEUROND, environment, neurond
from tests.ports import free_ports
from tests.terminal import terminal
from tests.waiting import until

SAME = ("stimuli", "updates", "notifications", "bytes", "spikes", "test_accuracy", "loss", "links", "staleness_mean")


@contextmanager
def child(folder: Path, *verb: str) -> Iterator[subprocess.Popen[str]]:
    """A verb as a child process, its output in pipes; one that records or plays is in the background."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    deaf = DEAF if verb[0] in ("record", "replay") else ()
    with subprocess.Popen([*deaf, *NEUROND, *verb], cwd=folder, env=environment(), text=True, **pipes) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def replay(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A replay that waits to be watched, and its address."""
    with child(folder, "replay", "run.recording", *options) as playing:
        assert playing.stdout is not None
        yield playing, playing.stdout.readline().strip()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the recording of a real run, made from before its broker to its end, and the run's folder."""
    folder = tmp_path_factory.mktemp("recorded")
    with (
        by_hand(folder, "source.epochs=20") as network,
        child(folder, "record", "run.recording", "--broker", network.address) as recording,
    ):
        assert recording.stderr is not None
        assert recording.stderr.readline().startswith("no word from the broker")
        network.start_broker()
        network.start_processes()
        out, said = recording.communicate(timeout=DEADLINE_S)
        network.wait()
    assert (recording.returncode, out) == (0, "run.recording\n"), said
    assert said.splitlines()[-1].endswith("replay run.recording")
    return folder


def test_a_replay_shows_what_the_run_had(recorded: Path) -> None:
    """Recorded and played at four times the speed, the monitor's last row is that of the run, with rate and time."""
    with replay(recorded, "--speed", "4") as (playing, at):
        told = neurond(recorded, "monitor", "--json", "--broker", at)
        assert (told.returncode, told.stderr) == (0, "")
        out, said = playing.communicate(timeout=DEADLINE_S)
        assert (playing.returncode, out) == (0, ""), said
    assert not Path(at.removeprefix("ipc://")).exists()
    rows = [json.loads(line) for line in told.stdout.splitlines()]
    last = json.loads((recorded / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    assert {k: rows[-1][k] for k in SAME} == {k: last[k] for k in SAME}
    assert rows[-1]["t_s"] == pytest.approx(last["t_s"], rel=0.3)
    assert rows[-1]["stimuli_per_s"] == pytest.approx(last["stimuli_per_s"], rel=0.3)
    assert {k: v["state"] for k, v in rows[-1]["processes"].items()} == dict.fromkeys(
        ("source", "h1", "h2", "out"), "finished"
    )


def test_a_replay_for_prometheus(recorded: Path) -> None:
    """What the verb metrics serves of a recording at its end is what the run had."""
    summary = json.loads((recorded / "run" / "summary.json").read_text())
    with (
        replay(recorded, "--speed", "4") as (playing, at),
        child(recorded, "metrics", "--broker", at, "--listen", "127.0.0.1:0") as serving,
    ):
        assert serving.stderr is not None
        place = serving.stderr.readline().split()[-1]
        out, said = playing.communicate(timeout=DEADLINE_S)
        assert (playing.returncode, out) == (0, ""), said
        with urlopen(place, timeout=DEADLINE_S) as answer:
            served = answer.read().decode()
    counted = dict(re.findall(r"^neurond_(\w+)_total\{.*process=\"source\".*\} (\S+)$", served, re.MULTILINE))
    assert float(counted["confirmed"]) == summary["stimuli"]
    assert re.search(r'^neurond_run_info\{name="digits",run="run",state="\w+"\} 1.0$', served, re.MULTILINE)


def test_a_replay_in_the_console(recorded: Path, tmp_path: Path) -> None:
    """The console says that it shows a recording, and what it had of the run stays when that is at its end."""
    with replay(recorded, "--speed", "8") as (playing, at), terminal(tmp_path) as shown:
        shown.start(tmp_path, [*NEUROND, "top", "--broker", at], 80, 24)
        assert "[replay 8x]" in shown.shows("h2")
        playing.communicate(timeout=DEADLINE_S)
        last = json.loads((recorded / "run" / "summary.json").read_text())
        assert f"{last['stimuli']:,}/" in shown.shows("recording ended")


def test_status_and_what_cannot_be(recorded: Path) -> None:
    """`status` answers from the recording while it waits to be watched, on tcp too; it leaves at Ctrl-C."""
    at = f"tcp://127.0.0.1:{free_ports()}"
    with replay(recorded, "--address", at, "--insecure") as (playing, where):
        assert where == at
        told = neurond(recorded, "status", "--insecure", "--broker", at)
        assert (told.returncode, told.stdout.startswith("digits is ")) == (0, True)
        # It begins where the recording does, with whoever had joined then.
        assert re.match(r"digits is (waiting|running), in a recording at 1x, . of 4 processes, ", told.stdout)
        for verb in (("get", "h1"), ("set", "h1", "lr=1"), ("pause",)):
            told = neurond(recorded, *verb, "--insecure", "--broker", at)
            said = f"neurond: cannot {verb[0]}: this is a recording, which is only played\n"
            assert (told.returncode, told.stderr) == (1, said)
        taken = neurond(recorded, "replay", "run.recording", "--address", at, "--insecure")
        assert (taken.returncode, taken.stderr.startswith("neurond: address in use: ")) == (1, True)
        playing.send_signal(signal.SIGINT)
        said = playing.communicate(timeout=DEADLINE_S)[1]
        assert (playing.returncode, said.splitlines()[-1]) == (0, "neurond: left")
    with replay(recorded) as (playing, at):
        told = neurond(recorded, "ps", "--broker", at, "--json")
        assert {(one["pid"], one["endpoint"]) for one in json.loads(told.stdout)} == {(None, None)}
        playing.send_signal(signal.SIGINT)
        playing.communicate(timeout=DEADLINE_S)


def test_a_recording_that_ends_before_the_run(recorded: Path, tmp_path: Path) -> None:
    """A torn recording is played as far as it goes, stands still then, and says at the end what is missing."""
    whole = (recorded / "run.recording").read_bytes()
    for end in range(len(whole) * 2 // 3, len(whole)):
        (tmp_path / "run.recording").write_bytes(whole[:end])
        with Recording(tmp_path / "run.recording") as cut:
            assert len(list(cut)) > 5
        if cut.torn:  # most often at once; it is not where a record happens to end
            break
    with replay(tmp_path, "--speed", "1000") as (playing, at), child(tmp_path, "monitor", "--broker", at) as watching:
        assert playing.stderr is not None
        for line in playing.stderr:
            if "ends here, before the run did" in line:
                break
        watching.send_signal(signal.SIGINT)
        watching.communicate(timeout=DEADLINE_S)
        playing.send_signal(signal.SIGINT)
        said = playing.communicate(timeout=DEADLINE_S)[1]
    assert "run.recording is cut off after" in said


def test_leaving_and_being_full(recorded: Path, tmp_path: Path) -> None:
    """Ctrl-C ends a recording, here of a replay, and so does its size; both are whole as far as they go."""
    shutil.copy(recorded / "run.recording", tmp_path)
    left = ["record", "left", "--broker"]
    with replay(tmp_path, "--speed", "0.2") as (playing, at), child(tmp_path, *left, at) as recording:
        until(lambda: (tmp_path / "left").exists() and (tmp_path / "left").stat().st_size > 1000, "some messages")
        listed = neurond(tmp_path, "ps", "--json")
        rows = [row for row in json.loads(listed.stdout) if row["pid"] == playing.pid]
        assert [(row["run"], row["state"], row["pids"]) for row in rows] == [(at, "replay", {})], listed.stdout
        told = neurond(tmp_path, "record", "full", "--most", "0.001", "--broker", at)
        assert (told.returncode, told.stdout) == (0, "full\n")
        assert told.stderr.startswith("neurond: full has its 0.001 MB; the run goes on\n")
        recording.send_signal(signal.SIGINT)
        out, said = recording.communicate(timeout=DEADLINE_S)
        assert (recording.returncode, out, said.splitlines()[0]) == (0, "left\n", "neurond: left; the run goes on")
        assert playing.poll() is None
        playing.send_signal(signal.SIGINT)
        playing.communicate(timeout=DEADLINE_S)
    for name in ("left", "full"):
        with Recording(tmp_path / name) as found:
            assert len(list(found)) > 2
            assert not found.torn
    assert (tmp_path / "full").stat().st_size <= 0.001 * 2**20


def test_wrong_use(tmp_path: Path) -> None:
    """What cannot be meant is one line and 2; a file that is none, or is there already, one line and 1."""
    (tmp_path / "there").write_text("x")
    for code, verb in (
        (2, ["replay", "there", "--speed", "0"]),
        (2, ["replay", "there", "--address", "tcp://127.0.0.1:5570"]),
        (1, ["replay", "there"]),
        (1, ["record", "there", "--insecure"]),
    ):
        told = neurond(tmp_path, *verb)
        assert (told.returncode, told.stdout, len(told.stderr.splitlines())) == (code, "", 1), verb
