"""The verb down: a run ended in good order, and nothing of it left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import shutil
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from neurond.cli import ours
from neurond.cli.attached import Asked, everywhere, keys_for, named, real, several
from neurond.cli.output import out_json, say, suggest
from neurond.cli.which import AsJson, Insecure, Keys
from neurond.errors import BrokerUnreachable, NeurondError, RunError, WrongUse
from topology import address

ASK_S = 10.0  # for a broker to answer, also one that is being started anew
MARGIN_S = 7.0  # over the time that a stop may take at the broker, for whoever started it to end, too
LEAVE_S = 5.0  # for the others to leave when whoever started them was killed
LOOK_S = 0.05


def down(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]",
            help="Its folder, the name of that, or the address of its broker, as ps has it; the one that is alive if "
            "not given.",
        ),
    ] = None,
    within: Annotated[
        str | None, typer.Option(metavar="TIME", help="Kill what is left after this long: 10s; 45s if not given.")
    ] = None,
    keys: Keys = None,
    insecure: Insecure = False,
    as_json: AsJson = False,
) -> None:
    """End a run of this machine as Ctrl-C does, saved, and see to it that nothing of it is left."""
    within_s = _seconds(within)
    asked = meant(run, everywhere(keys, insecure))
    if asked is None:
        if as_json:
            out_json({"run": None, "saved": None, "killed": [], "left": []})
        else:
            say("no run of yours is alive on this machine: there is nothing to end")
        return
    ending = _Ending(asked)
    ending.ask(keys, insecure, min(ASK_S, within_s))
    killed = [] if ending.over(within_s) else ending.kill()
    left = ending.clear()
    began = asked.status is None or asked.status["state"] != "waiting"
    name, saved = asked.called, _saved(asked) if began else None
    if as_json:
        out_json({"run": name, "saved": saved, "killed": killed, "left": left})
    for word in left:
        say(f"left: {word}")
    if killed:
        again = f"; neurond run --resume {shlex.quote(name)} goes on from its last checkpoint" if asked.folder else ""
        raise NeurondError(f"{name} did not end within {within_s:g} s: killed {', '.join(killed)}{again}")
    if left:
        raise NeurondError(f"{name} has ended, but not all of it is gone")
    if saved is False:
        raise NeurondError(
            f"{name} has ended, but was not saved; its broker says why, in the terminal or the log of it"
        )
    if saved is None and began:
        raise NeurondError(f"{name} has ended; whether it was saved is not known")
    if not as_json:
        say(f"{name} has ended{_result(asked.folder)}; nothing of it is left running")
        if asked.folder is not None and (asked.folder / "summary.json").exists():
            suggest(f"neurond eval {shlex.quote(name)}")


def _saved(asked: Asked) -> bool | None:
    """Whether the run was saved at its end; None where nobody knows."""
    from neurond.runs import open_run

    if asked.folder is None:
        return None
    with contextlib.suppress(RunError):
        told = [event for event in open_run(asked.folder).events if event["kind"] in ("running", "leaving", "ended")]
        if told and told[-1]["kind"] != "running":  # which begins each part of a run
            return bool(told[-1]["data"].get("generation")) and not told[-1]["data"].get("save_error")
    if asked.status is None or asked.status["state"] in ("leaving", "ended"):
        return None
    from topology.checkpoints import CheckpointError, read_manifest

    try:
        return read_manifest(asked.folder).generation > int(asked.status["generation"])
    except CheckpointError:
        return False


def _seconds(within: str | None) -> float:
    from neurond.until import parse_for

    if within is None:
        from broker.words import STOP_S

        return STOP_S + MARGIN_S
    try:
        return parse_for(within)
    except ValueError as error:
        raise WrongUse(str(error)) from None


def meant(run: str | None, found: list[Asked]) -> Asked | None:
    """The run that is meant; None if none is alive and none was named."""
    if run is None:
        found = real(found)
        if len(found) > 1:
            raise several([one.called for one in found], ": neurond down RUN")
        return found[0] if found else None
    if (one := named(run, found)) is not None:
        if one.replay is not None:
            raise WrongUse(f"{run} is a replay, not a run: kill -INT {one.replay.get('pid')} ends it")
        return one
    from neurond.living import Alive, running

    here = running(Path(run))
    if here is not None:  # held, but its broker is nowhere to be seen
        return Asked(Alive(here.broker, Path(run), here), None)
    if not found:
        raise WrongUse(f"{run!r} is not alive, nor is any other run of yours on this machine")
    from topology.errors import guess

    raise WrongUse(f"no run {run!r} is alive; {guess(run, [one.called for one in found])}")


class _Ending:
    """The end of one run of this machine.

    Args:
        asked: the run, and what its broker told of its processes.

    """

    def __init__(self, asked: Asked) -> None:
        from neurond.living import running

        self._broker, self._folder = asked.alive.broker, asked.folder
        self._sockets = address.folder(self._broker)
        self._holder = asked.alive.running or (None if self._folder is None else running(self._folder))
        processes: Mapping[str, Any] = {} if asked.status is None else asked.status["processes"]
        # Whoever speaks tcp may be of another machine, where its number is somebody else's.
        here = {name: one for name, one in processes.items() if one["endpoint"].startswith("ipc://")}
        self._names: dict[int, str] = {one["pid"]: name for name, one in here.items() if one["pid"]}
        if self._holder is not None:
            self._names[self._holder.pid] = "its supervisor"

    def ask(self, keys: str | None, insecure: bool, within_s: float) -> None:
        """Have the broker end the run; where it does not answer, have whoever started it do so, as Ctrl-C does."""
        if asyncio.run(self._stopped(keys, insecure, within_s)) or self._holder is None:
            return
        if self._is_held() and ours.alive([self._holder.pid]):
            say(f"the broker at {self._broker} does not answer; interrupting pid {self._holder.pid}")
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._holder.pid, signal.SIGINT)

    async def _stopped(self, keys: str | None, insecure: bool, within_s: float) -> bool:
        from monitor.client import Client

        with contextlib.suppress(BrokerUnreachable):
            async with Client(self._broker, keys_for(self._broker, keys, insecure)) as client:
                reply = await client.command("stop", timeout_s=within_s)
                if not reply.ok and "ended" not in reply.error:
                    raise NeurondError(f"cannot stop: {reply.error}")
                return True
        return False

    def over(self, within_s: float) -> bool:
        """Wait until nothing of it is there; false if that takes longer."""
        deadline = time.monotonic() + within_s
        while self._is_held() or self._living() or self._in_use():
            if time.monotonic() >= deadline:
                return False
            time.sleep(LOOK_S)
        return True

    def kill(self) -> list[str]:
        """Kill what does not go: first whoever started the others, for then they leave. Who was killed."""
        killed: list[str] = []
        holder = None if self._holder is None else self._holder.pid
        for pid in sorted(self._living(), key=lambda pid: pid != holder):
            if killed and self._gone(pid):
                continue
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed.append(f"{self._names[pid]} (pid {pid})")
        self.over(LEAVE_S)
        return killed

    def clear(self) -> list[str]:
        """Remove its sockets if nobody has them any more; what is left all the same, in words."""
        left = [f"{self._names[pid]}, pid {pid}" for pid in self._living()]
        if self._is_held():
            left.append(f"{self._folder} is held" + (f" by pid {self._holder.pid}" if self._holder else ""))
        if self._sockets is not None and self._sockets.exists():
            if not self._in_use() and self._sockets.name.startswith(address.FOLDER_PREFIX):
                shutil.rmtree(self._sockets, ignore_errors=True)
            if self._sockets.exists():
                left.append(str(self._sockets))
        if self._folder is not None and not self._is_held():
            from neurond.living import RUNNING

            with contextlib.suppress(OSError):
                (self._folder / RUNNING).unlink()
        return left

    def _gone(self, pid: int) -> bool:
        """Whether a process leaves by itself, now that its supervisor is gone."""
        deadline = time.monotonic() + LEAVE_S
        while ours.alive([pid]) and time.monotonic() < deadline:
            time.sleep(LOOK_S)
        return not ours.alive([pid])

    def _living(self) -> list[int]:
        """Those of its processes that live; not a program of the user's, which lives on when its run is over."""
        if self._sockets is not None:  # the address is of this machine, and of no other run
            self._names |= {pid: name for pid, name in ours.of_broker(self._broker).items() if pid not in self._names}
        return ours.alive(self._names)

    def _is_held(self) -> bool:
        from neurond.runs import is_held

        return self._folder is not None and self._folder.is_dir() and is_held(self._folder)

    def _in_use(self) -> bool:
        return self._sockets is not None and address.in_use(self._sockets)


def _result(folder: Path | None) -> str:
    """What its summary says."""
    if folder is None:
        return ""
    from monitor.figures import percent
    from neurond.runs import open_run

    try:
        summary = open_run(folder).summary
    except NeurondError:
        return ""
    stimuli, accuracy = summary.get("stimuli"), summary.get("test_accuracy")
    said = "" if stimuli is None else f", {stimuli:,} stimuli"
    return said + ("" if accuracy is None else f", test accuracy {percent(accuracy)}")
