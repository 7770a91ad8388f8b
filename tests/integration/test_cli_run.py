"""`neurond run` as a user types it: real processes, real sockets, real exit codes."""

import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import psutil
import pytest

from tests.command import DEADLINE_S, NEUROND, environment, neurond
from tests.ports import free_ports
from tests.waiting import until
from topology.load import load as load_topology

pytestmark = pytest.mark.timeout(120)

RUN_DIGITS = [*NEUROND, "run", "digits"]


class Started:
    """A `neurond run` in progress."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.run = folder / "run"
        self.process = subprocess.Popen(
            [*RUN_DIGITS, *arguments, "--run", str(self.run)],
            cwd=folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def learning(self) -> list[psutil.Process]:
        """Wait until it learns; its processes."""
        until(lambda: self.process.poll() is not None or self._stimuli() > 0, "the first stimuli")
        assert self.process.poll() is None, self.process.communicate()
        return psutil.Process(self.process.pid).children(recursive=True)

    def _stimuli(self) -> int:
        metrics = self.run / "metrics.jsonl"
        rows = metrics.read_text().splitlines() if metrics.exists() else []
        return int(json.loads(rows[-1]).get("stimuli", 0)) if rows else 0

    def end(self) -> tuple[int, str, str]:
        """Wait for its end: exit code, stdout, stderr."""
        out, err = self.process.communicate(timeout=DEADLINE_S)
        return self.process.returncode, out, err


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Started]]:
    """Starts `neurond run digits`; whatever is left at the end of the test is killed."""
    started: list[Started] = []

    def start_one(*arguments: str) -> Started:
        started.append(Started(tmp_path, *arguments))
        return started[-1]

    yield start_one
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.communicate()


@pytest.mark.parametrize("verb", [["eval", "RUN"], ["predict", "RUN", "x.csv"], ["run", "--resume", "RUN"]])
@pytest.mark.parametrize("there", [True, False])
def test_what_is_no_run_folder(tmp_path: Path, verb: list[str], there: bool) -> None:
    """An empty folder, or none, is one line and 2."""
    if there:
        (tmp_path / "RUN").mkdir()
    done = neurond(tmp_path, *verb)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stderr.startswith("neurond: RUN ")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["run"], 2),
        (["run", "digits", "--until", "acc=0.9"], 2),
        (["run", "digits", "--for", "60"], 2),
        (["run", "digits", "--resume", "a", "--run", "b"], 2),
        (["run", "digit"], 3),
        (["run", "digits", "--set", "source.epochs=many"], 3),
        (["run", "mnist", "--data-dir", "."], 3),
        (["run", "digits", "--run", "full"], 1),
        (["run", "digits", "--run", "full/file"], 1),
    ],
)
def test_a_run_that_cannot_begin(tmp_path: Path, arguments: list[str], code: int) -> None:
    """What the user got wrong is one line and its exit code, and no run folder is made."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    done = neurond(tmp_path, *arguments, XDG_CACHE_HOME=str(tmp_path))
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "runs").exists()


def test_until_reached_ends_early(tmp_path: Path) -> None:
    """A goal that is reached ends the run before its epochs, with 0; `--quiet` leaves only the JSON."""
    done = neurond(tmp_path, "run", "digits", "--until", "acc>=0.5", "--json", "--quiet")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["test_accuracy"] >= 0.5
    assert summary["reached"] is True
    assert summary["epochs"] < 30
    assert done.stderr == ""


def test_until_missed_is_6(tmp_path: Path) -> None:
    """A goal that is not reached is 6 and one line; the run is there and its summary printed all the same."""
    done = neurond(tmp_path, "run", "xor", "--set", "source.epochs=1", "--until", "loss<=0.000001", "--json", "-q")
    assert done.returncode == 6, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    summary = json.loads(done.stdout)
    assert summary["reached"] is False
    assert (tmp_path / summary["run"] / "summary.json").is_file()


def test_for_ends_in_good_order(tmp_path: Path) -> None:
    """`--for` ends an endless run after its time, saved and evaluated, with 0."""
    done = neurond(tmp_path, "run", "digits", "--set", "source.epochs=5000", "--for", "500ms", "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert 0 < summary["epochs"] < 5000
    assert summary["test_accuracy"] is not None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_saves_and_leaves_nothing(start: Callable[..., Started], tmp_path: Path, number: int) -> None:
    """Ctrl-C or SIGTERM: drained, saved, 130; no process and no socket is left; and the run can go on."""
    started = start("--set", "source.epochs=5000", "--json")
    children = started.learning()
    sockets = {m[1] for c in children for m in re.finditer(r"ipc://(/\S+?)/(?:\s|$)", " ".join(c.cmdline()))}
    assert len(children) == 5
    assert len(sockets) == 1
    assert Path(*sockets).is_dir()
    started.process.send_signal(number)
    code, out, err = started.end()
    assert code == 130, err
    assert "Traceback" not in err
    assert f"--resume {started.run}" in err.strip().splitlines()[-1]
    assert json.loads(out)["why"] == "interrupted"
    until(lambda: not any(c.is_running() for c in children), "all processes gone")
    assert not Path(*sockets).exists()

    again = neurond(tmp_path, "run", "--resume", str(started.run), "--for", "300ms", "--json")
    assert again.returncode == 0, again.stderr
    before, after = json.loads(out), json.loads(again.stdout)
    assert after["run"] == str(started.run)
    assert after["stimuli"] > before["stimuli"] > 0
    assert after["epochs"] > before["epochs"]


def test_a_second_interrupt_leaves_at_once(start: Callable[..., Started]) -> None:
    """Ctrl-C twice: 130 as well, and still no process is left."""
    started = start("--set", "source.epochs=5000")
    children = started.learning()
    started.process.send_signal(signal.SIGINT)
    assert started.process.stderr is not None
    until(lambda: "once more" in (started.process.stderr.readline() or "once more"), "the answer to the first Ctrl-C")  # type: ignore[union-attr]
    started.process.send_signal(signal.SIGINT)
    code, _, err = started.end()
    assert code == 130
    assert err.splitlines()[-1] == "neurond: interrupted once more: left at once, and the run was not saved"
    assert "Traceback" not in err
    until(lambda: not any(c.is_running() for c in children), "all processes gone")


def interrupted(folder: Path, number: int, module: str) -> subprocess.CompletedProcess[str]:
    """`neurond run xor` that gets the signal at the very moment at which it imports `module`."""
    code = (
        "import os, sys\n"
        "def hook(event, args):\n"
        f"  if event == 'import' and args[0] == {module!r}: os.kill(os.getpid(), {int(number)})\n"
        "sys.addaudithook(hook)\n"
        "from neurond.cli.app import main\n"
        "main(['run', 'xor', '--set', 'source.epochs=100000', '--run', 'run'])"
    )
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("module", ["neurond.cli.verbs", "neurond.api"])
def test_interrupted_before_anything_is_started(tmp_path: Path, number: int, module: str) -> None:
    """While it is still being put together it leaves at once: 130, one line, nothing made."""
    done = interrupted(tmp_path, number, module)
    assert (done.returncode, done.stderr) == (130, "neurond: interrupted\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_while_it_starts(tmp_path: Path, number: int) -> None:
    """Before its processes are there it ends in good order as well."""
    done = interrupted(tmp_path, number, "neurond.supervise")
    assert done.returncode == 130, done.stderr
    assert done.stderr.splitlines()[-1].startswith("neurond: interrupted, ")
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["why"] == "interrupted"


def test_a_process_that_dies_is_named(start: Callable[..., Started]) -> None:
    """A group that is killed, and not to be started anew: 5, its name, and nothing left."""
    started = start("--set", "source.epochs=5000", "--restarts", "0")
    children = started.learning()
    victim = next(c for c in children if "h2" in c.cmdline())
    victim.kill()
    code, _, err = started.end()
    assert code == 5
    assert "'h2' was lost" in err
    assert "Traceback" not in err
    until(lambda: not any(c.is_running() for c in children), "all processes gone")


def test_on_a_terminal(tmp_path: Path) -> None:
    """On a terminal of 80 columns: the live display, then the table; nothing is wider than the terminal."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        arguments = [*RUN_DIGITS, "--set", "source.epochs=2", "--svg", "run.svg"]
        os.execve(sys.executable, arguments, environment() | {"TERM": "xterm", "NO_COLOR": "1"})
    termios.tcsetwinsize(terminal, (24, 80))
    text = b""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 1.0)[0]:
            try:
                text += os.read(terminal, 65536)
            except OSError:  # the terminal is closed when its last process has left
                break
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    shown = text.decode()
    assert os.waitstatus_to_exitcode(status) == 0, shown
    rows = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).replace("\r", "").split("\n")
    for part in ("stimuli/s", "notifications", "source", "h1", "h2", "out", "event-driven", "test accuracy"):
        assert any(part in row for row in rows)
    # Rows that are drawn over each other follow in one line of what was sent; only finished ones are judged.
    table = rows[next(i for i, row in enumerate(rows) if "event-driven" in row) :]
    assert all(len(row) <= 80 for row in table[:-2])
    picture = ElementTree.parse(tmp_path / "run.svg").getroot()
    assert "event-driven" in "".join(picture.itertext())


def test_a_broker_whose_port_is_taken(tmp_path: Path) -> None:
    """A broker that cannot listen is one line and 1, and makes no run folder."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        at = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        done = neurond(tmp_path, "broker", "xor", "--address", at, "--insecure")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [f"neurond: address in use: {at}"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("host", ["nohost.invalid", "192.0.2.1"])  # RFC 2606 and RFC 5737: nobody has them
def test_a_broker_at_an_address_of_no_machine(tmp_path: Path, host: str) -> None:
    """An address that is not this machine's is one line with one that is, and 2; no run folder is made."""
    done = neurond(tmp_path, "broker", "xor", "--address", f"tcp://{host}:6700", "--insecure")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"neurond: cannot bind tcp://{host}:6700: this machine has no such address; ")
    assert "tcp://127.0.0.1:PORT" in line
    assert list(tmp_path.iterdir()) == []


def test_processes_one_by_one(tmp_path: Path) -> None:
    """The broker, the source and each group started by hand over tcp with keys, by NEUROND_* alone, make a whole run.

    Its folder is that of `neurond run`, but for the logs, and the broker says the result.
    """
    (tmp_path / "short.yaml").write_text(neurond(tmp_path, "expand", "digits", "--set", "source.epochs=1").stdout)
    assert neurond(tmp_path, "keys", "init", "short.yaml").returncode == 0
    where = {"NEUROND_BROKER": f"tcp://127.0.0.1:{free_ports()}"}
    variables = {
        "broker": {"NEUROND_BIND": where["NEUROND_BROKER"], "NEUROND_TOPOLOGY": "short.yaml", "NEUROND_RUN": "run"},
        "source": where,
    }
    groups = list(load_topology("digits").groups)
    processes = []
    for verb in ("broker", "source", *["group"] * len(groups)):
        more = variables.get(verb) or where | {"NEUROND_NAME": groups.pop()}
        processes.append(
            subprocess.Popen(
                [*NEUROND, verb], cwd=tmp_path, env=environment() | more, stderr=subprocess.PIPE, text=True
            )
        )
    try:
        said = [p.communicate(timeout=DEADLINE_S)[1] for p in processes]
    finally:
        for p in processes:
            p.kill()
            p.wait()
    assert [p.returncode for p in processes] == [0] * len(processes), said
    assert neurond(tmp_path, "eval", "run").returncode == 0
    files = {path.name for path in (tmp_path / "run").iterdir()}
    wanted = "topology.yaml plan.json environment.json metrics.jsonl events.jsonl summary.json checkpoints"
    assert files == set(wanted.split())
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["why"] == "finished"
    assert (
        summary["stimuli"] == json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])["stimuli"]
    )
    assert f"test accuracy {summary['test_accuracy'] * 100:.2f} %" in said[0]
