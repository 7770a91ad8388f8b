"""The verbs that need no processes: what they print where, and the exit code they leave with."""

import errno
import json
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
from tests.command import NEUROND, environment
from topology.address import AddressInUse, BrokerUnreachable
from topology.load import load, loads, zoo
from topology.threads import BLAS
from topology.write import dump


class Said:
    """What a command left behind."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def neurond(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """The command line in this process, in an empty folder and without NEUROND_* variables."""
    for variable in [v for v in os.environ if v.startswith("NEUROND_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Said:
        with pytest.raises(SystemExit) as left:
            app.main(arguments)
        printed = capsys.readouterr()
        return Said(int(left.value.code or 0), printed.out, printed.err)

    return call


VERBS = [
    "run",
    "up",
    "down",
    "ps",
    "logs",
    "tap",
    "get",
    "set",
    "pause",
    "resume",
    "save",
    "restart",
    "kill",
    "eval",
    "predict",
    "init",
    "compose",
    "check",
    "expand",
    "graph",
    "schema",
    "doctor",
    "completion",
    "zoo",
    "data",
    "status",
    "broker",
    "source",
    "group",
]


def test_help_lists_every_verb(neurond) -> None:
    """`neurond --help` and `neurond` alone name every verb."""
    for arguments in (("--help",), ()):
        said = neurond(*arguments)
        assert said.code == 0
        for verb in VERBS:
            assert verb in said.out


@pytest.mark.parametrize("verb", [*VERBS, "data list", "data fetch", "data show"])
def test_help_of_every_verb_has_an_example(neurond, verb: str) -> None:
    """Each verb explains itself and shows how it is typed."""
    said = neurond(*verb.split(), "--help")
    assert said.code == 0
    if verb != "data":
        assert "Example: " in said.out
        assert f"neurond {verb}" in said.out


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("run", "--nonsense"),
        ("expand",),
        ("data", "nonsense"),
        ("group", "--nonsense"),
        ("group",),
        ("group", "source"),
        ("group", "h1", "--broker", "localhost"),
        ("source", "too", "many"),
        ("broker",),
        ("broker", "digits", "--address", "udp://localhost:1"),
        ("broker", "digits", "--resume", "a", "--run", "b"),
        ("completion", "tcsh"),
        ("down", "nothing"),
        ("logs",),
        ("ps", "--broker", "nowhere"),
        ("pause", "--broker", "tcp://127.0.0.1:1", "--run", "somewhere"),
        ("set", "h1", "lr", "0.05", "--broker", "tcp://127.0.0.1:1"),
        ("set", "h1", "lr=fast"),
        ("set", "h1"),
        *(("set", "h1", f"lr={number}") for number in ("1_000", "٣", "1e-400", "1e400", "nan", "inf", " 1", "0x1")),
        ("set", "", "lr=1"),
        ("down", ""),
        ("down", "x", "--within", ""),
        ("get", ""),
        ("logs", ""),
        ("logs", "--run", ""),
        ("ps", "--run="),
        ("status", "--broker", ""),
        ("tap", "h1"),
        ("up", "-d"),
        ("up",),
    ],
)
def test_wrong_use_is_one_line_and_2(neurond, arguments: tuple[str, ...]) -> None:
    """A command that cannot be meant leaves with 2 after one line on stderr."""
    said = neurond(*arguments)
    assert said.code == 2
    assert said.out == ""
    assert len(said.err.strip().splitlines()) == 1
    assert said.err.startswith("neurond")


def test_a_verb_that_is_none_gets_a_guess(neurond) -> None:
    """A misspelt verb is answered with the closest one."""
    said = neurond("pss")
    assert said.code == 2
    assert said.err == "neurond: No such command 'pss'. Did you mean 'ps'? Try 'neurond --help'.\n"


def test_expand_reads_back_equal(neurond) -> None:
    """What `expand` prints is a topology equal to what it was made from, overrides included."""
    said = neurond("expand", "digits", "--set", "source.epochs=3")
    assert said.code == 0
    assert said.err == ""
    assert dump(loads(said.out)) == dump(load("digits", ["source.epochs=3"]))
    assert loads(said.out).source.epochs == 3


def test_graph_draws_every_group(neurond) -> None:
    """Both pictures name every group, and only Mermaid begins as Mermaid does."""
    text, mermaid = neurond("graph", "digits").out, neurond("graph", "digits", "--mermaid").out
    assert mermaid.startswith("flowchart")
    assert not text.startswith("flowchart")
    for group in load("digits").groups:
        assert group in text
        assert group in mermaid


def test_zoo_lists_every_network(neurond) -> None:
    """Every network of the zoo is a line of at most 80 columns that says what it is, and the same as JSON."""
    said = neurond("zoo")
    assert [line.split()[0] for line in said.out.splitlines()] == list(zoo())
    assert all(len(line) <= 80 and line.endswith(".") for line in said.out.splitlines())
    assert "deep     12 groups  Twelve groups in a chain" in said.out
    found = {entry["name"]: entry for entry in json.loads(neurond("zoo", "--json").out)}
    assert found["xor"]["groups"] == {"hidden": 16, "out": 2}
    assert found["xor"]["data"] == "xor"
    assert found["xor"]["description"] == "The smallest problem that needs a hidden group."


def test_schema_is_json(neurond) -> None:
    """`schema` prints a JSON Schema."""
    assert json.loads(neurond("schema").out)["$schema"].startswith("https://json-schema.org/")


def test_check_says_fine_or_every_problem(neurond) -> None:
    """A good topology is fine and leads to the next command; a bad one gives its places and 3."""
    assert neurond("check", "digits").code == 0
    Path("a.yaml").write_text("neurond: 1\nname: a\nsource: {dta: digits}\n")
    Path("b.yaml").write_text("neurond: 2\n")
    said = neurond("check", "a.yaml", "b.yaml", "digits")
    assert said.code == 3
    assert "a.yaml:3:" in said.err
    assert "b.yaml:1:" in said.err
    assert "digits: fine" in said.err
    assert "next:" not in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    ("arguments", "warned"),
    [
        (["--set", "groups.out.neuron=relu"], "warning: --set groups.out.neuron: cross-entropy takes outputs for"),
        (["--set", "groups.out.neuron=sigmoid"], "those of 'sigmoid' stay between 0 and 1, did you mean 'linear'?"),
        (["--set", "groups.out.neuron=leaky_relu"], ""),
        (["--set", "groups.out.neuron=relu", "--set", "loss.kind=mse"], ""),
        (
            ["--set", "links.h1 -> h2.notify.cool=0.5", "--set", "defaults.group.optimizer.schedule=constant"],
            "the threshold follows the learning rate of 'h2', which is constant",
        ),
        (["--set", "loss.notify.cool=0.5"], ""),
        (["--set", "place.h1=box2"], "neurond run starts every process on this machine"),
        (["--set", "limits.h1.cpus=2"], "neurond run sets its processes no limits, `neurond compose` does"),
        ([], ""),
    ],
)
def test_check_warns_of_what_is_not_likely_meant(neurond, arguments: list[str], warned: str) -> None:
    """What can run but makes little sense is fine, with a warning that says where and what was meant."""
    said = neurond("check", "digits", *arguments)
    assert said.code == 0
    assert ("warning" in said.err) is bool(warned)
    assert warned in said.err
    assert "digits: fine" in said.err


def test_check_warns_at_the_group_that_took_the_default(neurond) -> None:
    """A readout without a word of its neuron is a relu; the warning names the group's line."""
    Path("a.yaml").write_text(
        "neurond: 1\nsource: {data: xor}\ngroups:\n  h: {size: 4}\n  out: {size: 2}\n"
        "loss: {reads: out}\nlinks: {source -> h: , h -> out: }\n"
    )
    assert neurond("check", "a.yaml").err.startswith("warning: a.yaml:5:3: groups.out.neuron: cross-entropy takes")


def test_check_wants_its_data(neurond) -> None:
    """A topology whose data is not here is not ready to run: one line says how to get it."""
    said = neurond("check", "mnist", "--data-dir", ".")
    assert said.code == 3
    assert "neurond data fetch mnist" in said.err
    assert len(said.err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        ([], "a.yaml:5:16: source.data: nowhere.csv: no such file"),
        (["--set", "source.data=npz:gone.npz"], "--set source.data: gone.npz: no such file"),
        (["--set", "source.data=digit"], "--set source.data: no data set 'digit'"),
    ],
)
def test_check_says_where_its_data_is_asked_for(neurond, arguments: list[str], place: str) -> None:
    """Data that cannot be used is told with the place of `source.data`, and the other files are checked as well."""
    text = neurond("expand", "digits").out
    Path("a.yaml").write_text(text.replace("source: {data: digits", "source: {data: 'csv:nowhere.csv'"))
    said = neurond("check", "a.yaml", *arguments)
    assert said.code == 3
    assert said.err.startswith(place)
    assert len(said.err.splitlines()) == 1
    assert "xor: fine" in neurond("check", "a.yaml", "xor").err


def test_init_writes_a_topology_that_checks(neurond) -> None:
    """What `init` writes is fine as it is; it never overwrites unless told to."""
    assert neurond("init").code == 0
    assert neurond("check", "topology.yaml").code == 0
    Path("topology.yaml").write_text("mine")
    said = neurond("init", "topology.yaml")
    assert said.code == 2
    assert "--force" in said.err
    assert Path("topology.yaml").read_text() == "mine"
    assert neurond("init", "topology.yaml", "--force").code == 0
    assert Path("topology.yaml").read_text() != "mine"


@pytest.mark.parametrize("file", ["7 odd näme!.yaml", "_.yaml", "x" * 90 + ".yaml"])
def test_init_names_the_network_whatever_the_file_is_called(neurond, file: str) -> None:
    """The file's name becomes a network name that is allowed."""
    assert neurond("init", file).code == 0
    assert neurond("check", file).code == 0


def test_init_where_it_cannot_write(neurond) -> None:
    """A folder that is not there is one line and 1."""
    said = neurond("init", "no/such/folder/t.yaml")
    assert said.code == 1
    assert said.err == "neurond: no/such/folder/t.yaml: No such file or directory\n"


def test_data_list_and_show(neurond) -> None:
    """What is built in is listed and shown, for people and as JSON."""
    assert {"digits", "xor", "mnist", "fashion-mnist"} <= {
        d["name"] for d in json.loads(neurond("data", "list", "--json").out)
    }
    assert "digits" in neurond("data", "list").out
    shown = json.loads(neurond("data", "show", "digits", "--json").out)
    assert shown["features"] == 64
    assert len(shown["classes"]) == 10
    assert sum(shown["classes"].values()) == shown["train"]
    assert "classes: 10" in neurond("data", "show", "digits").out


def test_data_alone_lists_its_verbs(neurond) -> None:
    """`neurond data` says what it can do, as `neurond` does."""
    said = neurond("data")
    assert said.code == 0
    assert all(f"\u2502 {verb} " in said.out for verb in ("list", "fetch", "show"))


def test_data_leads_on_with_what_was_given(neurond) -> None:
    """What is suggested next keeps the flags that were given, and can be used as it stands."""
    Path("it's $5.csv").write_text("kind,a\n" + "yes,1\nno,2\n" * 9)
    said = neurond("data", "show", "csv:it's $5.csv", "--label", "kind")
    assert said.err.endswith("source: {data: 'csv:it''s $$5.csv', label: 'kind'}\n")
    text = neurond("expand", "xor").out.replace("{data: xor", said.err.strip().split("source: ")[1][:-1])
    Path("t.yaml").write_text(text)
    assert neurond("check", "t.yaml").code == 0
    assert neurond("data", "show", "digits").err.endswith("source: {data: digits}\n")
    assert "neurond data fetch mnist --data-dir here (" in neurond("data", "list", "--data-dir", "here").out
    assert "`neurond data fetch mnist --data-dir here`" in neurond("data", "show", "mnist", "--data-dir", "here").err


@pytest.mark.parametrize(("high", "warned"), [(1, False), (1400, True)])
def test_data_show_warns_of_numbers_that_are_far_from_one(neurond, high: int, warned: bool) -> None:
    """A table is not scaled, so whoever looks at it is told where it will not train as it is."""
    Path("wine.csv").write_text("a,b,kind\n" + f"0.1,{high},x\n0.2,{-high},y\n" * 9)
    assert ("warning: numbers are taken as they are" in neurond("data", "show", "csv:wine.csv").err) is warned


def test_data_show_of_what_is_not_there(neurond) -> None:
    """No such data set, no such file: one line and 3."""
    for name in ("digit", "csv:nowhere.csv", "npz:nowhere.npz"):
        said = neurond("data", "show", name)
        assert said.code == 3
        assert len(said.err.strip().splitlines()) == 1


def test_data_show_regression(neurond) -> None:
    """Targets that are no classes are said to be regression."""
    Path("r.csv").write_text("a,b,y\n" + "\n".join(f"{i / 7},{i / 3},{i / 11}" for i in range(40)) + "\n")
    said = neurond("data", "show", "csv:r.csv", "--label", "y")
    assert said.code == 0
    assert "targets: 1 (regression)" in said.out


def test_doctor_finds_this_machine_fit(neurond) -> None:
    """Where these tests run, nothing is broken: sockets were really tried."""
    said = neurond("doctor", "--json")
    assert said.code == 0
    findings = {f["what"]: f for f in json.loads(said.out)}
    assert {"python", "packages", "zmq", "tcp", "cores", "runs", "data digits"} <= set(findings)
    assert all(f["state"] != "broken" for f in findings.values())


def test_doctor_finds_what_is_broken(neurond, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that is missing is named, and the exit code says that something is broken."""
    monkeypatch.setattr("neurond.cli.doctor.PACKAGES", ["numpy", "no-such-package"])
    said = neurond("doctor")
    assert said.code == 1
    assert "missing: no-such-package" in said.out
    assert "next:" not in said.err


def test_doctor_tells_of_threads(neurond, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the user has set for BLAS is said as the processes of a run will have it; without it all is well."""
    for name in BLAS:
        monkeypatch.delenv(name, raising=False)
    assert {"what": "BLAS", "state": "ok", "words": "one thread a process"} in json.loads(
        neurond("doctor", "--json").out
    )
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("MKL_NUM_THREADS", "1")
    (finding,) = (f for f in json.loads(neurond("doctor", "--json").out) if f["what"] == "BLAS")
    assert finding["state"] == "note"
    for name in BLAS:
        assert (f"{name}=3" in finding["words"]) is (name != "MKL_NUM_THREADS")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_completion_scripts(neurond, shell: str) -> None:
    """Each shell gets a script that calls `neurond` back."""
    said = neurond("completion", shell)
    assert said.code == 0
    assert "_NEUROND_COMPLETE" in said.out


def test_completion_completes() -> None:
    """Asked as bash asks, `neurond` completes a verb."""
    environment = os.environ | {"_NEUROND_COMPLETE": "complete_bash", "COMP_WORDS": "neurond expa", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "neurond"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.split() == ["expand"]


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


def run_python(*arguments: str, **keywords: object) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own."""
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=60, check=False, **keywords
    )  # type: ignore[call-overload]


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
    done = run_python("-S", "-m", "neurond", "--version", cwd=tmp_path, env=env)
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


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", ["csv", "npz"])
@pytest.mark.parametrize("linked", [True, False])
def test_data_that_is_no_regular_file(neurond, tmp_path: Path, kind: str, linked: bool) -> None:
    """A pipe that nobody writes to, or a device without an end, is one line and 3, not a wait for ever."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero")):
        if linked:
            (tmp_path / f"to-{path.name}").symlink_to(path)
            path = tmp_path / f"to-{path.name}"
        said = neurond("check", "digits", "--set", f"source.data={kind}:{path}")
        assert said.code == 3
        assert said.err.endswith(f"{path}: a pipe or a device, not a regular file; save what it gives as a file\n")
        assert len(said.err.splitlines()) == 1


@pytest.mark.timeout(60)
def test_a_topology_that_is_no_regular_file(neurond, tmp_path: Path) -> None:
    """Likewise; a link to a regular file is one."""
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "link.yaml").symlink_to("pipe.yaml")
    (tmp_path / "fine.yaml").symlink_to("real.yaml")
    (tmp_path / "real.yaml").write_text(dump(load("digits")))
    what = "is a pipe or a device, not a regular file"
    for name in ("pipe.yaml", "link.yaml", "/dev/zero"):
        said = neurond("check", name)
        assert (said.code, said.out) == (3, "")
        assert said.err.splitlines() == [f"{name}: {what}, save what it gives as a file"]
    assert neurond("check", "fine.yaml").code == 0


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


def test_ascii_terminal() -> None:
    """A terminal that knows only ASCII gets a drawing, not an error."""
    done = run_python("-m", "neurond", "graph", "digits", env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert "h1" in done.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["group", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    """Asking for help reads no YAML, validates nothing and opens no socket library; a daemon not even typer."""
    code = (
        "import sys\nfrom neurond.cli.app import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit:\n    pass\n"
        "print('IMPORTED', *sorted(m for m in sys.modules if '.' not in m))"
    )
    done = run_python("-c", code)
    imported = set(done.stdout.split("IMPORTED")[1].split())
    heavy = {"numpy", "zmq", "pydantic", "ruamel", "uvloop", "safetensors"}
    assert not imported & (heavy | ({"typer", "rich"} if arguments[0] == "group" else set()))


@pytest.mark.parametrize("rest", [b"", b"x\x9c", b"damaged"])
def test_a_replay_of_nothing(neurond, tmp_path: Path, rest: bytes) -> None:
    """A recording of which nothing can be played is a failure, and one word says so."""
    (tmp_path / "x").write_bytes(b"neurond recording 1\n" + rest)
    said = neurond("replay", "x")
    assert (said.code, said.out) == (1, "")
    assert said.err.splitlines()[-1] == "neurond: there is nothing in x that could be played"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("up", "nope", "-d"), 3, "neurond: 'nope': no such file or network, "),
        (("check", "nope"), 3, "neurond: 'nope': no such file or network, "),
        (("ps", "--run", "a\nb"), 1, "neurond: 'a\\nb' is no folder; "),
        (("report", "a\nb"), 1, "neurond: 'a\\nb' is no folder; "),
        (("down", "a\nb"), 2, "neurond: 'a\\nb' is not alive, "),
    ],
)
def test_what_is_not_there_is_one_line(neurond, arguments: tuple[str, ...], code: int, says: str) -> None:
    """A word that names nothing is said in one line that says who speaks, whatever is in the word."""
    said = neurond(*arguments)
    assert (said.code, said.out, len(said.err.splitlines())) == (code, "", 1)
    assert said.err.startswith(says)
