"""How a command ends: one line and a code for whatever went wrong, and no complaint when nobody listens."""

import errno
import os
import resource
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer

from neurond.cli import app
from neurond.data.dataset import DataError
from neurond.errors import WrongUse
from tests.command import NEUROND, environment, python
from topology.address import AddressInUse, BrokerUnreachable


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (KeyboardInterrupt(), 130, "neurond: interrupted"),
        (WrongUse("say a or b"), 2, "neurond: say a or b"),
        (DataError("x.csv: line 3: 4 columns"), 3, "neurond: x.csv: line 3: 4 columns"),
        (BrokerUnreachable("nobody at tcp://x"), 4, "neurond: nobody at tcp://x"),
        (AddressInUse("taken"), 1, "neurond: taken"),
        (OSError(errno.ENOSPC, "No space left on device", "runs/x"), 1, "neurond: runs/x: No space left on device"),
        (ZeroDivisionError("a\nb"), 1, "neurond: ZeroDivisionError: a (a fault"),
        (AssertionError(), 1, "neurond: AssertionError: no message (a fault"),
    ],
)
def test_every_exception_is_one_line_and_a_code(error: BaseException, code: int, line: str) -> None:
    """The one place that turns exceptions into words gives each its exit code and a single line."""
    words, given = app.explain(error)
    assert given == code
    assert words.startswith(line)
    assert "\n" not in words


@pytest.mark.parametrize(
    ("error", "what"), [(RuntimeError("can't start new thread"), "another thread"), (MemoryError(), "more memory")]
)
def test_a_limit_of_the_system_is_named(error: BaseException, what: str) -> None:
    """What the system refuses is no fault of neurond's own: the limit that may be why is named, and how to see it."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (2**45, before[1]))
    try:
        words, code = app.explain(error)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    assert code == 1
    assert words.startswith(f"neurond: the system refuses {what}: ulimit -v allows {2**35} KiB of memory")
    assert words.endswith("; allow more")


def test_no_traceback_unless_asked(neurond, monkeypatch: pytest.MonkeyPatch) -> None:
    """A traceback is shown only with NEUROND_DEBUG."""
    assert "Traceback" not in neurond("check", "nowhere.yaml").err
    monkeypatch.setenv("NEUROND_DEBUG", "1")
    said = neurond("check", "nowhere.yaml")
    assert "Traceback" in said.err
    assert said.code == 3


def test_version_of_a_checkout(tmp_path: Path) -> None:
    """Where neurond is not installed, only its dependencies, the version is that of the source, and said to be."""
    root, checkout, packages = Path(app.__file__).parents[2], tmp_path / "checkout", tmp_path / "packages"
    for folder, names in (
        (checkout, [root / name for name in ("neurond", "topology", "broker", "monitor", "pyproject.toml")]),
        (packages, [p for p in Path(typer.__file__).parents[1].iterdir() if "neurond" not in p.name]),
    ):
        folder.mkdir()
        for path in names:
            (folder / path.name).symlink_to(path)
    env = os.environ | {"PYTHONPATH": f"{checkout}{os.pathsep}{packages}"}
    done = python("-S", "-m", "neurond", "--version", cwd=tmp_path, env=env)
    wanted = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    assert done.stdout == f"neurond {wanted} (not installed; run from {checkout})\n", done.stderr


def test_a_reader_that_goes_away_is_no_failure() -> None:
    """`neurond schema | head -1` is quiet and leaves with 0."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "neurond", "schema"],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(writer)
    assert done.stderr == ""
    assert done.returncode == 0


FULL_DISK = Path("/dev/full")
FULL = pytest.mark.skipif(not FULL_DISK.exists(), reason="no device that is always full here")


@FULL
@pytest.mark.parametrize("arguments", [["check", "digits"], ["zoo"], ["data", "list"], ["run", "xor", "--for", "1s"]])
def test_a_full_disk_under_the_words_is_no_failure(tmp_path: Path, arguments: list[str]) -> None:
    """`2>log` on a full disk costs the words, and nothing else: a run is saved as ever."""
    with FULL_DISK.open("w") as full:
        done = subprocess.run(
            [*NEUROND, *arguments],
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=full,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0
    assert bool(done.stdout) is (arguments[0] in ("zoo", "data"))
    assert len(list(tmp_path.glob("runs/*/summary.json"))) == (arguments[0] == "run")


@FULL
@pytest.mark.parametrize("arguments", [["expand", "digits"], ["zoo"], ["--version"]])
def test_a_full_disk_under_the_data_is_one_line(tmp_path: Path, arguments: list[str]) -> None:
    """Data that could not be written is said, with 1."""
    with FULL_DISK.open("w") as full:
        done = subprocess.run(
            [*NEUROND, *arguments],
            cwd=tmp_path,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.stderr == "neurond: stdout: No space left on device\n"
    assert done.returncode == 1


@pytest.mark.parametrize("rest", [b"", b"x\x9c", b"damaged"])
def test_a_replay_of_nothing(neurond, tmp_path: Path, rest: bytes) -> None:
    """A recording of which nothing can be played is a failure, and one word says so."""
    (tmp_path / "x").write_bytes(b"neurond recording 1\n" + rest)
    said = neurond("replay", "x")
    assert (said.code, said.out) == (1, "")
    assert said.err.splitlines()[-1] == "neurond: there is nothing in x that could be played"


@pytest.mark.parametrize(
    "arguments",
    [
        ("report", "bgg"),
        ("compare", "bgg", "bg"),
        ("eval", "bgg"),
        ("export", "bgg", "--tensorboard", "tb"),
        ("ps", "bgg"),
        ("set", "source", "window=2", "--run", "bgg"),
        ("logs", "--run", "bgg"),
        ("run", "--resume", "bgg"),
    ],
)
@pytest.mark.parametrize("place", [".", "kept"])
def test_a_run_that_is_none_gets_a_guess(
    neurond, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: tuple[str, ...], place: str
) -> None:
    """Whatever the verb, a run's name that is none is wrong use, and the one that was meant is named."""
    monkeypatch.setenv("NEUROND_RUNS", "kept")
    folder = tmp_path / place / "bg"
    folder.mkdir(parents=True)
    (folder / "plan.json").touch()
    said = neurond(*arguments)
    assert (said.code, said.out) == (2, "")
    assert said.err == f"neurond: bgg is no folder; did you mean '{Path(place, 'bg')}'?\n"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("up", "nope", "-d"), 3, "neurond: 'nope': no such file or network, "),
        (("check", "nope"), 3, "neurond: 'nope': no such file or network, "),
        (("ps", "--run", "a\nb"), 2, "neurond: 'a\\nb' is no folder; "),
        (("report", "a\nb"), 2, "neurond: 'a\\nb' is no folder; "),
        (("down", "a\nb"), 2, "neurond: 'a\\nb' is not alive, "),
    ],
)
def test_what_is_not_there_is_one_line(neurond, arguments: tuple[str, ...], code: int, says: str) -> None:
    """A word that names nothing is said in one line that says who speaks, whatever is in the word."""
    said = neurond(*arguments)
    assert (said.code, said.out, len(said.err.splitlines())) == (code, "", 1)
    assert said.err.startswith(says)
