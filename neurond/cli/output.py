"""Data to stdout, words to stderr, and no complaint when nobody can read them any more."""

from __future__ import annotations

import errno
import json
import os
import shlex
import shutil
import sys
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

from neurond.errors import RunError
from neurond.unheard import UNHEARD

if TYPE_CHECKING:
    from rich.console import Console


GONE = (errno.EPIPE, errno.EIO)  # the reader of a pipe, a terminal


def out(text: str) -> None:
    """Data, and the end of a line, to stdout.

    A reader that has gone (`neurond expand digits | head -1`) has what it wanted: the command ends as it would have.
    Data that a full disk does not take is lost: OSError.
    """
    with _heard_or_not(sys.stdout, GONE):
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        sys.stdout.flush()


def out_json(data: Any) -> None:
    """One JSON value in one line to stdout."""
    out(json.dumps(data, allow_nan=False))


def say(text: str) -> None:
    """Words, and the end of a line, to stderr. Nobody reading them is no reason to stop, nor is a full disk."""
    with _heard_or_not(sys.stderr, UNHEARD):
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def suggest(command: str) -> None:
    """The command that people want next, as they can type it here: `neurond` may be in no folder of the PATH."""
    ours = command.startswith("neurond")
    say(f"next: {typed()}{command.removeprefix('neurond')}" if ours else f"next: {command}")


def missing(package: str) -> RunError:
    """That a library of an extra is not installed, and how to get it: wherever neurond itself came from."""
    python = Path(sys.executable)
    shown = shlex.quote(min(str(python), os.path.relpath(python), key=len))
    return RunError(f"{package} is not installed: {shown} -m pip install {package}")


def typed() -> str:
    """What the user types for `neurond`."""
    if shutil.which("neurond") is not None:
        return "neurond"
    script = Path(sys.executable).parent / "neurond"
    if not script.is_file():
        return f"{shlex.quote(sys.executable)} -m neurond"
    return shlex.quote(min(str(script), os.path.relpath(script), key=len))


def words() -> Console:
    """The rich console of stderr."""
    from rich.console import Console  # rich costs 60 ms, and most verbs print plain text

    return Console(file=cast("TextIO", _Hearable(sys.stderr)), highlight=False)


class _Hearable:
    """A stream for rich, which would end the process, and with it the training, when it takes no more words."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> None:
        with _heard_or_not(self._stream, UNHEARD):
            self._stream.write(text)

    def flush(self) -> None:
        with _heard_or_not(self._stream, UNHEARD):
            self._stream.flush()


@contextmanager
def _heard_or_not(stream: TextIO, fine: Container[int | None]) -> Iterator[None]:
    """Write to a stream that may fail: from then on it leads nowhere, so that nothing fails at exit either.

    Raises OSError with the stream's name unless the failure is `fine`.
    """
    try:
        yield
    except OSError as error:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
        if error.errno not in fine:
            raise OSError(error.errno, error.strerror, stream.name.strip("<>")) from error
