"""The command `neurond`: the one place where an exception becomes a line and an exit code.

Exit codes are those of `topology.exits`; exceptions that know theirs carry it as `exit_code`.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from neurond.cli.output import say
from topology import exits

DAEMONS = ("broker", "source", "group", "status")


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code; what went wrong is said in one line on stderr.

    Args:
        argv: the arguments without the program's name; those of this process if None.

    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if sys.stdout is None or sys.stderr is None:  # closed by the caller: there is nobody to tell
        nowhere = open(os.devnull, "w")  # noqa: SIM115, PTH123 - for as long as the process lasts
        sys.stdout, sys.stderr = sys.stdout or nowhere, sys.stderr or nowhere
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that knows only ASCII is no reason to fail
    try:
        _check(arguments)
        if arguments[:1] and arguments[0] in DAEMONS:
            from neurond.cli.daemons import daemon  # they do without typer: 65 ms and 8 MiB each

            code = daemon(arguments[0], arguments[1:])
        else:
            with _interruptible():
                from neurond.cli.verbs import verbs

                code = verbs()(args=arguments, prog_name="neurond", standalone_mode=False)
            if code == exits.INTERRUPTED:  # which typer makes of a KeyboardInterrupt, and no verb returns
                raise KeyboardInterrupt
    except SystemExit:
        raise
    except BaseException as error:
        if os.environ.get("NEUROND_DEBUG"):
            import traceback

            traceback.print_exc()
        line, code = explain(error)
        say(line)
    sys.exit(code if isinstance(code, int) else exits.OK)


def _check(arguments: Sequence[str]) -> None:
    """Refuse an empty word: it means nothing to any verb, and is what a variable that is not set leaves behind."""
    for before, word in itertools.pairwise(["neurond", *arguments]):
        if not word or (word.startswith("--") and word.endswith("=")):
            from neurond.errors import WrongUse

            raise WrongUse(f"an empty word after {word[:-1] or before}: is a variable not set?")


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM, and a terminal that is closed, interrupt a verb as Ctrl-C does, unless the caller cares (nohup)."""
    numbers = [n for name in ("SIGTERM", "SIGHUP") if (n := getattr(signal, name, None))]  # no SIGHUP on Windows
    if threading.current_thread() is not threading.main_thread():
        numbers = []  # only the main thread can have them
    ours = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def explain(error: BaseException) -> tuple[str, int]:
    """The words for the user, one line where one will do, and the exit code of an exception."""
    if isinstance(error, KeyboardInterrupt):
        return "neurond: interrupted", exits.INTERRUPTED
    if hasattr(error, "format_message"):  # a usage error of typer; the class has moved between its versions
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "neurond"
        message = str(error.format_message()).rstrip(".")
        stop = "" if message.endswith("?") else "."  # it may end with a guess
        return f"{command}: {message}{stop} Try '{command} --help'.", exits.USAGE
    from neurond.data.dataset import DataError  # late: brings NumPy, and only errors need it
    from topology.errors import TopologyError

    if isinstance(error, TopologyError) and error.problems[0].file.startswith("'"):  # no file, but a word
        return f"neurond: {error}", exits.INVALID
    if isinstance(error, TopologyError) or (isinstance(error, DataError) and error.placed):
        return str(error), exits.INVALID  # file:line:column in front, as editors like it
    if isinstance(error, DataError):
        return f"neurond: {error}", exits.INVALID
    code = getattr(error, "exit_code", None)
    if isinstance(code, int):
        return f"neurond: {error}", code
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"neurond: {where}{error.strerror or error}", exits.FAILED
    if isinstance(error, MemoryError) or str(error) == "can't start new thread":
        return f"neurond: the system refuses {_short_of(error)}", exits.FAILED
    first = (str(error).strip() or "no message").splitlines()[0]
    hint = "a fault of neurond's own; NEUROND_DEBUG=1 shows where"
    return f"neurond: {type(error).__name__}: {first} ({hint})", exits.FAILED


def _short_of(error: BaseException) -> str:
    """What the system has refused, and the limits that may be why."""
    what = "more memory" if isinstance(error, MemoryError) else "another thread"
    try:
        import resource
    except ImportError:  # Windows
        return what
    limits = [("-v", resource.RLIMIT_AS, 1024, " KiB of memory")]
    if not isinstance(error, MemoryError):
        limits.append(("-u", resource.RLIMIT_NPROC, 1, " processes and threads"))
    set_ = [
        f"ulimit {flag} allows {allowed // unit}{of}"
        for flag, number, unit, of in limits
        if (allowed := resource.getrlimit(number)[0]) != resource.RLIM_INFINITY
    ]
    return f"{what}: {' and '.join(set_) or 'the machine or its container has no more'}; allow more"
