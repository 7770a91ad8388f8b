"""The verb up: a run in the background."""

from __future__ import annotations

import contextlib
import json
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from neurond.cli.attached import shown
from neurond.cli.output import out, out_json, say, suggest
from neurond.cli.run import run
from neurond.cli.start import Anew, For, Metrics, Network, Record, Resume, RunDir, Seed, Until, check_start, with_seed
from neurond.cli.topologies import DataDir, Set
from neurond.errors import WrongUse
from neurond.until import RESTARTS
from topology import exits

LOOK_S = 0.05
WORDS = 12  # last lines of the log that are shown where it does not train
LOG = "supervisor.log"


def up(
    file: Network = None,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="In the background; without it, this is `run`.")
    ] = False,
    until: Until = None,
    for_: For = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print where it runs as one JSON object.")] = False,
    resume: Resume = None,
    set_: Set = None,
    data_dir: DataDir = None,
    run_dir: RunDir = None,
    restarts: Anew = RESTARTS,
    seed: Seed = None,
    metrics: Metrics = None,
    record: Record = None,
) -> None:
    """Start a run; with --detach in the background, and return once it trains, or say why it does not."""
    set_ = with_seed(set_, seed)
    if not detach:
        run(
            file=file,
            until=until,
            for_=for_,
            as_json=as_json,
            resume=resume,
            set_=set_,
            data_dir=data_dir,
            run_dir=run_dir,
            restarts=restarts,
            metrics=metrics,
            record=record,
        )
        return
    check_start(file, resume)
    folder = _folder(file, set_, resume, run_dir)
    more = [*([] if file is None else [file]), "--restarts", str(restarts)]
    more += [word for setting in set_ for word in ("--set", setting)]
    options = {"--until": until, "--for": for_, "--data-dir": data_dir, "--metrics": metrics, "--record": record}
    more += [word for option, value in options.items() if value is not None for word in (option, str(value))]
    where = ["--run", str(folder)] if resume is None else ["--resume", str(resume)]
    begun = _Begun(folder, ["run", *more, *where], new=resume is None)
    try:
        code = begun.wait()
    except KeyboardInterrupt:
        begun.interrupt()
        if resume is None:
            begun.clear()
        raise
    if code is not None:
        for line in begun.said():
            say(line)
        if resume is None:
            begun.clear()
        if code:
            raise typer.Exit(code if code > 0 else exits.FAILED)
    _tell(folder, begun.pid, as_json)


def _tell(folder: Path, pid: int, as_json: bool) -> None:
    """Say where it runs, or that it has ended already."""
    from neurond.living import running

    at = running(folder)
    broker = None if at is None else at.broker
    run = shlex.quote(shown(folder))
    if as_json:
        out_json({"run": shown(folder), "broker": broker, "pid": None if broker is None else pid})
        return
    out(shown(folder))
    if broker is None:
        say("it has come to its end already")
        suggest(f"neurond eval {run}")
        return
    out(broker)
    for next_ in (f"neurond top --run {run}", f"neurond logs --follow --run {run}", f"neurond down {run}"):
        suggest(next_)


def _folder(file: str | None, settings: list[str], resume: Path | None, run_dir: Path | None) -> Path:
    """The run folder, new unless a run is resumed. Raises what `run` would of a topology that is none."""
    from neurond.api import topology_of
    from neurond.runs import create, held, open_run

    if resume is not None:
        if run_dir is not None:
            raise WrongUse(f"a resumed run goes on in its own folder, {resume}; leave out --run")
        path = open_run(resume).path
        with held(path):  # or the rows of whoever runs there would be taken for those of ours
            return path
    topology = topology_of(file, settings, resume)
    assert topology is not None  # for a file was named
    return create(topology.name, run_dir)


class _Begun:
    """A `neurond run` in a session of its own, which says all that it has to say into its folder.

    Args:
        folder: of the run.
        arguments: of `neurond`.
        new: it begins with the first stimulus.

    """

    def __init__(self, folder: Path, arguments: list[str], *, new: bool) -> None:
        from neurond.launch import variables
        from neurond.runs import LOGS

        self._folder, self._new = folder, new
        self._log = folder / LOGS / LOG
        self._log.parent.mkdir(exist_ok=True)
        self._metrics = folder / "metrics.jsonl"
        self._rows_from, self._log_from = _size(self._metrics), _size(self._log)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "neurond", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=variables(),
                start_new_session=True,
            )
        self.pid = self._process.pid

    def wait(self) -> int | None:
        """Wait until it trains: None. Its exit code, if it ends before."""
        while not self._trains():
            code = self._process.poll()
            if code is not None:
                return code
            time.sleep(LOOK_S)
        return None

    def interrupt(self) -> None:
        """End it in good order, and wait for that."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait()

    def said(self) -> list[str]:
        """The last lines of its words, from its error on if there is one."""
        lines = _since(self._log, self._log_from)[-WORDS:]
        errors = [at for at, line in enumerate(lines) if line.startswith("neurond: ")]
        return lines[errors[0] :] if errors else lines

    def clear(self) -> None:
        """Remove the folder if there is nothing in it but these words."""
        if [path.name for path in self._folder.rglob("*")] == [self._log.parent.name, self._log.name]:
            self._log.unlink()
            self._log.parent.rmdir()
            self._folder.rmdir()

    def _trains(self) -> bool:
        """Whether the stimuli that are counted in its rows have grown."""
        counts = []
        for line in _since(self._metrics, self._rows_from):
            with contextlib.suppress(ValueError):  # half a line
                counts.append(json.loads(line).get("stimuli") or 0)
        return bool(counts) and counts[-1] > (0 if self._new else counts[0])


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _since(path: Path, start: int) -> list[str]:
    """The lines of a file from a byte on; none while it is not there."""
    try:
        return path.read_bytes()[start:].decode(errors="replace").splitlines()
    except FileNotFoundError:
        return []
