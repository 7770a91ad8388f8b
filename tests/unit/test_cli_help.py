"""Help, guesses and completion: what the command line says of itself, and what it costs to ask."""

import os
import subprocess
import sys

import pytest

from tests.command import python

VERBS = [
    "run",
    "up",
    "down",
    "simulate",
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
    "experiment",
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


@pytest.mark.parametrize("word", ["rule=drop", "notify.h.adapt=link", "join=sum", "feedback=random"])
def test_what_the_topology_fixes_is_not_asked_for_as_a_number(neurond, word: str) -> None:
    """A key that no live process can change is refused as such, with the way to those that can be."""
    said = neurond("set", "h1", word)
    key = word.partition("=")[0]
    assert (said.code, said.out) == (2, "")
    what = f"neurond: h1 {key} cannot be changed while it runs: the topology fixes it"
    assert said.err == f"{what}; 'neurond get h1' prints what can be\n"


def test_a_verb_that_is_none_gets_a_guess(neurond) -> None:
    """A misspelt verb is answered with the closest one."""
    said = neurond("pss")
    assert said.code == 2
    assert said.err == "neurond: No such command 'pss'. Did you mean 'ps'? Try 'neurond --help'.\n"


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


@pytest.mark.parametrize("arguments", [["--help"], ["group", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    """Asking for help reads no YAML, validates nothing and opens no socket library; a daemon not even typer."""
    code = (
        "import sys\nfrom neurond.cli.app import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit:\n    pass\n"
        "print('IMPORTED', *sorted(m for m in sys.modules if '.' not in m))"
    )
    done = python("-c", code)
    imported = set(done.stdout.split("IMPORTED")[1].split())
    heavy = {"numpy", "zmq", "pydantic", "ruamel", "uvloop", "safetensors"}
    assert not imported & (heavy | ({"typer", "rich"} if arguments[0] == "group" else set()))
