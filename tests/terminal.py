"""A real terminal for tests, of any size: tmux, with a server of its own; skipped where there is none."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.command import environment
from tests.waiting import until


class Terminal:
    """A terminal that a command runs in. What the command leaves behind stays to be read, and its exit code."""

    def __init__(self, socket: Path) -> None:
        self._tmux = ["tmux", "-S", str(socket)]

    def start(self, folder: Path, command: Sequence[str], width: int, height: int, **more: str) -> None:
        """Start a command in `folder`, with more variables."""
        variables = [f"{key}={value}" for key, value in ({"LC_ALL": "C.UTF-8"} | more).items()]
        line = f'env {shlex.join(variables)} {shlex.join(command)}; echo "left with $?"; exec cat'
        size = ["-x", str(width), "-y", str(height)]
        self.tell("-u", "new-session", "-d", *size, "-c", str(folder), "sh", "-c", line)

    def tell(self, *words: str) -> str:
        """A command of tmux, and what it prints."""
        told = subprocess.run(
            [*self._tmux, *words], env=environment(), capture_output=True, text=True, check=True, timeout=10
        )
        return told.stdout

    def screen(self) -> str:
        """What is on the screen."""
        return self.tell("capture-pane", "-p")

    def press(self, *keys: str) -> None:
        """Type keys, by tmux's names of them."""
        self.tell("send-keys", *keys)

    def shows(self, words: str) -> str:
        """The screen, once it has these words on it."""
        return str(until(lambda: (told := self.screen()) and words in told and told, f"{words!r} on the screen"))


@contextmanager
def terminal(folder: Path) -> Iterator[Terminal]:
    """A terminal for the time of a test; whatever runs in it is ended."""
    if shutil.which("tmux") is None:
        pytest.skip("no tmux here")
    made = Terminal(folder / "tmux")
    try:
        yield made
    finally:
        subprocess.run(["tmux", "-S", str(folder / "tmux"), "kill-server"], capture_output=True, check=False)
