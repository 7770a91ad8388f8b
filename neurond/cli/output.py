"""Data to stdout, words to stderr, and no complaint when the reader of a pipe has gone."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from topology import exits

if TYPE_CHECKING:
    from rich.console import Console


class WrongUse(ValueError):  # noqa: N818 (a fact, and said so to the user)
    """The command was called in a way that cannot be meant; the message is one line for the user."""

    exit_code = exits.USAGE


def out(text: str) -> None:
    """Data, and the end of a line, to stdout.

    A reader that has gone (`neurond expand digits | head -1`) has what it wanted: the command ends, with 0.
    """
    try:
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        _to_nowhere(sys.stdout.fileno())
        raise SystemExit(exits.OK) from None


def out_json(data: Any) -> None:
    """One JSON value in one line to stdout."""
    out(json.dumps(data, allow_nan=False))


def say(text: str) -> None:
    """Words, and the end of a line, to stderr. Nobody reading them is no reason to stop."""
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except BrokenPipeError:
        _to_nowhere(sys.stderr.fileno())


def suggest(command: str) -> None:
    """The command that people want next."""
    say(f"next: {command}")


def words() -> Console:
    """The rich console of stderr."""
    from rich.console import Console  # rich costs 60 ms, and most verbs print plain text

    class Words(Console):
        def on_broken_pipe(self) -> None:
            """Fall silent; rich would end the process, and with it the training."""
            self.quiet = True
            _to_nowhere(sys.stderr.fileno())

    return Words(stderr=True, highlight=False)


def _to_nowhere(fd: int) -> None:
    """Point a broken pipe at /dev/null, so that what is still buffered can be flushed at exit."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, fd)
    os.close(null)
