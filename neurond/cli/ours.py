"""Processes of neurond's own on this machine, told by their command lines.

A number alone may be somebody else's by now.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

COMMAND = "neurond"
"""A program, or a module as the others."""
DAEMONS = ("neurond.daemon", "broker")
VERBS = ("broker", "source", "group")
"""Those of the command that are processes of a run; `monitor --broker ADDRESS` only watches one."""
PROC = Path("/proc")


def alive(pids: Iterable[int]) -> list[int]:
    """Which of these are alive, and neurond's."""
    wanted = set(pids)
    return [pid for pid, words in _commands() if pid in wanted and _is_ours(words)]


def of_broker(broker: str) -> dict[int, str]:
    """The processes of a run that were started with its broker's address, and the broker: number -> name."""
    found = {pid: _arguments(words) for pid, words in _commands() if broker in words}
    return {pid: name for pid, arguments in found.items() if (name := _name(arguments))}


def _is_ours(words: list[str]) -> bool:
    return bool(_arguments(words))


def _arguments(words: list[str]) -> list[str]:
    """What follows the interpreter, with the program or module as the first word; empty if it is not neurond's."""
    for at, (before, word) in enumerate(itertools.pairwise(["", *words[:8]])):
        if (before == "-m" and word in (COMMAND, *DAEMONS)) or (at < 2 and Path(word).name == COMMAND):
            return words[at:]
    return []


def _name(arguments: list[str]) -> str:
    """``h1`` of ``neurond.daemon group h1 --broker ...``; empty for what is no process of a run."""
    if not arguments or (arguments[0] not in DAEMONS and not set(arguments[1:2]) & set(VERBS)):
        return ""
    said = list(itertools.takewhile(lambda word: not word.startswith("--"), arguments))
    return "broker" if "broker" in said[:2] else said[-1]


def _commands() -> Iterator[tuple[int, list[str]]]:
    """The processes of this user that are alive, with their command lines; a zombie has none."""
    if not (PROC / "self" / "cmdline").exists():
        listed = ["ps", "-U", str(os.getuid()), "-o", "pid=,command="]  # macOS
        for line in subprocess.run(listed, capture_output=True, text=True, check=False).stdout.splitlines():
            number, *words = line.split()
            yield int(number), words
        return
    for path in PROC.iterdir():
        if path.name.isdigit():
            with contextlib.suppress(OSError):  # it left just now
                if path.stat().st_uid == os.getuid():
                    yield int(path.name), (path / "cmdline").read_bytes().decode(errors="replace").split("\0")
