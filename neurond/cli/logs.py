"""The verb logs: what the processes of a run have said."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from neurond.cli.attached import BROKER_VARIABLE, again, ask_all, checked, everywhere, find, named, several, shown
from neurond.cli.output import out, out_json, suggest
from neurond.cli.which import AnyProcess, Broker, Insecure, Keys
from neurond.errors import BrokerUnreachable, Interrupted, RunError, WrongUse
from topology import address

LINES = 20
LOOK_S = 0.1  # between two looks at files that grow
BLOCK = 65_536  # bytes read at once


def logs(
    process: AnyProcess = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on printing until the run has ended.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, metavar="N", help="The last N of each.")] = LINES,
    broker: Broker = None,
    run: Annotated[
        str | None,
        typer.Option(
            "--run",
            metavar="RUN",
            help="Its folder; of one that is alive also the name of that, or its broker's address.",
        ),
    ] = None,
    keys: Keys = None,
    insecure: Insecure = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Print what the processes of a run have said, also of one that is over."""
    folder = _folder(broker, run, keys, insecure)
    names = _names(folder)
    if process:
        checked(process, names, "log of a process")
        names = [process]
    tails = [_Tail(name, _log(folder, name)) for name in names]
    wide = 0 if process else max(map(len, names))
    for tail in tails:
        for line in tail.last(lines):
            _print(tail.name, line, wide, as_json)
    if follow:
        _follow(folder, tails, wide, as_json)
    elif not as_json:
        suggest(again(f"logs {f'{process} ' if process else ''}--follow", broker, run))


class _Tail:
    """A log that grows, and may begin only later."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self._path = path
        self._at = 0  # bytes that were read
        self._rest = b""  # of a line that has not ended

    def last(self, n: int) -> list[str]:
        """The last lines so far; what follows comes from `new`."""
        lines = list(self.new())
        return lines[max(0, len(lines) - n) :]

    def new(self) -> Iterator[str]:
        """The lines that have ended since."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._at)
                while block := file.read(BLOCK):
                    self._at += len(block)
                    *whole, self._rest = (self._rest + block).split(b"\n")
                    yield from (line.decode(errors="replace") for line in whole)
        except FileNotFoundError:
            return

    def end(self) -> Iterator[str]:
        """The last line, if it never ended."""
        if self._rest:
            yield self._rest.decode(errors="replace")


def _follow(folder: Path, tails: list[_Tail], wide: int, as_json: bool) -> None:
    from neurond.runs import is_held

    try:
        going = True
        while going:
            going = is_held(folder)  # before the last look: what is said after it is not missed
            for tail in tails:
                for line in tail.new():
                    _print(tail.name, line, wide, as_json)
            time.sleep(LOOK_S if going else 0)
        for tail in tails:
            for line in tail.end():
                _print(tail.name, line, wide, as_json)
    except KeyboardInterrupt:
        raise Interrupted("left; the run goes on") from None


def _folder(broker: str | None, run: str | None, keys: str | None, insecure: bool) -> Path:
    """The run folder that is meant; RunError or WrongUse if there is none, or if there are several."""
    from neurond import runs
    from neurond.living import Alive

    if broker is not None or (run is None and os.environ.get(BROKER_VARIABLE)):
        at = find(broker, run, keys, insecure)
        (one,) = asyncio.run(ask_all([Alive(at)], keys, insecure))
        if one.status is None:
            raise BrokerUnreachable(address.unanswered(at))
        if one.folder is None:
            raise RunError(f"a recording is played at {at}: its processes say nothing any more")
        runs.open_run(one.folder)  # raises what is wrong with it
        return one.folder
    if run is not None:
        known = None if Path(run).is_dir() else named(run, everywhere(keys, insecure))
        folder = Path(run) if known is None or known.folder is None else known.folder
        runs.open_run(folder)  # raises what is wrong with it
        return folder
    found = [one.folder for one in everywhere(keys, insecure) if one.folder is not None and one.folder.is_dir()]
    if len(found) == 1:
        return found[0]
    if found:
        raise several([*map(shown, found)], " with --run RUN or --broker ADDRESS")
    past = sorted(path.parent for path in runs.parent().glob("*/plan.json"))
    hint = f"the newest that is over: --run {past[-1]}" if past else f"there is none in {runs.parent()} either"
    raise WrongUse(f"no run of yours is alive on this machine; {hint}")


def _names(folder: Path) -> list[str]:
    """Whoever has a log, in the order of the plan; RunError if nobody has."""
    from neurond.runs import LOGS, open_run
    from topology.plan import BROKER

    names = [BROKER, *open_run(folder).plan.processes]
    there = {path.stem for path in (folder / LOGS).glob("*.log")}
    found = [name for name in names if name in there] + sorted(there - set(names))
    if not found:
        what = "its processes were started one by one, and speak where they were started"
        raise RunError(f"{folder} holds no logs: {what}")
    return found


def _log(folder: Path, name: str) -> Path:
    from neurond.runs import LOGS

    return folder / LOGS / f"{name}.log"


def _print(name: str, line: str, wide: int, as_json: bool) -> None:
    if as_json:
        out_json({"process": name, "line": line})
    else:
        out(f"{name:<{wide}} | {line}" if wide else line)
